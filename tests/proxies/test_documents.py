"""docs/proxies.md shows lines of the shipped files, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELL = "sh"


def stripped(text: str) -> str:
    """The lines without their indentation."""
    return "\n".join(line.strip() for line in text.strip().splitlines())


def test_each_snippet_is_part_of_a_shipped_file() -> None:
    document = (ROOT / "docs/proxies.md").read_text()
    shipped = [stripped(file.read_text()) for file in (ROOT / "config/proxies").iterdir()]
    snippets = re.findall(r"^```(\w+)\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    assert len(snippets) > 3
    for language, snippet in snippets:
        if language != SHELL:
            assert any(stripped(snippet) in text for text in shipped), snippet


def test_each_shipped_file_is_in_the_document() -> None:
    document = (ROOT / "docs/proxies.md").read_text()
    for file in (ROOT / "config/proxies").iterdir():
        assert f"(../config/proxies/{file.name})" in document
