from __future__ import annotations

import pytest

from tocsin.core.numbers import whole_number
from tocsin.errors import InvalidInput


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("10", 10), ("1000", 1_000)])
def test_number_in_its_one_spelling_is_taken(text: str, number: int) -> None:
    assert whole_number(text, "limit", least=0, most=1_000) == number


@pytest.mark.parametrize("text", [
    "", "ten", "-1", "+1", " 1", "1 ", "1\n", "1_0", "1.0", "1e2", "0x1", "\u0661", "\uff11", "\u00b2",
    "00", "007", "0000000019999", "000000001" + "9" * 5_000, "9" * 5_000, "1001",
])  # fmt: skip
def test_anything_else_is_refused_with_the_field_and_its_bounds(text: str) -> None:
    with pytest.raises(InvalidInput, match="limit must be a whole number from 0 to 1000") as raised:
        whole_number(text, "limit", least=0, most=1_000)
    error = raised.value
    assert (error.status, error.code, error.field) == (400, "invalid_limit", "limit")


def test_number_below_the_least_is_refused() -> None:
    with pytest.raises(InvalidInput, match="from 1 to 9"):
        whole_number("0", "limit", least=1, most=9)
