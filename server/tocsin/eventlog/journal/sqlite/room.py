"""Whether a disk that was full has room again.

A small write says nothing of it: it may fit into what the write-ahead log already has of the disk, and the next event
would not.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from tocsin.eventlog.journal.sqlite.gathering import Group

LEAST_FREE_BYTES = 1024 * 1024
"""With less on the disk it is full still: what comes next would be refused in a moment."""

LEAST_TRIED_BYTES = 256 * 1024
"""What the disk has to take in any case before the journal is up again."""

MOST_TRIED_BYTES = 8 * 1024 * 1024
"""More is tried for no transaction that failed: others shall be published where one of that size never will."""


def wanted_by(groups: Sequence[Group]) -> int:
    """How much the disk has to take, after a transaction of these groups failed."""
    size = sum(
        [len(draft.data) for group in groups for append in group.appends for draft in append.drafts]
    )
    return LEAST_TRIED_BYTES + min(size, MOST_TRIED_BYTES)


def has_room(folder: Path) -> bool:
    """Whether its disk says that something is left; one that says nothing of its size may have."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return True  # whoever opens the file learns what is wrong
    return not disk.f_blocks or disk.f_bavail * disk.f_frsize >= LEAST_FREE_BYTES


def take_room(db: sqlite3.Connection, size: int) -> None:
    """Write `size` bytes into the write-ahead log, and take them back. The log keeps the room for what comes next.

    Raises:
        sqlite3.Error: the disk doesn't take it. The connection is to be closed.
    """
    (cached,) = db.execute("PRAGMA cache_size").fetchone()
    db.execute("PRAGMA cache_size = 1")  # else nothing of it would reach the log before the end
    db.execute("BEGIN IMMEDIATE")
    db.execute("CREATE TABLE room (content BLOB)")
    db.execute("INSERT INTO room VALUES (zeroblob(?))", (size,))
    db.execute("ROLLBACK")
    db.execute(f"PRAGMA cache_size = {cached}")
