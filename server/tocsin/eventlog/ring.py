"""The ring: a bounded window over the log, in memory, and the only place events are read from.

It holds each event as the bytes every stream sends. Events leave at the old end when a limit by
count, by bytes or by age is passed, whichever binds first. The ring remembers what left well enough to
say whether a given stream lost something. It knows no clock (callers bring `now`) and no socket.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, cast

import msgspec

from tocsin.core.event import EventId
from tocsin.core.filters import Filter
from tocsin.eventlog.entry import Entry
from tocsin.eventlog.evictions import Evictions
from tocsin.eventlog.kept_newest import KeptNewest
from tocsin.eventlog.recent import Picking
from tocsin.eventlog.retention import Left, Retention
from tocsin.eventlog.topic_index import (
    Seqs,
    TopicIndex,
    are_cheaper,
    ascending,
    count_after,
    descending,
    seqs_after,
    up_to,
)

__all__ = ["Entry", "Expired", "Reading", "RingBuffer"]

REMEMBERED_EVICTIONS = 100_000
"""How many pairs of topic and type the ring remembers the newest evicted event of, unless told otherwise."""

SCAN_LIMIT = 2_000
"""Events a single read looks at: a filtered read of a long history must not hold up the loop."""

NEWEST_LIMIT = 30_000
"""Events that a search for the newest looks at: 10 ms. Who may not wait doesn't continue it, so it may look further."""

COUNT_LIMIT = 12_000
"""Events that are looked at to be counted: 5 ms."""

INDEX_LAG = 1_000
"""Events that may not be in the index yet: 0.2 ms of work for who reads first."""

MAX_SLACK = 1_000
"""Events above the limit by count that wait for the others, so that all are evicted in one go: 5 ms."""

MAX_SLACK_BYTES = 256 * 1024
"""Bytes above the limit by bytes that do so."""

FEW = 64
"""Events behind a cursor that are looked at rather than looked up."""

PAGE = 500
"""Events that a read usually finds, for guessing what it costs."""

PICKED_TOPICS = 20_000
"""Topics that are looked up for the newest events of each: 10 ms."""

PICKED_EVENTS = 100_000
"""Events that are looked up so. Where they would be more, the log is walked from its end until there are enough."""

JUMP_S = 60.0
"""Seconds of the log that one `expire` evicts at most."""


class Reading(msgspec.Struct, frozen=True):
    """What a read found: matching entries in order, and the cursor behind the last one looked at."""

    entries: list[Entry]
    cursor: int


class Expired(NamedTuple):
    """What `expire` evicted: how many events, and whether as old ones are left for the next call."""

    events: int
    is_behind: bool


class RingBuffer:
    """The newest entries of one epoch.

    Args:
        epoch: of the log this is a window over.
        max_events: the limit by count; up to a hundredth more are kept at times, so that evicting is shared work.
        max_bytes: the limit by encoded size and the size of the index, with the same hundredth.
        max_age_s: the limit by age in seconds, with a thousandth; 0 keeps events however old.
        remembered_evictions: pairs of topic and type of which the newest evicted event is remembered.
        retention: what stays of that which is evicted; None where nothing does.
    """

    def __init__(
        self,
        epoch: int,
        *,
        max_events: int,
        max_bytes: int,
        max_age_s: float = 0.0,
        remembered_evictions: int = REMEMBERED_EVICTIONS,
        retention: Retention | None = None,
    ) -> None:
        self.epoch = epoch
        self.head = 0
        self.bytes = 0
        self.evicted = {"count": 0, "bytes": 0, "age": 0}
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        # Letting go one by one would be a tenth of what a POST costs; too many at once, a pause.
        self._most_events = max_events + min(max_events // 128, MAX_SLACK)
        self._most_bytes = max_bytes + min(max_bytes // 128, MAX_SLACK_BYTES)
        # One list and the index of its first live slot: a deque would make reading at an offset a
        # walk, and a circular array needs a second counter that could disagree.
        self._entries: list[Entry | None] = []
        self._start = 0
        # What is derived from the entries is brought up to date later, in one go: an append that fails
        # then has little to undo, and one that works little to do.
        self._settled = (
            0  # the slots before it are empty, and the derived parts know of their eviction
        )
        self._is_settling = False
        self._index = TopicIndex()
        self._index_bytes = 0
        self._evictions = Evictions(remembered_evictions)
        self._retention = retention
        self._kept_newest = None if retention is None else KeptNewest(retention.max_bytes)
        self._times: deque[tuple[int, float]] = (
            deque()
        )  # a seq, and when at the latest it was appended

    @property
    def floor(self) -> int:
        """The newest evicted seq: a cursor here or above has lost nothing. 0 before any eviction."""
        return self.head - len(self)

    def newest_before(self, time: float) -> int:
        """The newest seq that is kept of events older than the Unix time `time`; the floor where there is none."""
        at = bisect_left(
            self._entries, time, self._start, key=lambda entry: cast(Entry, entry).time
        )
        return self.floor + at - self._start

    @property
    def oldest(self) -> Entry | None:
        """The oldest entry kept, or None if the ring is empty."""
        return self._entries[self._start] if len(self) else None

    @property
    def kept_newest(self) -> KeptNewest | None:
        """What stays of the entries up to `floor`; None where nothing does."""
        if self._kept_newest is not None:
            self._settle_if_due()
        return self._kept_newest

    def id_at(self, seq: int) -> EventId:
        """The id of place `seq` of this log."""
        return EventId(self.epoch, seq)

    # --- what comes and goes ------------------------------------------------------------------

    def start_at(self, floor: int) -> None:
        """Take up a log whose newest event known to be gone is `floor`; only for an empty ring."""
        self.head = self._evictions.forgotten = floor
        self._index = TopicIndex(floor)

    def load(self, entries: Sequence[Entry], now: float, wall: float) -> None:
        """Add the entries of a log that is taken up, which are as old as their own times say.

        Args:
            entries: the next ones.
            now: as for `append`.
            wall: Unix time in seconds, which the entries' times are compared with.
        """
        self.append(entries, now)
        self._settle()  # here a second for a million events is only a later start
        if not self._max_age_s:
            return
        times: deque[tuple[int, float]] = deque()
        youngest = now
        for entry in reversed(self._list(self.floor, self.head)):
            # An event isn't younger than one that came after it, whatever the clock did then.
            youngest = min(youngest, now - (wall - entry.time))
            if not times or youngest <= times[0][1] - self._time_step:
                times.appendleft((entry.seq, youngest))
        self._times = times

    def append(self, entries: Sequence[Entry], now: float) -> None:
        """Add the next entries of the log, then evict what the limits by count and bytes no longer allow.

        Whole or not at all: after any exception, the ring is as before.

        Args:
            entries: the next ones.
            now: seconds of a clock that can't be set; events are as old as it says, not as their times.

        Raises:
            ValueError: they aren't the next ones. A hole would be a silent loss.
        """
        for seq, entry in enumerate(entries, self.head + 1):
            if entry.seq != seq:
                raise ValueError(f"entry {entry.seq} where {seq} is the next")
        if self._start > self._settled or self.head - self._index.head > INDEX_LAG:
            self._settle()
        slots, head, bytes, start = self._entries, self.head, self.bytes, self._start
        before = len(slots)
        try:
            slots.extend(entries)
            self.head = head + len(entries)
            self.bytes = bytes + sum([len(entry.block) for entry in entries])
            if len(slots) - start > self._most_events:
                self._evict(len(slots) - start - self._max_events)
            beyond_count = self._start - start
            if self.bytes + self._index_bytes > self._most_bytes:
                self._evict(self._count_beyond_bytes())
            if self._max_age_s:
                self._note_time(now)
            if self._start > start:
                self._count_evicted(beyond_count, self._start - start - beyond_count)
        except BaseException:
            del slots[before:]
            self.head, self.bytes, self._start = head, bytes, start
            while self._times and self._times[-1][0] > head:
                self._times.pop()
            raise

    def expire(self, now: float) -> Expired:
        """Evict what is older than the limit by age; to be called about once a second.

        One call evicts what was appended in one minute at most. So a log whose times are wrong, or a
        clock that jumps all the same, costs a minute of history a second, and somebody can step in.

        Args:
            now: as for `append`.
        """
        if not self._max_age_s:
            return Expired(0, False)
        self._note_time(now)
        limit = now - self._max_age_s
        while self._times and self._times[0][0] <= self.floor:
            self._times.popleft()
        if not self._times or self._times[0][1] >= limit:
            return Expired(0, False)
        until = self._times[0][1] + JUMP_S
        seq = 0
        while self._times and self._times[0][1] < limit and self._times[0][1] <= until:
            seq, _ = self._times.popleft()
        count = max(seq - self.floor, 0)
        self._evict(count)
        self.evicted["age"] += count
        self._settle()  # the next append, which would do it, may be far off
        return Expired(count, bool(self._times) and self._times[0][1] < limit)

    @property
    def _time_step(self) -> float:
        """So far apart are the times that are noted, at least."""
        return self._max_age_s / 1024

    def _note_time(self, now: float) -> None:
        """Note that what is in the ring was appended by `now`, where the last note is old enough."""
        if not self._times:
            if len(self):
                self._times.append((self.head, now))
        elif self.head > self._times[-1][0] and now >= self._times[-1][1] + self._time_step:
            self._times.append((self.head, now))

    def _count_evicted(self, by_count: int, by_bytes: int) -> None:
        count, bytes = self.evicted["count"] + by_count, self.evicted["bytes"] + by_bytes
        self.evicted["count"], self.evicted["bytes"] = count, bytes

    def _count_beyond_bytes(self) -> int:
        """How many of the oldest have to go, so that the others and the index keep the limit by bytes."""
        left = self.bytes + self._index_bytes
        share = self._index_bytes // len(self)  # of an event in the index
        for count in range(len(self)):
            if left <= self._max_bytes:
                return count
            left -= len(self._at_slot(self._start + count).block) + share
        return len(self)

    def _evict(self, count: int) -> None:
        """Let the oldest `count` go."""
        gone = cast(list[Entry], self._entries[self._start : self._start + count])
        self.bytes -= sum([len(entry.block) for entry in gone])
        self._start += count

    def _settle(self) -> None:
        """Bring the index and the memory of evictions up to date. What fails here is done again the next time."""
        is_again = self._is_settling
        if is_again:  # it failed the last time: nobody knows how far the index is
            self._index = TopicIndex(self.floor)
            self._evictions.distrust()
            self._let_go_of_kept()
        self._is_settling = True
        gone = cast(list[Entry], self._entries[self._settled : self._start])
        self._index.add(self._list(self._index.head, self.head))
        several = is_again or self._index.several > 0
        if self._retention is None:
            self._evictions.remember(gone, several=several)
        else:
            self._retain(gone, several=several)
        self._index.drop(gone, self.floor)
        self._index_bytes = self._index.bytes
        # Emptying slots and counting them are one line, so that nothing can fail between.
        self._entries[self._settled : self._start], self._settled = [None] * len(gone), self._start
        if self._start * 2 > len(self._entries):
            # Half is empty slots: amortised, one move an entry.
            self._entries[: self._start], self._start, self._settled = [], 0, 0
        self._is_settling = False

    def _retain(self, gone: Sequence[Entry], *, several: bool) -> None:
        """Keep what is to stay of the evicted entries `gone`, and note the others as lost."""
        retention, kept_newest = self._retention, self._kept_newest
        assert retention is not None
        assert kept_newest is not None
        left = [Left(entry.seq, entry.topics, len(entry.block)) for entry in gone]
        verdict = retention.take(left)
        staying = set(verdict.kept)
        self._evictions.remember(
            [entry for entry in gone if entry.seq not in staying], several=several
        )
        removed = kept_newest.apply(
            [entry for entry in gone if entry.seq in staying],
            verdict.evicted,
            bytes=retention.bytes,
            beyond_bytes=verdict.beyond_bytes,
        )
        self._evictions.remember_late(removed)

    def _let_go_of_kept(self) -> None:
        """Begin anew after a failure, when nobody knows what stays: all that was kept is lost, and said to be."""
        if self._retention is None or self._kept_newest is None:
            return
        self._evictions.forgotten = self.floor
        self._retention = Retention(self._retention.rules, self._retention.max_bytes)
        before, self._kept_newest = self._kept_newest, KeptNewest(self._retention.max_bytes)
        self._kept_newest.beyond_bytes = before.beyond_bytes

    # --- reading ------------------------------------------------------------------------------

    def read(self, cursor: int, filter: Filter, *, max_bytes: int, max_events: int = 0) -> Reading:
        """Entries after `cursor` that `filter` lets through, oldest first.

        Stops behind the entry that fills `max_bytes` or `max_events` (0: no limit), and after it looked
        at `SCAN_LIMIT` entries: the reading's cursor says where to go on. It equals `head` at the end.
        """
        cursor = max(cursor, self.floor)
        lists = self._lists_for(cursor, filter, max_events or PAGE)
        if lists is None:
            end = min(cursor + SCAN_LIMIT, self.head)
            looked_at: Iterator[Entry] = iter(self._list(cursor, end))
        else:
            end = self.head
            looked_at = map(self._at, islice(ascending(lists, cursor), SCAN_LIMIT))
        everything = filter.is_everything
        found: list[Entry] = []
        size = looks = 0
        for entry in looked_at:
            looks += 1
            if entry.seq == cursor:  # again, for another of its topics
                continue
            cursor = entry.seq
            if everything or filter.matches(entry.topic, entry.type, entry.more_topics):
                found.append(entry)
                size += len(entry.block)
                if size >= max_bytes or len(found) == max_events:
                    return Reading(found, cursor)
        if lists is not None and looks == SCAN_LIMIT:
            return Reading(found, cursor)
        return Reading(found, end)

    def newest(
        self, filter: Filter, count: int, *, max_bytes: int, before: int | None = None
    ) -> list[Entry]:
        """The newest `count` entries, of those below `before` if it is given; fewer as `before` says."""
        end = self.head + 1 if before is None else before
        return self.before(end, filter, count, max_bytes=max_bytes)[0]

    def before(
        self, end: int, filter: Filter, count: int, *, max_bytes: int
    ) -> tuple[list[Entry], int]:
        """The newest `count` entries below `end` that `filter` lets through, oldest first; and where to go on.

        Fewer where they pass `max_bytes`, which the last one found may, or where `NEWEST_LIMIT` entries
        were looked at: that happens only where few of those on its topics are of its types, or where
        it asks for more than a few thousand topics in use. What is older than these is before the seq that
        is returned; nothing is where that is no more than one above the floor.
        """
        is_whole = end > self.head
        end = min(end, self.head + 1)
        lists = self._lists_for(self.floor, filter, count)
        if lists is None:
            seqs = iter(range(end - 1, self.floor, -1))
        else:
            seqs = descending(lists if is_whole else [up_to(each, end) for each in lists])
        found: list[Entry] = []
        size, last = 0, end
        for looks, seq in enumerate(seqs):
            if seq <= self.floor:
                break
            if looks == NEWEST_LIMIT:
                return found[::-1], last
            if seq == last:  # again, for another of its topics
                continue
            last = seq
            entry = self._at(seq)
            if filter.matches(entry.topic, entry.type, entry.more_topics):
                found.append(entry)
                size += len(entry.block)
                if len(found) == count or size >= max_bytes:
                    return found[::-1], last
        return found[::-1], min(end, self.floor + 1)

    def pick(self, picking: Picking) -> int:
        """Give `picking` the newest entries of each topic; returns the seq from which on all were looked at.

        That is later than the oldest entry only where `NEWEST_LIMIT` entries were looked at: where types are
        asked for, or more than `PICKED_TOPICS` topics, in a long window.
        """
        filter = picking.filter
        self._settle_if_due()
        names = None if filter.types else self._index.topics_of(filter, PICKED_TOPICS)
        if names is not None and len(names) * picking.per_topic <= PICKED_EVENTS:
            for name in names:
                newest = self._index.newest_of(name, picking.per_topic, self.floor)
                picking.take_newest(name, newest)
            return self.floor + 1
        lists = self._lists_for(self.floor, filter, PAGE)
        seqs = iter(range(self.head, self.floor, -1)) if lists is None else descending(lists)
        last = self.head + 1
        for looks, seq in enumerate(seqs):
            if seq <= self.floor:
                break
            if looks == NEWEST_LIMIT or picking.is_done:
                return last
            if seq != last:  # else again, for another of its topics
                entry = self._at(seq)
                picking.take(seq, entry.type, entry.topics)
                last = seq
        return self.floor + 1

    def kept(self, seq: int) -> Entry | None:
        """The entry with this seq, which is not after the head; None where it was evicted."""
        return self._at(seq) if seq > self.floor else None

    def evicted_topics(self, cursor: int, filter: Filter) -> list[str] | None:
        """The topics of which something was evicted after `cursor`, as `Evictions.topics_after` says."""
        self._settle_if_due()
        return self._evictions.topics_after(cursor, filter, PICKED_TOPICS)

    def count(self, cursor: int, filter: Filter) -> int | None:
        """How many kept entries after `cursor` the filter lets through; None where that is too much work."""
        cursor = max(cursor, self.floor)
        if filter.is_everything:
            return self.head - cursor
        if self.head - cursor <= FEW:
            return self._count_among(self._list(cursor, self.head), filter)
        self._settle_if_due()
        lists = self._index.find(filter)
        if lists is not None:
            count = count_after(lists, cursor)
            if not (filter.types and filter.asks_for_topics) and not self._index.several:
                return count
            if count <= COUNT_LIMIT:
                return self._count_among(map(self._at, seqs_after(lists, cursor)), filter)
        elif self.head - cursor <= COUNT_LIMIT:
            return self._count_among(self._list(cursor, self.head), filter)
        return None

    def has_lost(self, cursor: int, filter: Filter) -> bool:
        """Whether something that a stream with `filter` would have got after `cursor` was evicted.

        Exact for the pairs remembered; for the rest it errs on the side of saying so.
        """
        if cursor >= self.floor:
            return False
        if filter.is_everything and self._retention is None:
            return True
        self._settle_if_due()
        if filter.is_everything:
            return cursor < self._evictions.last
        return self._evictions.has_lost(cursor, filter)

    def _lists_for(self, cursor: int, filter: Filter, wanted: int) -> list[Seqs] | None:
        """Where to look up what `filter` lets through after `cursor`; None where looking at all is cheaper."""
        if filter.is_everything or self.head - cursor <= FEW:
            return None
        self._settle_if_due()
        lists = self._index.find(filter)
        if lists is None:
            return None
        return lists if are_cheaper(lists, wanted, len(self)) else None

    def _settle_if_due(self) -> None:
        if self._is_settling or self._start > self._settled or self.head > self._index.head:
            self._settle()

    @staticmethod
    def _count_among(entries: Iterable[Entry], filter: Filter) -> int:
        return sum([filter.matches(e.topic, e.type, e.more_topics) for e in entries])

    def _at(self, seq: int) -> Entry:
        """The kept entry with this seq."""
        return self._at_slot(len(self._entries) - 1 - self.head + seq)

    def _at_slot(self, slot: int) -> Entry:
        return cast(Entry, self._entries[slot])

    def _list(self, cursor: int, end: int) -> list[Entry]:
        """The entries after `cursor` up to `end`; those at the old end may be evicted, but not settled."""
        before = len(self._entries) - self.head  # a seq's slot is one less than this and the seq
        return cast(list[Entry], self._entries[before + cursor : before + end])

    def __len__(self) -> int:
        return len(self._entries) - self._start

    def __repr__(self) -> str:
        return f"RingBuffer(epoch={self.epoch}, head={self.head}, events={len(self)}, bytes={self.bytes})"
