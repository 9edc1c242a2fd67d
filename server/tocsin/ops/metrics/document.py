"""The table in docs/metrics.md, made from the catalogue: ``python -m tocsin.ops.metrics.document FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

from tocsin.ops.metrics.catalogue import CATALOGUE, Family

BEGIN = "<!-- the catalogue, written by `make docs` -->\n"
END = "<!-- end of the catalogue -->\n"


def as_table() -> str:
    """The catalogue as Markdown, a heading a question, in the catalogue's order."""
    questions = dict.fromkeys(family.question for family in CATALOGUE)
    return "\n".join(_section(question) for question in questions)


def _section(question: str) -> str:
    rows = [_row(family) for family in CATALOGUE if family.question == question]
    head = ["| name | type | labels | what it says |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {question}", "", *head, *rows, ""])


def _row(family: Family) -> str:
    labels = "; ".join(
        f"`{label}`: {', '.join(values)}" if values else f"`{label}`"
        for label, values in family.labels.items()
    )
    return f"| `{family.name}` | {family.kind} | {labels or '-'} | {family.help} |"


def rewrite(text: str) -> str:
    """The document `text` with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + as_table() + END + after


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewrite(path.read_text()))
