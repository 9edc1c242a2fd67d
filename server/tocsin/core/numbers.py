"""Whole numbers as clients write them: ASCII digits, each number in one spelling."""

from __future__ import annotations

import re

from tocsin.errors import InvalidInput

_WHOLE = re.compile(r"0|[1-9][0-9]*")


def whole_number(text: str, field: str, *, least: int, most: int) -> int:
    """The number that `text`, the value of `field`, spells, from `least` (0 or more) to `most`.

    A sign, a space, a leading zero, a digit of another script are no part of a number: one reader
    would take them and another not. What is longer than `most` is refused before it is read, since
    Python raises ValueError for more than 4,300 digits.

    Raises:
        InvalidInput: 400, it is anything else.
    """
    if len(text) <= len(str(most)) and _WHOLE.fullmatch(text) and least <= int(text) <= most:
        return int(text)
    raise InvalidInput(
        f"{field} must be a whole number from {least} to {most}",
        code=f"invalid_{field}",
        field=field,
        status=400,
    )
