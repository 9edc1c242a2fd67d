"""Lines of the documents that start a hub: `tocsin check-config` takes their settings. What they start is other tests'."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.documents.blocks import DOCUMENTS, blocks
from tocsin.access.keys import write_keys
from tocsin.cli.main import tocsin

LINES = {
    line: str(each)
    for document in DOCUMENTS
    for each in blocks(document)
    if each.language == "sh"
    for line in each.shell_lines()
    if line.startswith("tocsin serve")
}


def test_all_documents_are_read() -> None:
    assert len(LINES) >= 8


@pytest.mark.parametrize("line", LINES, ids=list(LINES.values()))
def test_settings_are_taken(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("jwt-secret").write_text("s" * 64)
    write_keys("keys.toml", {})
    _tocsin, _serve, *flags = shlex.split(line)
    ran = CliRunner().invoke(tocsin, ["check-config", *flags])
    assert ran.exception is None, ran.exception
    assert ran.output.startswith("host = ")
