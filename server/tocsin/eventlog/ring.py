"""The ring: a bounded window over the log, in memory, and the only place events are read from.

It holds each event as the bytes every stream sends. Events leave at the old end when a limit by
count, by bytes or by age is passed, whichever binds first. The ring remembers what left well enough to
say whether a given stream lost something. It knows no clock (callers bring `now`) and no socket.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import cast

import msgspec

from tocsin.core.event import Event, EventId
from tocsin.core.filters import Filter
from tocsin.core.wire import encode_event

REMEMBERED_KEYS = 4_096
"""How many (topic, type) pairs the ring remembers the newest evicted event of."""

SCAN_LIMIT = 2_000
"""Events a single read looks at: a filtered read of a long history must not hold up the loop."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event in the ring: its place, what filters ask about, and its encoded `block`."""

    seq: int
    topic: str
    type: str
    time: float
    block: bytes
    more_topics: tuple[str, ...] = ()

    @property
    def topics(self) -> tuple[str, ...]:
        """All its topics, each once."""
        return (self.topic, *self.more_topics)

    @classmethod
    def of(cls, event: Event) -> Entry:
        """Encode `event`; this happens once for all streams, live or replayed."""
        draft = event.draft
        block = encode_event(draft.type, draft.data, str(event.id))
        return cls(event.id.seq, draft.topic, draft.type, event.time, block, draft.more_topics)

    @property
    def data(self) -> bytes:
        """The event's data as published, cut back out of the block, so that it isn't kept twice."""
        lines = self.block.split(b"\n")[1:-3]
        return b"\n".join(line[len(b"data: ") :] for line in lines)


class Reading(msgspec.Struct, frozen=True):
    """What a read found: matching entries in order, and the cursor behind the last one looked at."""

    entries: list[Entry]
    cursor: int


class RingBuffer:
    """The newest entries of one epoch.

    Args:
        epoch: of the log this is a window over.
        max_events: the limit by count; a hundredth more are kept at times, so that evicting is shared work.
        max_bytes: the limit by encoded size.
        max_age_s: the limit by age in seconds; 0 keeps events however old.
    """

    def __init__(
        self, epoch: int, *, max_events: int, max_bytes: int, max_age_s: float = 0.0
    ) -> None:
        self.epoch = epoch
        self.head = 0
        self.bytes = 0
        self.evicted = {"count": 0, "bytes": 0, "age": 0}
        self._max_events = max_events
        # Letting go one by one would be a tenth of what a POST costs.
        self._slack = max_events // 128
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        # One list and the index of its first live slot: a deque would make reading at an offset a
        # walk, and a circular array needs a second counter that could disagree.
        self._entries: list[Entry | None] = []
        self._start = 0
        self._newest_evicted: dict[tuple[str, str], int] = {}  # in the order of their seq
        self._forgotten = 0  # the newest evicted seq among the pairs no longer remembered

    @property
    def floor(self) -> int:
        """The newest evicted seq: a cursor here or above has lost nothing. 0 before any eviction."""
        return self.head - len(self)

    @property
    def oldest(self) -> Entry | None:
        """The oldest entry kept, or None if the ring is empty."""
        return self._entries[self._start] if len(self) else None

    def id_at(self, seq: int) -> EventId:
        """The id of place `seq` of this log."""
        return EventId(self.epoch, seq)

    def start_at(self, floor: int) -> None:
        """Take up a log whose newest event known to be gone is `floor`; only for an empty ring."""
        self.head = self._forgotten = floor

    def append(self, entries: Sequence[Entry], now: float) -> None:
        """Add the next entries of the log, then evict what the limits no longer allow.

        Raises:
            ValueError: they aren't the next ones. A hole would be a silent loss.
        """
        for seq, entry in enumerate(entries, self.head + 1):
            if entry.seq != seq:
                raise ValueError(f"entry {entry.seq} where {seq} is the next")
        self._entries += entries
        self.head += len(entries)
        self.bytes += sum([len(entry.block) for entry in entries])
        if len(self) > self._max_events + self._slack:
            self._evict(len(self) - self._max_events, "count")
        if self.bytes > self._max_bytes:
            self._evict(self._count_beyond_bytes(), "bytes")
        self.expire(now)

    def expire(self, now: float) -> None:
        """Evict what is older than the limit by age at `now` (Unix seconds)."""
        if self._max_age_s:
            young = (n for n, e in enumerate(self._kept()) if now - e.time <= self._max_age_s)
            self._evict(next(young, len(self)), "age")

    def read(self, cursor: int, filter: Filter, *, max_bytes: int, max_events: int = 0) -> Reading:
        """Entries after `cursor` that `filter` lets through, oldest first.

        Stops behind the entry that fills `max_bytes` or `max_events` (0: no limit), and after
        `SCAN_LIMIT` entries: the reading's cursor says where to go on. It equals `head` at the end.
        """
        found: list[Entry] = []
        size = 0
        for entry in self._after(cursor, SCAN_LIMIT):
            cursor = entry.seq
            if filter.matches(entry.topic, entry.type):
                found.append(entry)
                size += len(entry.block)
                if size >= max_bytes or len(found) == max_events:
                    break
        return Reading(found, cursor)

    def newest(self, filter: Filter, count: int) -> list[Entry]:
        """The newest `count` entries that `filter` lets through, oldest first."""
        found: list[Entry] = []
        for slot in range(len(self._entries) - 1, self._start - 1, -1):
            entry = self._entries[slot]
            assert entry is not None
            if filter.matches(entry.topic, entry.type):
                found.append(entry)
                if len(found) == count:
                    break
        return found[::-1]

    def count(self, cursor: int, filter: Filter) -> int:
        """How many kept entries after `cursor` the filter lets through."""
        if filter.is_everything:
            return self.head - max(cursor, self.floor)
        return sum(filter.matches(e.topic, e.type) for e in self._after(cursor, self.head))

    def has_lost(self, cursor: int, filter: Filter) -> bool:
        """Whether something that a stream with `filter` would have got after `cursor` was evicted.

        Exact for the pairs remembered; for the rest it errs on the side of saying so.
        """
        if cursor >= self.floor:
            return False
        if filter.is_everything or cursor < self._forgotten:
            return True
        for (topic, type), seq in reversed(self._newest_evicted.items()):
            if seq <= cursor:
                return False
            if filter.matches(topic, type):
                return True
        return False

    def _after(self, cursor: int, limit: int) -> Iterator[Entry]:
        return self._kept(max(cursor - self.floor, 0), limit)

    def _kept(self, skip: int = 0, limit: int = sys.maxsize) -> Iterator[Entry]:
        """At most `limit` of the entries kept, oldest first, without the first `skip`."""
        first = skip + self._start
        for slot in range(first, min(first + limit, len(self._entries))):
            entry = self._entries[slot]
            assert entry is not None
            yield entry

    def _count_beyond_bytes(self) -> int:
        """How many of the oldest have to go, so that the others keep the limit by bytes."""
        left = self.bytes
        for count, entry in enumerate(self._kept()):
            if left <= self._max_bytes:
                return count
            left -= len(entry.block)
        return len(self)

    def _evict(self, count: int, reason: str) -> None:
        """Let the oldest `count` go; together, as a batch that is appended lets a batch go."""
        gone = cast(list[Entry], self._entries[self._start : self._start + count])
        self._entries[self._start : self._start + count] = [None] * count
        self._start += count
        if self._start * 2 > len(self._entries):
            # Half is empty slots: amortised, one move an entry.
            del self._entries[: self._start]
            self._start = 0
        self.bytes -= sum([len(entry.block) for entry in gone])
        self.evicted[reason] += count
        self._remember({(entry.topic, entry.type): entry.seq for entry in gone})

    def _remember(self, newest: dict[tuple[str, str], int]) -> None:
        """Note what was evicted last of each topic and type."""
        for key, seq in sorted(newest.items(), key=itemgetter(1)):
            self._newest_evicted.pop(key, None)  # so that it goes to the end: the order is by seq
            self._newest_evicted[key] = seq
        while len(self._newest_evicted) > REMEMBERED_KEYS:
            oldest = next(iter(self._newest_evicted))
            self._forgotten = self._newest_evicted.pop(oldest)

    def __len__(self) -> int:
        return len(self._entries) - self._start

    def __repr__(self) -> str:
        return f"RingBuffer(epoch={self.epoch}, head={self.head}, events={len(self)}, bytes={self.bytes})"
