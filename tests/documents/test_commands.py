"""Commands that README.md and docs/ name within a sentence or a table are there."""

from __future__ import annotations

import re

import click
import pytest

from tests.documents.blocks import DOCUMENTS, ROOT
from tocsin.cli.main import tocsin

TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def is_command(words: list[str]) -> bool:
    """Whether `tocsin` has it: `words` are what stands behind it, as far as they can be commands."""
    command: click.Command = tocsin
    for word in words:
        if not isinstance(command, click.Group):
            return True
        found = command.get_command(click.Context(command), word)
        if found is None:
            return False
        command = found
    return True


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_of_make_and_tocsin_are_there(document: str) -> None:
    text = (ROOT / document).read_text()
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= TARGETS
    for named in re.findall(r"`tocsin ((?:[a-z][a-z-]*(?: |(?=`)))+)", text):
        assert is_command(named.split()[:2]), f"tocsin {named}"
