"""Reads the file in a thread of its own, a bounded piece at a time.

A piece is one row: SQLite puts the records one behind the other, and they are decoded in one go. Row by row, the
thread would give up the interpreter's lock for each event, and wait for it again while the loop has work.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

from tocsin.core.event import Event
from tocsin.core.filters import Filter
from tocsin.core.record import decode_records
from tocsin.errors import Unavailable
from tocsin.eventlog.journal.sqlite.condition import condition_of
from tocsin.eventlog.journal.sqlite.file import connect

SCAN_ROWS = 20_000
"""Events that one piece looks at: 4 ms."""

SCAN_BYTES = 4 * 1024 * 1024
"""Bytes of records that one piece passes, however few of them are wanted."""

FEWEST = 16
"""Events of a piece, however large they are on the average."""

_RECORDS = "CAST(group_concat(CAST(record AS TEXT), '') AS BLOB)"
"""All records of a query, one behind the other."""

log = logging.getLogger("tocsin")

Result = TypeVar("Result")


class Found(NamedTuple):
    """A piece read forwards: its events, the last seq that was looked at, and the file's floor then."""

    events: Sequence[Event]
    cursor: int
    floor: int


class FoundBefore(NamedTuple):
    """A piece read backwards: its events, oldest first, their bytes, and the first seq that was looked at."""

    events: Sequence[Event]
    bytes: int
    before: int


class Reader:
    """The reader's thread. Readings are answered in the order of the calls.

    Args:
        path: of the file.
        epoch: of the log.
        loop: where the answers go.
    """

    def __init__(self, path: Path, epoch: int, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._epoch = epoch
        self._loop = loop
        self._db: sqlite3.Connection | None = None
        self._distrusted = False
        self._is_stopped = False
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal reader", daemon=True)
        self._thread.start()

    async def read(
        self, after: int, end: int, filter: Filter, *, max_events: int, max_bytes: int
    ) -> Found:
        """Events after `after` up to `end`.

        Raises:
            Unavailable: the file can't be read.
        """
        return await self._ask(lambda: self._read(after, end, filter, max_events, max_bytes))

    async def newest(
        self, before: int, filter: Filter, *, max_events: int, max_bytes: int
    ) -> FoundBefore:
        """The newest events below `before`.

        Raises:
            Unavailable: the file can't be read.
        """
        return await self._ask(lambda: self._newest(before, filter, max_events, max_bytes))

    def distrust(self) -> None:
        """Open the file anew before the next reading. Any thread may call it."""
        self._distrusted = True

    def stop(self) -> None:
        """End the thread, when it has answered what was asked. What is asked later is refused."""
        self._is_stopped = True
        self._jobs.put(None)

    def join(self) -> None:
        """Wait for the end of the thread."""
        self._thread.join()

    # --- in the thread ------------------------------------------------------------------------

    async def _ask(self, work: Callable[[], Result]) -> Result:
        if self._is_stopped:
            raise Unavailable("the journal is stopped", code="journal_down")
        future: asyncio.Future[Result] = self._loop.create_future()

        def job() -> None:
            try:
                result = work()
            except Exception as error:
                self._close()
                log.exception("the journal's file could not be read")
                unavailable = Unavailable(
                    f"the journal's file can't be read ({error})", code="journal_down"
                )
                self._call(_fail, future, unavailable)
            else:
                self._call(_answer, future, result)

        self._jobs.put(job)
        return await future

    def _run(self) -> None:
        while job := self._jobs.get():
            job()
        self._close()

    def _call(self, *call: object) -> None:
        try:
            self._loop.call_soon_threadsafe(*call)  # type: ignore[arg-type]
        except RuntimeError:  # the loop is closed: nobody waits
            pass

    def _close(self) -> None:
        if self._db:
            self._db.close()
            self._db = None

    def _connection(self) -> sqlite3.Connection:
        if self._distrusted:
            self._distrusted = False
            self._close()
        if self._db is None:
            self._db = connect(self._path)
            self._db.execute("PRAGMA query_only = 1")
        return self._db

    def _read(self, after: int, end: int, filter: Filter, max_events: int, max_bytes: int) -> Found:
        db = self._connection()
        db.execute("BEGIN")  # one state of the file for all that is asked
        try:
            floor, start, kept_events, kept_bytes = db.execute(
                "SELECT floor, floor_total, (SELECT max(seq) FROM events) - floor,"
                " (SELECT total FROM events ORDER BY seq DESC LIMIT 1) - floor_total FROM log"
            ).fetchone()
            after = max(after, floor)
            if after >= end or not kept_events:
                return Found((), max(after, end), floor)
            if after > floor:
                start = db.execute("SELECT total FROM events WHERE seq = ?", (after,)).fetchone()[0]
            end, limit = min(end, after + SCAN_ROWS), start + SCAN_BYTES
            wanted = min(max_events, max(FEWEST, max_bytes * kept_events // kept_bytes))
            condition, values = condition_of(filter)
            count, last, records = db.execute(
                f"SELECT count(*), max(seq), {_RECORDS}"
                " FROM (SELECT seq, record FROM events WHERE seq > ? AND seq <= ?"
                f" AND (seq = ? OR total <= ?){condition} ORDER BY seq LIMIT ?)",
                (after, end, after + 1, limit, *values, wanted),
            ).fetchone()
            end = last if count == wanted else self._last_within(db, after, end, limit)
        finally:
            db.execute("COMMIT")
        events = decode_records(records, count, self._epoch)
        kept, is_cut = _within(events, max_bytes)
        if is_cut:
            end = kept[-1].id.seq
        return Found(_matching(kept, filter), end, floor)

    def _last_within(self, db: sqlite3.Connection, after: int, end: int, total: int) -> int:
        """The last seq up to `end` by which no more than `total` bytes were passed; at least one after `after`."""
        low, high = after + 1, end
        while low < high:
            middle = (low + high + 1) // 2
            row = db.execute("SELECT total FROM events WHERE seq = ?", (middle,)).fetchone()
            if row is None or row[0] <= total:
                low = middle
            else:
                high = middle - 1
        return low

    def _newest(self, before: int, filter: Filter, max_events: int, max_bytes: int) -> FoundBefore:
        db = self._connection()
        condition, values = condition_of(filter)
        low = before - 1 - SCAN_ROWS
        some: list[Event] = []
        size = 0
        # As many as are wanted may be large; so they are read in parts, and only as long as there is room.
        while len(some) < max_events and size < max_bytes and before - 1 > low:
            wanted = min(max_events - len(some), 4 * FEWEST if some else FEWEST)
            count, first, records = db.execute(
                f"SELECT count(*), min(seq), {_RECORDS}"
                " FROM (SELECT seq, record FROM events WHERE seq < ? AND seq > ?"
                f"{condition} ORDER BY seq DESC LIMIT ?)",
                (before, low, *values, wanted),
            ).fetchone()
            found = decode_records(records, count, self._epoch)
            kept, is_cut = _within(found, max_bytes - size)
            size += sum([_size(event) for event in kept])
            some += _matching(kept, filter)
            if is_cut:
                before = kept[-1].id.seq
            elif count == wanted:
                before = first
            else:
                before = low + 1
        return FoundBefore(some[::-1], size, before)


def _within(events: list[Event], max_bytes: int) -> tuple[list[Event], bool]:
    """The first of these, up to the one that fills `max_bytes`; and whether others are left."""
    room = max_bytes
    for number, event in enumerate(events, 1):
        room -= _size(event)
        if room <= 0:
            return events[:number], number < len(events)
    return events, False


def _size(event: Event) -> int:
    """About what the event takes when it is sent."""
    return len(event.draft.data) + 60


def _matching(events: list[Event], filter: Filter) -> list[Event]:
    if not filter.asks_for_topics:
        return events
    return [
        event
        for event in events
        if filter.matches(event.draft.topic, event.draft.type, event.draft.more_topics)
    ]


def _answer(future: asyncio.Future[Result], result: Result) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Result], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
