"""The events in the file that stay when the others of their time go, as the writer changes them.

What stays is decided when it leaves the history, in the transaction that evicts it: so no crash comes between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from tocsin.core.event import Draft, Event, EventId
from tocsin.core.filters import Filter
from tocsin.core.record import Content, decode_contents, encode_contents
from tocsin.eventlog.journal.sqlite.limits import Limits
from tocsin.eventlog.journal.sqlite.segments import condition_of, last_of, load_undamaged, seconds
from tocsin.eventlog.retention import KeepRules, Left, Retention

STEP = 1_000
"""Rows that are read at a time."""

_read_rows = msgspec.json.Decoder(list[tuple[int, int]]).decode


class Change(NamedTuple):
    """What became of the events that stay.

    Attributes:
        added: those that left the history and stay, in the order of the log.
        removed: the seqs of those that stayed and do no longer, ascending.
        bytes: what all count that stay now.
        beyond_bytes: how many are not kept only because all were too large.
    """

    added: Sequence[Event] = ()
    removed: Sequence[int] = ()
    bytes: int = 0
    beyond_bytes: int = 0


NO_CHANGE = Change()


class Row(NamedTuple):
    """An event that stays: its seq, its time in microseconds, and its content."""

    seq: int
    time: int
    content: Content

    @property
    def left(self) -> Left:
        """What it is for the decision."""
        return Left(self.seq, self.content.attributes.topics, self.content.bytes)


class KeptRows:
    """The rows of `kept`.

    Args:
        db: the connection of the writer.
        limits: what is kept.
        epoch: of the log.
    """

    def __init__(self, db: sqlite3.Connection, limits: Limits, epoch: int) -> None:
        self._db = db
        self._epoch = epoch
        self._retention = Retention(KeepRules(limits.keep_newest), limits.keep_newest_bytes)
        self._filter = Filter([pattern for pattern, _ in limits.keep_newest])
        self.is_on = bool(limits.keep_newest)

    def load(self) -> list[int]:
        """Take up what is in the file; returns the seqs of what may not stay, as the limits are others now."""
        left = [row.left for rows in kept_rows(self._db) for row in rows]
        verdict = self._retention.take(left)
        staying = set(verdict.kept)
        return [each.seq for each in left if each.seq not in staying]

    def events(self) -> Iterator[list[Event]]:
        """All that stay, some at a time."""
        for rows in kept_rows(self._db):
            yield [event_of(row, self._epoch) for row in rows]

    def take(self, floor: int, to: int) -> Change:
        """Let those events after `floor` up to `to` stay that are to, before they are evicted.

        The rows of those that are `removed` are still there, to be looked at.
        """
        if not self.is_on:
            return NO_CHANGE
        rows = self._rows_of_log(floor, to)
        verdict = self._retention.take([row.left for row in rows])
        staying = set(verdict.kept)
        kept = [row for row in rows if row.seq in staying]
        self._db.executemany(
            "INSERT INTO kept VALUES (?, ?, ?)",
            [(row.seq, row.time, encode_contents([row.content.draft]).encoded) for row in kept],
        )
        added = [event_of(row, self._epoch) for row in kept]
        return Change(added, verdict.evicted, self._retention.bytes, verdict.beyond_bytes)

    def add(self, seq: int, time: int, draft: Draft) -> None:
        """Let an event stay that comes from elsewhere; to be loaded afterwards."""
        self._db.execute(
            "INSERT INTO kept VALUES (?, ?, ?)", (seq, time, encode_contents([draft]).encoded)
        )

    def remove(self, seqs: Sequence[int]) -> list[Row]:
        """Delete these rows, and return what they held."""
        if not seqs:
            return []
        some = "seq IN (SELECT value FROM json_each(?))"
        rows = _rows(self._db, some, as_json(seqs))
        self._db.execute(f"DELETE FROM kept WHERE {some}", (as_json(seqs),))
        return rows

    @property
    def bytes(self) -> int:
        """What all count that stay."""
        return self._retention.bytes

    def _rows_of_log(self, floor: int, to: int) -> list[Row]:
        """The events after `floor` up to `to` that are of a topic which counts, as if they stayed."""
        condition, values = condition_of(self._filter)
        high = last_of(self._db, to)
        matches = self._filter.matches
        return [
            Row(seq, segment.time, content)
            for segment in load_undamaged(
                self._db, f"last > ? AND last <= ? AND {condition}", floor, high, *values
            )
            for seq, content in segment.between(floor, to)
            if matches(
                content.attributes.topic, content.attributes.type, content.attributes.more_topics
            )
        ]


def kept_rows(db: sqlite3.Connection) -> Iterator[list[Row]]:
    """All rows in the order of their seqs, some at a time.

    Raises:
        RecordError: one is damaged.
    """
    after = -1
    while some := _rows(db, "seq > ? ORDER BY seq LIMIT ?", after, STEP):
        yield some
        after = some[-1].seq


def _rows(db: sqlite3.Connection, where: str, *values: object) -> list[Row]:
    text, contents = db.execute(
        "SELECT json_group_array(json_array(seq, time)),"
        " CAST(group_concat(CAST(content AS TEXT), '') AS BLOB)"
        f" FROM (SELECT seq, time, content FROM kept WHERE {where})",
        values,
    ).fetchone()
    rows = _read_rows(text)
    found = decode_contents(contents, [1] * len(rows))
    return [Row(seq, time, content) for (seq, time), (content,) in zip(rows, found, strict=True)]


def event_of(row: Row, epoch: int) -> Event:
    """The event that stays, under the id that it always had.

    Raises:
        RecordError: the content is none of an event.
    """
    return Event(EventId(epoch, row.seq), row.content.draft, seconds(row.time))


def as_json(seqs: Sequence[int]) -> str:
    """The seqs as an array that a statement takes as one value."""
    return msgspec.json.encode(seqs).decode()
