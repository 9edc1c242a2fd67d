"""The page's files as a browser gets them: compressed, cached by content, nothing outside the folder."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse

from tests.serving import serving
from tocsin.http.routes.client import dense
from tocsin.http.routes.page_script import join, modules_of
from tocsin.http.routes.pages import FRONTEND, takes_gzip, without_comments

SCRIPT = dense(without_comments(join(FRONTEND / "js/app.js")))
SCRIPTS = sorted([*(FRONTEND / "js").rglob("*.js"), *(FRONTEND / "client/v1").glob("*.js")])


async def fetch(path: str, **headers: str) -> HTTPResponse:
    async with serving() as server:
        request = HTTPRequest(
            f"http://127.0.0.1:{server.port}{path}",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            decompress_response=False,
        )
        return await AsyncHTTPClient().fetch(request, raise_error=False)


async def test_file_is_compressed_for_who_takes_gzip() -> None:
    answer = await fetch("/js/app.js", Accept_Encoding="gzip, br")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert gzip.decompress(answer.body) == SCRIPT


async def test_file_is_sent_uncompressed_to_others() -> None:
    answer = await fetch("/js/app.js", Accept_Encoding="identity")
    assert "Content-Encoding" not in answer.headers
    assert answer.body == SCRIPT


async def test_range_gets_the_whole_file() -> None:
    """RFC 9110, section 14.2: a server may ignore it."""
    answer = await fetch("/js/app.js", Accept_Encoding="identity", Range="bytes=0-9")
    assert (answer.code, answer.body) == (200, SCRIPT)


@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_unchanged_file_is_not_sent_again(coding: str) -> None:
    first = await fetch("/", Accept_Encoding=coding)
    again = await fetch("/", Accept_Encoding=coding, If_None_Match=first.headers["Etag"])
    assert (again.code, again.body) == (304, b"")


async def test_each_encoding_has_a_tag_of_its_own() -> None:
    tags = {(await fetch("/", Accept_Encoding=coding)).headers["Etag"] for coding in ("gzip", "br")}
    assert len(tags) == 2


@pytest.mark.parametrize("path", ["/../pyproject.toml", "/%2e%2e/pyproject.toml", "/js", "/none"])
async def test_nothing_but_the_pages_files_is_served(path: str) -> None:
    answer = await fetch(path, Accept_Encoding="gzip")
    assert answer.code in (403, 404)
    assert "error" in answer.body.decode()


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*", True),
        ("*;q=0, gzip", True),
        ("gzip;q=0, *", False),
        ("br", False),
    ],
)
def test_gzip_is_used_only_where_it_is_taken(header: str, taken: bool) -> None:
    assert takes_gzip(header) is taken


def test_comments_are_not_served_and_lines_keep_their_numbers() -> None:
    script = b"// why\nlet a = 1; // kept\n/**\n * @param x\n */\nf(x) { return `// ${x}`; }\n  /** y */\n"
    served = b"\nlet a = 1; // kept\n\n\n\nf(x) { return `// ${x}`; }\n\n"
    assert without_comments(script) == served


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_text_in_a_script_spans_lines(path: Path) -> None:
    """A line of it that looks like a comment would not be served."""
    code = without_comments(path.read_bytes())
    assert [line for line in code.splitlines() if line.count(b"`") % 2] == []


def test_script_of_the_page_is_joined_from_its_modules(tmp_path: Path) -> None:
    """Each once, behind what it imports, and with names of its own."""
    (tmp_path / "words").mkdir()
    (tmp_path / "words/fr.js").write_text("export const fr = 1;\n")
    (tmp_path / "a.js").write_text("export const x = 1;\nexport async function f() {}\n")
    (tmp_path / "b.js").write_text(
        'import { x as y } from "./a.js";\nexport class B {}\nconst x = y;\n'
    )
    entry = tmp_path / "app.js"
    entry.write_text(
        'import { B } from "./b.js";\nimport { f } from "./a.js";\nimport { fr } from "./words/fr.js";\nf(B, fr);\n'
    )
    assert [path.name for path in modules_of(entry)] == ["a.js", "b.js", "app.js"]
    assert join(entry).decode().split("\n") == [
        'import * as $f0 from "./words/fr.js";',
        *(
            "const $m0 = (() => {",
            "const x = 1;",
            "async function f() {}",
            "",
            "return { x, f };",
            "})();",
        ),
        *(
            "const $m1 = (() => {",
            "const { x: y } = $m0;",
            "class B {}",
            "const x = y;",
            "",
            "return { B };",
            "})();",
        ),
        *("const { B } = $m1;", "const { f } = $m0;", "const { fr } = $f0;", "f(B, fr);", ""),
    ]


def test_modules_of_the_page_are_written_so_that_joining_is_enough() -> None:
    for path in modules_of(FRONTEND / "js/app.js"):
        for line in path.read_text().splitlines():
            if line.startswith(("import", "export")):
                assert re.match(
                    r'import \{.*\} from "\.|export (async )?(function|class|const) \w', line
                ), (path, line)
