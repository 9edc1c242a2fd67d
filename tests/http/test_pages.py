"""The page's files as a browser gets them: compressed, cached by content, nothing outside the folder."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse

from tests.serving import serving
from tocsin.http.routes.pages import FRONTEND, takes_gzip, without_comments

SCRIPT = without_comments((FRONTEND / "js/app.js").read_bytes())
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
