"""The blocks of code in README.md and docs/."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^\n {4,}\S.*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Code between two fences.

    Attributes:
        line: of the document, counted from 1, where the code begins.
    """

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    def shell_lines(self) -> list[str]:
        """Its commands, each as one line, without comments behind them."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        lines = (re.sub(r"(^|\s+)#\s.*", "", line).strip() for line in joined.splitlines())
        return [line for line in lines if line]


def blocks(document: str) -> list[Block]:
    """All blocks of `document`, in order."""
    text = (ROOT / document).read_text()
    return [
        Block(document, text.count("\n", 0, found.start()) + 2, found[1], found[2])
        for found in FENCE.finditer(text)
    ]


def block(document: str, beginning: str, language: str = "") -> Block:
    """The one block of `document` that begins so."""
    (only,) = [
        each
        for each in blocks(document)
        if each.text.startswith(beginning) and language in ("", each.language)
    ]
    return only
