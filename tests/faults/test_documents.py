"""docs/reliability.md leaves out no row, and names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/reliability.md").read_text()


def test_each_promise_has_its_test() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCUMENT)
    assert len(named) > 40
    for file, test in named:
        text = (ROOT / file).read_text()
        assert not test or re.search(rf"def {test}\(", text), f"{file}::{test}"


def test_no_fault_and_no_bad_input_is_left_out() -> None:
    """Of the 40 faults and the 73 kinds of bad input that were written down before there was a hub."""
    assert {int(number) for number in re.findall(r"\bF(\d+)\b", DOCUMENT)} == set(range(1, 41))
    rows = re.findall(r"^\| (\d[\d, -]*) \|", DOCUMENT, re.MULTILINE)
    spans = [span.partition("-") for row in rows for span in row.split(", ")]
    numbers = [n for first, _, last in spans for n in range(int(first), int(last or first) + 1)]
    assert set(numbers) == set(range(1, 74))
