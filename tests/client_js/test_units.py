"""The client's modules without a network: `node --test tests/client_js/unit/*.test.mjs` without pytest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.node import run_node_tests

FILES = sorted((Path(__file__).parent / "unit").glob("*.test.mjs"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_unit_does_what_its_own_tests_say(file: Path) -> None:
    run_node_tests(file)
