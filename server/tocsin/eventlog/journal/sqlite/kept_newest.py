"""The events in the file that stay when the others of their time go, as the writer changes them.

What stays is decided when it leaves the history, in the transaction that evicts it: so no crash comes between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from tocsin.core.event import Event
from tocsin.core.filters import Filter
from tocsin.core.record import decode_records, encode_record
from tocsin.eventlog.journal.sqlite.condition import condition_of
from tocsin.eventlog.journal.sqlite.limits import Limits
from tocsin.eventlog.retention import KeepRules, Left, Retention

STEP = 1_000
"""Rows that are read at a time."""

_read_left = msgspec.json.Decoder(list[Left]).decode


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
        left = list(self._left("kept", -1, 1 << 62, Filter()))
        verdict = self._retention.take(left)
        staying = set(verdict.kept)
        return [each.seq for each in left if each.seq not in staying]

    def events(self) -> Iterator[list[Event]]:
        """All that stay, some at a time."""
        after = -1
        while some := self._events("kept", after, 1 << 62, most=STEP):
            yield some
            after = some[-1].id.seq

    def take(self, floor: int, to: int) -> Change:
        """Let those events after `floor` up to `to` stay that are to, before they are evicted.

        The rows of those that are `removed` are still there, to be looked at.
        """
        if not self.is_on:
            return NO_CHANGE
        verdict = self._retention.take(self._left("events", floor, to, self._filter))
        added: list[Event] = []
        if verdict.kept:
            self._db.execute(
                "INSERT INTO kept SELECT seq, time, several, topic, type, record FROM events"
                " WHERE seq IN (SELECT value FROM json_each(?))",
                (as_json(verdict.kept),),
            )
            added = self._events("kept", floor, to)
        return Change(added, verdict.evicted, self._retention.bytes, verdict.beyond_bytes)

    def add(self, event: Event) -> None:
        """Let an event stay that comes from elsewhere; to be loaded afterwards."""
        draft = event.draft
        self._db.execute(
            "INSERT INTO kept VALUES (?, ?, ?, ?, ?, ?)",
            (
                event.id.seq,
                event.time,
                1 if draft.more_topics else 0,
                draft.topic,
                draft.type,
                encode_record(event),
            ),
        )

    def remove(self, seqs: Sequence[int]) -> None:
        """Delete these rows."""
        self._db.execute(
            "DELETE FROM kept WHERE seq IN (SELECT value FROM json_each(?))", (as_json(seqs),)
        )

    @property
    def bytes(self) -> int:
        """What all count that stay."""
        return self._retention.bytes

    def _left(self, table: str, floor: int, to: int, filter: Filter) -> Iterable[Left]:
        """What the rows after `floor` up to `to` are for the decision, that may be of a topic that counts."""
        condition, values = condition_of(filter)
        where = f"FROM {table} WHERE seq > ? AND seq <= ?{condition}"
        text = self._db.execute(
            "SELECT json_group_array(json_array(seq, json_array(topic), length(record))) FROM"
            f" (SELECT seq, topic, record {where} ORDER BY seq)",
            (floor, to, *values),
        ).fetchone()[0]
        left = _read_left(text)
        if self._db.execute(f"SELECT max(several) {where}", (floor, to, *values)).fetchone()[0]:
            several = self._events(table, floor, to, "AND several")
            topics = {event.id.seq: event.draft.topics for event in several}
            left = [each._replace(topics=topics.get(each.seq, each.topics)) for each in left]
        return left

    def _events(
        self, table: str, floor: int, to: int, condition: str = "", most: int = -1
    ) -> list[Event]:
        count, records = self._db.execute(
            "SELECT count(*), CAST(group_concat(CAST(record AS TEXT), '') AS BLOB)"
            f" FROM (SELECT record FROM {table} WHERE seq > ? AND seq <= ? {condition}"
            " ORDER BY seq LIMIT ?)",
            (floor, to, most),
        ).fetchone()
        return decode_records(records, count, self._epoch)


def as_json(seqs: Sequence[int]) -> str:
    """The seqs as an array that a statement takes as one value."""
    return msgspec.json.encode(seqs).decode()
