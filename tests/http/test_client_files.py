"""The JavaScript client as it is served: one small file, which pages of any origin may load."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path

import pytest

from tests.http.test_pages import fetch
from tests.node import node_program
from tocsin.http.routes.client import ENTRY, IMPORTS
from tocsin.http.routes.pages import CHECKOUT, find

MODULES = sorted((CHECKOUT / "client/v1").glob("*.js"))
MOST_BYTES = 12 * 1024
"""Of all that a page loads, in gzip."""


async def test_client_is_small_and_compressed() -> None:
    answers = [
        await fetch(path, Accept_Encoding="gzip") for path in (ENTRY, "/client/v1/worker.js")
    ]
    assert all(answer.headers["Content-Encoding"] == "gzip" for answer in answers)
    sizes = [len(answer.body) for answer in answers]
    print(f"\nthe client and its worker: {sizes} bytes")
    assert sum(sizes) < MOST_BYTES


@pytest.mark.parametrize("path", [ENTRY, "/client/v1/worker.js", "/client/v1/json.js"])
async def test_pages_of_any_origin_may_load_the_client(path: str) -> None:
    answer = await fetch(path, Origin="https://shop.example")
    assert answer.headers.get_list("Access-Control-Allow-Origin") == ["*"]
    again = await fetch(path, If_None_Match=answer.headers["Etag"], Origin="https://shop.example")
    assert (again.code, again.headers["Access-Control-Allow-Origin"]) == (304, "*")


@pytest.mark.parametrize("path", ["/", "/js/app.js", "/api/stats"])
async def test_nothing_else_is_shared_with_other_origins(path: str) -> None:
    answer = await fetch(path, Origin="https://shop.example")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_joined_file_exports_what_the_module_does(tmp_path: Path) -> None:
    file = find(ENTRY)
    assert file is not None
    assert gzip.decompress(file.compressed) == file.content
    joined = tmp_path / "tocsin.mjs"
    joined.write_bytes(file.content)
    script = "console.log(Object.keys(await import(process.argv[1])).sort().join())"
    names = [
        subprocess.run(
            [node_program(), "--input-type=module", "--eval", script, str(path)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for path in (joined, CHECKOUT / ENTRY[1:])
    ]
    assert names[0] == names[1]
    assert "TocsinSource" in names[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_are_written_so_that_they_can_be_joined(path: Path) -> None:
    """Each name at the top of a module is of that module alone; the other things are seen by loading the file."""
    text = path.read_text()
    lines = re.findall(r"^(?:import|export \{|export \*|export default).*", text, re.MULTILINE)
    assert [line for line in lines if line != "export {};"] == [
        found[0].decode() for found in IMPORTS.finditer(path.read_bytes())
    ]
    assert " as " not in "".join(lines)
