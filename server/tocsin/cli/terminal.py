"""Text from anybody, as a terminal may show it."""

from __future__ import annotations

import os
import re
from typing import TextIO

CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What a terminal would obey, or shows in another order, and what is no character: a text may come from anybody."""


def safe(text: str) -> str:
    """The text with all of that as escapes; what is JSON stays JSON."""
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def has_colors(stream: TextIO) -> bool:
    """Whether colours are for who reads `stream` (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")
