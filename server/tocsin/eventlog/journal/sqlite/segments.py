"""Events as the file has them: up to 64 of one transaction in a row, which is a *segment*.

A row costs SQLite as much as some events, and a place in its tree; so a segment of 64 events costs a tenth of 64 rows.
All its events have one time. It is written once and never changed: what is evicted of it is told by the log's floor,
and the row goes with its last event.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, count, pairwise, repeat
from typing import NamedTuple

import msgspec

from tocsin.core.event import Draft, Event, ids_of
from tocsin.core.filters import Filter
from tocsin.core.record import (
    Content,
    Contents,
    RecordError,
    decode_attributes,
    decode_contents,
    encode_contents,
)
from tocsin.eventlog.journal.sqlite.compression import compressed, expanded

MOST_EVENTS = 64
"""Of a segment. Who wants one of them reads all."""

MOST_BYTES = 16 * 1024
"""That the events of a segment count with more than one of them."""

ROWS = 64
"""Segments that one INSERT adds. Each statement gives up the interpreter's lock once; `executemany` does for each row."""

_ROW = "(?, ?, ?, ?, ?, ?, ?, ?)"
_INSERTS = ["INSERT INTO segments VALUES " + ", ".join([_ROW] * rows) for rows in range(ROWS + 1)]


class Segment(NamedTuple):
    """A row.

    Attributes:
        last: the seq of its newest event.
        events: how many it has, which follow one another.
        time: of them all, Unix time in microseconds: SQLite writes no fraction into JSON with all its digits.
        size: the bytes that its events count; more than they take here, where they share attributes.
        total: the bytes of all events of the log up to this segment and with it.
        types: the types of its events, each once, each between two line breaks: so SQL finds them without a mistake.
        topics: all their topics, likewise.
        contents: of its events, as `encode_contents` makes them and `compressed` leaves them.
    """

    last: int
    events: int
    time: int
    size: int
    total: int
    types: str
    topics: str
    contents: bytes


# --- writing --------------------------------------------------------------------------------------


def micros(time: float) -> int:
    """Unix time in microseconds, of one in seconds."""
    return round(time * 1e6)


def seconds(time: int) -> float:
    """Unix time in seconds, of one in microseconds."""
    return time / 1e6


def segments_of(drafts: Sequence[Draft], time: int, head: int, total: int) -> list[Segment]:
    """The segments of `drafts`, which come at `time` behind the seq `head` and `total` bytes."""
    segments = []
    for first in range(0, len(drafts), MOST_EVENTS):
        for some, contents in _in_parts(drafts[first : first + MOST_EVENTS]):
            head += len(some)
            total += contents.bytes
            kept = compressed(contents.encoded)
            segments.append(
                Segment(head, len(some), time, contents.bytes, total, *names_of(contents), kept)
            )
    return segments


def insert(db: sqlite3.Connection, segments: Sequence[Segment]) -> None:
    """Add these rows; up to `ROWS` of them are one statement."""
    for first in range(0, len(segments), ROWS):
        some = segments[first : first + ROWS]
        db.execute(_INSERTS[len(some)], [value for segment in some for value in segment])


def _in_parts(drafts: Sequence[Draft]) -> list[tuple[Sequence[Draft], Contents]]:
    """`drafts` in parts that are within `MOST_BYTES`, or have one event, each with its contents."""
    contents = encode_contents(drafts)
    if contents.bytes <= MOST_BYTES or len(drafts) == 1:
        return [(drafts, contents)]
    parts = min(-(-contents.bytes // MOST_BYTES), len(drafts))
    bounds = [len(drafts) * part // parts for part in range(parts + 1)]
    return [part for low, high in pairwise(bounds) for part in _in_parts(drafts[low:high])]


def names_of(contents: Contents) -> tuple[str, str]:
    """`types` and `topics` of a row with these contents."""
    return _lines(contents.types), _lines(contents.topics)


def _lines(names: Sequence[str]) -> str:
    return "\n" + "\n".join(names) + "\n"


def names_in(lines: str) -> list[str]:
    """The names of a row's `types` or `topics`, each once."""
    return lines[1:-1].split("\n")


def condition_of(filter: Filter) -> tuple[str, list[str]]:
    """What `filter` asks of a row, as SQL, and its values.

    Each segment that has an event for `filter` fulfils it, and some others do: a type and a topic may be those of
    different events.
    """
    wanted: list[tuple[str, list[str]]] = []
    if filter.types:
        wanted.append(("types", [f"\n{type}\n" for type in sorted(filter.types)]))
    if filter.asks_for_topics:
        exact = [f"\n{topic}\n" for topic in sorted(filter.exact)]
        wanted.append(("topics", exact + [f"\n{prefix}" for prefix in filter.prefixes]))
    parts = [" OR ".join([f"instr({column}, ?)"] * len(lines)) for column, lines in wanted]
    sql = " AND ".join([f"({part})" for part in parts])
    return sql or "1", [line for _, lines in wanted for line in lines]


# --- reading --------------------------------------------------------------------------------------


class Loaded(NamedTuple):
    """A segment that was read: the seq of its first event, the time of all, `total` as in its row, and its contents."""

    first: int
    time: int
    total: int
    contents: Sequence[Content]

    @property
    def last(self) -> int:
        """The seq of its last event."""
        return self.first + len(self.contents) - 1

    def between(self, floor: int, to: int) -> list[tuple[int, Content]]:
        """Its events after `floor` up to `to`, with their seqs."""
        low, high = max(floor + 1 - self.first, 0), max(to + 1 - self.first, 0)
        return list(enumerate(self.contents[low:high], self.first + low))

    def total_at(self, seq: int) -> int:
        """The bytes of all events of the log up to `seq`, one of its own, or the one before them."""
        later = self.contents[seq + 1 - self.first :]
        return self.total - sum([content.bytes for content in later])

    def events_between(self, floor: int, to: int, epoch: int) -> list[Event]:
        """The same as events.

        Raises:
            RecordError: a content is none of an event.
        """
        return self.events_of(self.between(floor, to), epoch)

    def events_of(self, numbered: Sequence[tuple[int, Content]], epoch: int) -> list[Event]:
        """These of its contents, with their seqs, as events; made together, which costs a third of one by one.

        Raises:
            RecordError: as there.
        """
        ids = ids_of(epoch, [seq for seq, _ in numbered])
        drafts = [content.draft for _, content in numbered]
        return list(map(Event, ids, drafts, repeat(seconds(self.time))))


def load(db: sqlite3.Connection, where: str, *values: object) -> list[Loaded]:
    """The segments whose rows fulfil `where`, in the order of the log.

    Raises:
        RecordError: what is in a row makes no segment.
    """
    rows, contents = _read(db, where, values)
    found = decode_contents(contents, [row.events for row in rows])
    return [
        Loaded(row.last - row.events + 1, row.time, row.total, some)
        for row, some in zip(rows, found, strict=True)
    ]


def load_undamaged(db: sqlite3.Connection, where: str, *values: object) -> list[Loaded]:
    """Those of the segments that `load` would find whose contents can be read."""
    try:
        return load(db, where, *values)
    except RecordError:
        pass
    found: list[Loaded] = []
    for (last,) in db.execute(
        f"SELECT last FROM segments WHERE {where} ORDER BY last", values
    ).fetchall():
        with suppress(RecordError):
            found += load(db, "last = ?", last)
    return found


SeqPair = tuple[int, str, str]
"""A seq, and a topic and the type of the event there."""


def newest_pairs(
    db: sqlite3.Connection,
    floor: int,
    to: int,
    but: Collection[int],
    where: str,
    *values: object,
) -> Iterator[SeqPair]:
    """Pairs of events after `floor` up to `to`, of the segments whose rows fulfil `where`; none with a seq in `but`.

    Of each segment the newest event of a topic and type is told; older ones only where they differ in something else,
    such as their source. What isn't told costs little: a twentieth of what `load` takes for it.

    Raises:
        RecordError: as there.
    """
    rows, contents = _read(db, where, values)
    found = decode_attributes(contents, [row.events for row in rows])
    for row, shared in zip(rows, found, strict=True):
        first = row.last - row.events + 1
        low, high = max(floor + 1 - first, 0), max(to + 1 - first, 0)
        numbered: Iterable[tuple[int, int]] = zip(shared.places[low:high], count(first + low))
        if but:
            numbered = [(place, seq) for place, seq in numbered if seq not in but]
        for place, seq in dict(numbered).items():
            its = shared.attributes[place]
            for topic in its.topics:
                yield seq, topic, its.type


class _Row(NamedTuple):
    last: int
    events: int
    time: int
    total: int
    length: int  # of its contents, as the file has them


_read_rows = msgspec.json.Decoder(list[_Row]).decode


def _read(
    db: sqlite3.Connection, where: str, values: Sequence[object]
) -> tuple[Sequence[_Row], bytes]:
    """The rows that fulfil `where`, in the order of the log; and their contents, expanded, one behind the other.

    SQLite puts them one behind the other in one row, and they are decoded at one go: row by row, a thread would wait for
    the interpreter's lock after each, while the loop has work. Expanding gives it up too, but for a microsecond, after
    which it is mostly still free.
    """
    text, contents = db.execute(
        "SELECT json_group_array(json_array(last, events, time, total, length(contents))),"
        " CAST(group_concat(CAST(contents AS TEXT), '') AS BLOB)"
        f" FROM (SELECT last, events, time, total, contents FROM segments WHERE {where} ORDER BY last)",
        values,
    ).fetchone()
    rows = _read_rows(text)
    bounds = pairwise(accumulate([row.length for row in rows], initial=0))
    return rows, b"".join([expanded(contents[start:end]) for start, end in bounds])


def holder_of(db: sqlite3.Connection, seq: int) -> Loaded | None:
    """The segment that has the event with this seq; None where it isn't kept."""
    found = load(
        db, "last = (SELECT last FROM segments WHERE last >= ? ORDER BY last LIMIT 1)", seq
    )
    return found[0] if found and found[0].first <= seq else None


def last_of(db: sqlite3.Connection, seq: int) -> int:
    """The last seq of the segment that has this one; itself where none has."""
    row = db.execute(
        "SELECT last FROM segments WHERE last >= ? ORDER BY last LIMIT 1", (seq,)
    ).fetchone()
    return int(row[0]) if row else seq
