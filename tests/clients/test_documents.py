"""docs/clients.md names the clients that are tried, in the versions that are installed, and shows code that runs."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

from tests.clients.listeners import BROWSERS, CLIENTS, GO, NPM, OURS, OURS_IN_PYTHON, PYTHON

HERE = Path(__file__).parent
DOCUMENT = (HERE.parents[1] / "docs/clients.md").read_text()


def test_each_client_is_documented_with_its_version() -> None:
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    versions = (
        {OURS: "the hub's", OURS_IN_PYTHON: "the hub's"}
        | dict.fromkeys(BROWSERS, "Debian's")
        | {name: wanted[name] for name in NPM}
    )
    versions |= {name: version(name.partition(" ")[0]) for name in PYTHON}
    (go_version,) = re.findall(r"sse/v2 v(\S+)", (HERE / "go/go.mod").read_text())
    versions[GO] = go_version
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", DOCUMENT, re.MULTILINE)
    assert rows[2:] == [(name, versions[name]) for name in CLIENTS]


def test_code_of_the_document_is_that_of_the_tests() -> None:
    listeners = (HERE / "listeners.py").read_text() + (HERE / "listen.mjs").read_text()
    _browser, *snippets = re.findall(r"^```\w+\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    for snippet in snippets:
        assert snippet in listeners
