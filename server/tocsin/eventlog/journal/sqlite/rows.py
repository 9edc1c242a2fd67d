"""The way from version 4 of the file, which had a row and a whole record for each event, to segments."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from operator import attrgetter

from tocsin.core.event import Event
from tocsin.core.record import decode_records, encode_contents
from tocsin.eventlog.journal.sqlite.segments import Segment, insert, micros, segments_of

STEP = 1_000
"""Rows that are in memory at a time; fewer where they have more than so many bytes:"""

STEP_BYTES = 4 * 1024 * 1024


def move_into_segments(db: sqlite3.Connection) -> None:
    """Bring what is in the tables `events` and `kept_rows` into those of version 5, within a transaction.

    Rows are deleted as they are read, so that the file grows little.

    Raises:
        RecordError: a record is damaged.
    """
    total = int(db.execute("SELECT floor_total FROM log").fetchone()[0])
    for events in _taken(db, "events"):
        segments: list[Segment] = []
        head = events[0].id.seq - 1
        for time, some in groupby(events, attrgetter("time")):
            drafts = [event.draft for event in some]
            segments += segments_of(drafts, micros(time), head, total)
            head, total = segments[-1].last, segments[-1].total
        insert(db, segments)
    for events in _taken(db, "kept_rows"):
        db.executemany(
            "INSERT INTO kept VALUES (?, ?, ?)",
            [
                (event.id.seq, micros(event.time), encode_contents([event.draft]).encoded)
                for event in events
            ],
        )
    db.execute("DROP TABLE events")
    db.execute("DROP TABLE kept_rows")


def _taken(db: sqlite3.Connection, table: str) -> Iterator[list[Event]]:
    """The events of `table` in their order, some at a time, whose rows are deleted."""
    while records := _first_records(db, table):
        events = decode_records(b"".join(records), len(records), 0)
        yield events
        db.execute(f"DELETE FROM {table} WHERE seq <= ?", (events[-1].id.seq,))


def _first_records(db: sqlite3.Connection, table: str) -> list[bytes]:
    records: list[bytes] = []
    room = STEP_BYTES
    with closing(db.execute(f"SELECT record FROM {table} ORDER BY seq LIMIT ?", (STEP,))) as rows:
        for (record,) in rows:
            records.append(record)
            room -= len(record)
            if room <= 0:
                break
    return records
