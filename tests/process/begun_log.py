"""What a hub does with its file when it begins a log, and no more: a test kills it at each step."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tocsin.eventlog.journal.sqlite.file import connect, prepare
from tocsin.eventlog.journal.sqlite.schema import VERSION, upgrade, version_of


def begin(path: Path) -> None:
    """Make the file at `path`, or go on with it, as far as a hub does before it is ready."""
    prepare(path)
    db = connect(path)
    upgrade(db, 1)
    assert db.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    assert version_of(db) == VERSION
    if __name__ == "__main__":
        os._exit(0)
    db.close()


if __name__ == "__main__":
    begin(Path(sys.argv[1]))
