"""docs/reliability.md names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_promise_has_its_test() -> None:
    document = (ROOT / "docs/reliability.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", document)
    assert len(named) > 40
    for file, test in named:
        text = (ROOT / file).read_text()
        assert not test or re.search(rf"def {test}\(", text), f"{file}::{test}"
