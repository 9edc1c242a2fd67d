"""The JavaScript client as pages load it: one module, joined from those that it is written in.

There are twenty of them, five imports deep. One file is one request instead, and two thirds of the bytes. They are written
so that joining is enough: an import has one line, and no two modules use a name twice. Tests hold them to that.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = "/client/v1/"
"""Where the client's files are. A change that breaks pages which use it gets a new number."""

ENTRY = FOLDER + "tocsin.js"

IMPORTS = re.compile(rb'^(import|export) (\{.*\}) from "\./([a-z]+\.js)";$', re.MULTILINE)
EXPORTS = re.compile(rb"^export (?=async |class |const |function )", re.MULTILINE)
INDENTS = re.compile(rb"\n\s+")
CASTS = re.compile(rb"/\*\* @type .*? \*/ ?")
REMARKS = re.compile(rb"[ \t]+// [^\"'`\n]*$", re.MULTILINE)
"""Comments behind code. One with a quotation mark stays: it could be the end of a text."""


def joined(entry: Path) -> bytes:
    """The module `entry` behind all that it imports, each once and behind its own imports."""
    sources: dict[Path, bytes] = {}

    def add(path: Path) -> None:
        source = path.read_bytes()
        for found in IMPORTS.finditer(source):
            imported = path.parent / found[3].decode()
            if imported not in sources:
                add(imported)
        sources[path] = source

    add(entry)
    *others, own = sources.values()
    parts = [IMPORTS.sub(b"", EXPORTS.sub(b"", source)) for source in others]
    return b"\n".join([*parts, IMPORTS.sub(_without_file, own)])


def dense(script: bytes) -> bytes:
    """`script` without empty lines, the spaces that lines begin with, and types and comments amid the code."""
    return INDENTS.sub(b"\n", REMARKS.sub(b"", CASTS.sub(b"", script)))


def _without_file(found: re.Match[bytes]) -> bytes:
    """What an import or export of the entry becomes, now that the names stand further up."""
    return b"export %s;" % found[2] if found[1] == b"export" else b""
