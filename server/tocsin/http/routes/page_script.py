"""The page's script as browsers load it: one file, joined from the modules that it is written in.

There are fifty of them, six imports deep: on a phone each depth is a round trip, and one file has two thirds of the bytes. A
module becomes a function that returns what it exports, so that two may use one name. What the page also loads by itself, the
languages and the client, stays a file of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

SCRIPT = "/js/app.js"

APART = re.compile(r"client/v1/|words/|preferences\.js$")
"""Modules that stay files: others load them too."""

IMPORT = re.compile(r'^import (\{.*?\}) from "(\..*?)";$', re.MULTILINE | re.DOTALL)
EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def modules_of(entry: Path) -> Iterator[Path]:
    """All modules that `entry` is joined from, itself last, each behind those that it imports."""
    seen: set[Path] = set()

    def walk(path: Path) -> Iterator[Path]:
        seen.add(path)
        for found in IMPORT.finditer(path.read_text()):
            imported = Path(os.path.normpath(path.parent / found[2]))
            if imported not in seen and not APART.search(str(imported)):
                yield from walk(imported)
        yield path

    return walk(entry)


def join(entry: Path) -> bytes:
    """The module `entry` with all that it imports."""
    names: dict[Path, str] = {}
    apart: dict[str, str] = {}
    parts: list[str] = []
    for path in modules_of(entry):
        becomes = partial(_imported, path, entry, names, apart)
        body = IMPORT.sub(becomes, path.read_text())
        if path == entry:
            parts.append(body)
            continue
        names[path] = f"$m{len(names)}"
        exports = ", ".join(found[2] for found in EXPORT.finditer(body))
        body = EXPORT.sub(r"\1", body).replace("export {};", "")
        parts.append(f"const {names[path]} = (() => {{\n{body}\nreturn {{ {exports} }};\n}})();")
    head = [f'import * as {name} from "{source}";' for source, name in apart.items()]
    return "\n".join([*head, *parts]).encode()


def _imported(
    at: Path, entry: Path, names: dict[Path, str], apart: dict[str, str], found: re.Match[str]
) -> str:
    """What an import becomes: names taken from where the module stands now."""
    imported = Path(os.path.normpath(at.parent / found[2]))
    if imported in names:
        source = names[imported]
    else:
        relative = os.path.relpath(imported, entry.parent)
        address = relative if relative.startswith(".") else f"./{relative}"
        source = apart.setdefault(address, f"$f{len(apart)}")
    return f"const {found[1].replace(' as ', ': ')} = {source};"
