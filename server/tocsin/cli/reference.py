"""Writes the reference into docs/api.md: ``python -m tocsin.cli.reference FILE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tocsin.app import openapi
from tocsin.http.reference import as_markdown
from tocsin.settings import Settings

BEGIN = "<!-- the reference, written by `make docs` -->\n"
END = "<!-- end of the reference -->\n"


def rewrite(text: str) -> str:
    """The document `text` with the reference as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + as_markdown(json.loads(openapi(Settings()))) + END + after


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewrite(path.read_text()))
