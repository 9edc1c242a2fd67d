"""Finds where a damaged file can be read again.

Bits that a disk got wrong are met by a reading, perhaps weeks later. What lies before them is counted as gone then, so
that who asks for it is told of a gap and goes on behind, rather than ask in vain for good. The file isn't changed.
"""

from __future__ import annotations

import sqlite3

from tocsin.eventlog.journal.sqlite.file import is_damage
from tocsin.eventlog.journal.sqlite.segments import Loaded, load

MOST_LOOKED_AT = 20_000
"""Segments that one look reads, one by one: half a second of the reader's thread. A reading passes no more."""


class Damaged(Exception):
    """What was asked for can't be read.

    Attributes:
        to: a seq behind which the log can be read again, as far as was looked.
    """

    def __init__(self, to: int, error: Exception) -> None:
        super().__init__(str(error))
        self.to = to


def end_behind(db: sqlite3.Connection, after: int, head: int) -> int | None:
    """The end of the first damage behind the seq `after` and the floor; None where none is found."""
    seq = max(after, db.execute("SELECT floor FROM log").fetchone()[0])
    for _ in range(MOST_LOOKED_AT):
        if seq >= head:
            return None
        found = _holder(db, seq + 1)
        if found is None:
            return _end_of(db, seq + 1, head)
        seq = found.last
    return None


def end_before(db: sqlite3.Connection, before: int) -> int:
    """The end of the last damage below the seq `before`; the floor where none is found."""
    floor, seq = db.execute("SELECT floor FROM log").fetchone()[0], before - 1
    for _ in range(MOST_LOOKED_AT):
        if seq <= floor:
            break
        found = _holder(db, seq)
        if found is None:
            return seq
        seq = found.first - 1
    return int(floor)


def _end_of(db: sqlite3.Connection, unreadable: int, head: int) -> int:
    """The last seq of the damage that has `unreadable`. Between two damages near each other all counts as one."""
    step, low = 1, unreadable
    while (high := min(low + step, head + 1)) <= head and _holder(db, high) is None:
        low, step = high, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        if _holder(db, middle) is None:
            low = middle
        else:
            high = middle
    return low


def _holder(db: sqlite3.Connection, seq: int) -> Loaded | None:
    """The segment that has `seq`; None where it can't be read."""
    try:
        found = load(
            db, "last = (SELECT last FROM segments WHERE last >= ? ORDER BY last LIMIT 1)", seq
        )
        for each in found:  # names that are none are damage too
            each.events_between(0, each.last, 0)
            db.execute("SELECT types, topics FROM segments WHERE last = ?", (each.last,)).fetchone()
    except Exception as error:
        if not is_damage(error):
            raise
        return None
    return found[0] if found and found[0].first <= seq else None
