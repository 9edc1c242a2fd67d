"""Finds events in the file, a bounded piece at a time.

A search passes segments in SQLite, without the interpreter's lock. Those that may have what is wanted are decoded, and
only what is wanted of them becomes events.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from tocsin.core.event import Event
from tocsin.core.filters import Filter
from tocsin.core.record import Content
from tocsin.eventlog.journal.sqlite.kept_newest import as_json
from tocsin.eventlog.journal.sqlite.segments import Loaded, condition_of, last_of, load

SCAN_EVENTS = 20_000
"""That one piece looks at: 4 ms, where each is a segment of its own."""

SCAN_BYTES = 4 * 1024 * 1024
"""Bytes of contents that one piece passes, however few of them are wanted."""

AT_ONCE = 512
"""Events that are decoded without giving up the interpreter's lock: 0.2 ms."""

MOST_DECODED = 4_096
"""Events that one piece decodes, however few of them are wanted."""

MOST_ROWS = 1_024
"""Segments that one piece chooses from, however small they are."""


class Found(NamedTuple):
    """A piece read forwards: its events, the last seq that was looked at, and the file's floor then."""

    events: Sequence[Event]
    cursor: int
    floor: int


class FoundBefore(NamedTuple):
    """A piece read backwards: its events, oldest first, their bytes, the first seq looked at, and the file's floor then."""

    events: Sequence[Event]
    bytes: int
    before: int
    floor: int


def read(
    db: sqlite3.Connection,
    epoch: int,
    after: int,
    end: int,
    filter: Filter,
    max_events: int,
    max_bytes: int,
) -> Found:
    """Events after `after` up to `end`, within one state of the file: a bounded piece of them, which may be empty.

    Raises:
        RecordError: what is in the file makes no events.
    """
    db.execute("BEGIN")
    try:
        floor = db.execute("SELECT floor FROM log").fetchone()[0]
        after = max(after, floor)
        if after >= end:
            return Found((), after, floor)
        taking = _Taking(epoch, filter, max_events, max_bytes)
        segments: Iterable[Loaded]
        if filter.is_everything:
            # Those that begin before the piece is full, by one statement: each asks for the interpreter's lock again.
            segments = load(db, _BEHIND, *_bounds(after, min(end, after + max_events), max_bytes))
            looked_at = segments[-1].last if segments else end
        else:
            spans, looked_at = _scan(db, after, end, filter)
            segments = _forwards(db, spans)
        for segment in segments:
            if not taking.take(segment, segment.between(after, end)):
                return Found(taking.events, taking.events[-1].id.seq, floor)
    finally:
        db.execute("COMMIT")
    return Found(taking.events, min(looked_at, end), floor)


def read_back(
    db: sqlite3.Connection,
    epoch: int,
    before: int,
    after: int,
    filter: Filter,
    max_events: int,
    max_bytes: int,
) -> FoundBefore:
    """The newest events below `before` and behind `after`, likewise.

    Raises:
        RecordError: as `read`.
    """
    db.execute("BEGIN")
    try:
        floor = db.execute("SELECT floor FROM log").fetchone()[0]
        low = max(floor, after, before - 1 - SCAN_EVENTS)
        taking = _Taking(epoch, filter, max_events, max_bytes)
        spans, looked_at = _scan_back(db, low, before - 1, filter)
        for segment in _backwards(db, spans):
            if not taking.take(segment, reversed(segment.between(low, before - 1))):
                looked_at = taking.events[-1].id.seq
                break
    finally:
        db.execute("COMMIT")
    return FoundBefore(taking.events[::-1], taking.bytes, looked_at, floor)


class _Taking:
    """Takes events for a piece, up to the one that fills it.

    Attributes:
        events: those that were taken.
        bytes: about what they take when they are sent.
    """

    def __init__(self, epoch: int, filter: Filter, max_events: int, max_bytes: int) -> None:
        self.events: list[Event] = []
        self.bytes = 0
        self._epoch = epoch
        self._filter = filter
        self._max_events = max_events
        self._max_bytes = max_bytes

    def take(self, segment: Loaded, numbered: Iterable[tuple[int, Content]]) -> bool:
        """Take what the filter lets through of these events of a segment; whether there is room for more."""
        matches = None if self._filter.is_everything else self._filter.matches
        room, room_bytes = self._max_events - len(self.events), self._max_bytes - self.bytes
        taken: list[tuple[int, Content]] = []
        for seq, content in numbered:
            if matches:
                its = content.attributes
                if not matches(its.topic, its.type, its.more_topics):
                    continue
            taken.append((seq, content))
            room_bytes -= len(content.data) + 60
            if room_bytes <= 0 or len(taken) == room:
                break
        self.events += segment.events_of(taken, self._epoch)
        self.bytes = self._max_bytes - room_bytes
        return room_bytes > 0 and len(taken) < room


class _Span(NamedTuple):
    """A segment that may have what is wanted: the last seq and how many events."""

    last: int
    events: int


_read_spans = msgspec.json.Decoder(list[_Span]).decode


# `>=`, as `>` looks at the page of what lies before too, which may be damaged.
_BEHIND = (
    "last >= ? AND last <= coalesce((SELECT last FROM segments WHERE last >= ? ORDER BY last LIMIT 1), ?)"
    " AND total - size < ? + (SELECT total - size FROM segments WHERE last >= ? ORDER BY last LIMIT 1)"
)


def _bounds(after: int, to: int, max_bytes: int) -> tuple[int, ...]:
    """What `_BEHIND` asks for: the segments with events after `after` up to `to`, as far as they begin within so many bytes."""
    return after + 1, to, to, max_bytes, after + 1


def _scan(
    db: sqlite3.Connection, after: int, end: int, filter: Filter
) -> tuple[Sequence[_Span], int]:
    """The segments behind `after` that may have events of a piece, and the last seq that was looked at."""
    condition, values = condition_of(filter)
    bounds = _bounds(after, min(end, after + SCAN_EVENTS), SCAN_BYTES)
    text = db.execute(
        "SELECT json_group_array(json_array(last, events)) FROM (SELECT last, events FROM segments"
        f" WHERE {_BEHIND} AND {condition} ORDER BY last LIMIT ?)",
        (*bounds, *values, MOST_ROWS),
    ).fetchone()[0]
    spans = _few(_read_spans(text))
    if spans.are_all:
        last = db.execute(f"SELECT max(last) FROM segments WHERE {_BEHIND}", bounds).fetchone()[0]
        return spans.spans, end if last is None else last
    return spans.spans, spans.spans[-1].last


def _scan_back(
    db: sqlite3.Connection, low: int, high: int, filter: Filter
) -> tuple[Sequence[_Span], int]:
    """The same behind `low` up to `high`, the newest first; and the first seq that was looked at."""
    condition, values = condition_of(filter)
    # The oldest row is looked up: a step back from it would look at the page before, which may be damaged.
    first, end = last_of(db, low + 1), last_of(db, high)
    text = db.execute(
        "SELECT json_group_array(json_array(last, events)) FROM (SELECT * FROM"
        f" (SELECT last, events FROM segments WHERE last > ? AND last <= ? AND {condition} ORDER BY last DESC LIMIT ?)"
        f" UNION ALL SELECT last, events FROM segments WHERE last = ? AND last <= ? AND {condition} LIMIT ?)",
        (first, end, *values, MOST_ROWS, first, end, *values, MOST_ROWS),
    ).fetchone()[0]
    spans = _few(_read_spans(text))
    oldest = low + 1
    if not spans.are_all:
        last, events = spans.spans[-1]
        oldest = max(last - events + 1, oldest)
    return spans.spans, oldest


class _Few(NamedTuple):
    spans: Sequence[_Span]
    are_all: bool


def _few(spans: Sequence[_Span]) -> _Few:
    """The first of `spans` that one piece may decode; and whether there are no others."""
    events = 0
    for number, span in enumerate(spans):
        events += span.events
        if events > MOST_DECODED:
            return _Few(spans[:number], False)
    return _Few(spans, len(spans) < MOST_ROWS)


def _portions(spans: Sequence[_Span]) -> Iterator[list[int]]:
    """The last seqs of `spans`, so many at a time as are decoded at once."""
    lasts: list[int] = []
    events = 0
    for span in spans:
        if lasts and events + span.events > AT_ONCE:
            yield lasts
            lasts, events = [], 0
        lasts.append(span.last)
        events += span.events
    if lasts:
        yield lasts


def _forwards(db: sqlite3.Connection, spans: Sequence[_Span]) -> Iterator[Loaded]:
    """These segments, some read at a time."""
    for lasts in _portions(spans):
        yield from _load(db, lasts)


def _backwards(db: sqlite3.Connection, spans: Sequence[_Span]) -> Iterator[Loaded]:
    """These segments, the newest first; some are read only when those before them are too few."""
    for lasts in _portions(spans):
        yield from reversed(_load(db, lasts))


def _load(db: sqlite3.Connection, lasts: Sequence[int]) -> list[Loaded]:
    return load(db, "last IN (SELECT value FROM json_each(?))", as_json(lasts))
