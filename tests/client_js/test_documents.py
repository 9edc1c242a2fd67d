"""docs/client-js.md: its code runs, and its tables have all that there is."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.client_js.document import (
    ALL,
    DOCUMENT,
    FROM_PACKAGE,
    INSTALL,
    ROOT,
    SNIPPETS,
    session,
)
from tests.conftest import StartHub
from tests.node import node_program

SOURCES = ROOT / "client/js/src"


def test_each_snippet_is_run() -> None:
    assert list(ALL) == SNIPPETS


def test_package_is_installed_and_used_as_the_document_says(
    tmp_path: Path, start_hub: StartHub
) -> None:
    hub = start_hub("--retry", "1000")
    command = shlex.split(INSTALL.replace("./client/js", str(ROOT / "client/js")))
    npm = shutil.which(command[0])
    assert npm
    flags = ("--offline", "--silent", "--no-audit", "--no-fund")
    subprocess.run([npm, *command[1:], *flags], cwd=tmp_path, check=True)
    (tmp_path / "app.mjs").write_text(session(FROM_PACKAGE, hub.url))
    ran = subprocess.run(
        [node_program(), "app.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "connecting"
    assert "live" in lines
    assert re.fullmatch(r"\d+-1 Order 17 is paid", lines[-1])
    assert ran.stderr == ""
    assert hub.get("/api/stats")["published"] == 2


def options() -> set[str]:
    """The names of the source's options."""
    text = "".join((SOURCES / f"{name}.js").read_text() for name in ("tocsin", "requests", "place"))
    types = [
        text.partition(f"@typedef {{object}} {name}")[2]
        for name in ("Asked", "Credentials", "WorkerOptions")
    ]
    return {found for each in types for found in re.findall(r"\[(\w+)\]", each.partition("*/")[0])}


def words(module: str, before: str) -> set[str]:
    """The words that a type allows, which comes after `before` in a module."""
    text = (SOURCES / f"{module}.js").read_text()
    return set(re.findall(r'"(\w+)"', text.partition(before)[2].partition("}")[0]))


def test_all_options_and_words_of_the_state_are_documented() -> None:
    named = set(re.findall(r"`([\w]+)`", DOCUMENT))
    assert {"topics", "storageKey", "token", "worker"} <= options()
    assert options() <= named
    for name in ("Cause", "StreamState"):
        found = words("stream", f"@typedef {{object}} {name}\n * @property {{")
        assert found
        assert found <= named
    unshared = (SOURCES / "protocol.js").read_text().partition("} Unshared")[0].rpartition("{")[2]
    rows = re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE)
    assert set(re.findall(r'"(\w+)"', unshared)) <= set(rows)


@pytest.mark.parametrize("name", ["README.md", "docs/clients.md"])
def test_document_is_found_from(name: str) -> None:
    assert "client-js.md" in (ROOT / name).read_text()
