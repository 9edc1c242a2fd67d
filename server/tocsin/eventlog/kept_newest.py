"""The events that stay though the history moved on: the newest of some topics, by the setting `keep_newest`.

They lie below the floor of the log, with holes between them: a sparse beginning of the log, which replays,
states and pages read first. It decides nothing: `retention` says what stays, and whoever keeps the log applies it here.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from tocsin.core.filters import Filter
from tocsin.eventlog.entry import Entry
from tocsin.eventlog.recent import Picking, Selection
from tocsin.eventlog.topic_index import (
    Seqs,
    TopicIndex,
    are_cheaper,
    ascending,
    count_after,
    descending,
    up_to,
    without,
)

SCAN_LIMIT = 2_000
"""Events that one reading looks at."""

COUNT_LIMIT = 12_000
"""Events that are looked at to be counted: 5 ms."""

NEWEST_LIMIT = 30_000
"""Events that a search for the newest looks at: 10 ms."""

PICKED_TOPICS = 20_000
"""Topics that are looked up for the newest events of each: 10 ms."""

KNOWN_SELECTIONS = 100
"""Filters whose selections are kept until something changes."""


class KeptNewest:
    """The kept entries below the floor of one epoch.

    Args:
        max_bytes: what they may count together, as `retention` does.

    Attributes:
        bytes: what they count.
        beyond_bytes: how many events were let go so far only because all together were too large.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.beyond_bytes = 0
        self._entries: dict[int, Entry] = {}
        self._seqs: Seqs = array("q")  # of all, ascending
        self._index = TopicIndex()
        self._matching: dict[Filter, Seqs] = {}  # what selections share, until something changes
        self._selections: dict[Filter, Selection] = {}

    # --- what comes and goes ------------------------------------------------------------------

    def apply(
        self, added: Sequence[Entry], removed: Iterable[int], *, bytes: int, beyond_bytes: int
    ) -> list[Entry]:
        """Take in what has left the history and stays, and let go of what stays no longer; the entries that went.

        Args:
            added: in the order of the log; the floor of the log is at or above them.
            removed: seqs of earlier ones, ascending.
            bytes: what all count that stay now.
            beyond_bytes: how many more events were let go for their bytes.
        """
        gone = [entry for seq in removed if (entry := self._entries.pop(seq, None)) is not None]
        if gone:
            self._index.remove(gone)
            self._seqs = without(self._seqs, [entry.seq for entry in gone])
        if added:
            self._entries.update({entry.seq: entry for entry in added})
            self._seqs.extend([entry.seq for entry in added])
            self._index.add(added)
        if gone or added:
            self._matching, self._selections = {}, {}
        self.bytes = bytes
        self.beyond_bytes += beyond_bytes
        return gone

    # --- reading ------------------------------------------------------------------------------

    @property
    def seqs(self) -> Sequence[int]:
        """The seqs of all, ascending; to be looked at before the next change."""
        return self._seqs

    @property
    def oldest(self) -> int | None:
        """The seq of the oldest one."""
        return self._seqs[0] if self._seqs else None

    def get(self, seq: int) -> Entry | None:
        """The entry with this seq, where it is kept here."""
        return self._entries.get(seq)

    def read(
        self, cursor: int, filter: Filter, *, max_bytes: int, max_events: int = 0
    ) -> tuple[list[Entry], int | None]:
        """Entries after `cursor` that `filter` lets through, oldest first; and where to go on here.

        Stops behind the entry that fills `max_bytes` or `max_events` (0: no limit), and after it looked at
        `SCAN_LIMIT` entries. The cursor to go on from is that of the last one looked at; None where nothing is left.
        """
        found: list[Entry] = []
        size = 0
        looked_to = cursor
        for looks, entry in enumerate(self._after(cursor, filter, max_events or SCAN_LIMIT)):
            if looks == SCAN_LIMIT or size >= max_bytes or len(found) == max_events > 0:
                return found, looked_to
            looked_to = entry.seq
            if filter.matches(entry.topic, entry.type, entry.more_topics):
                found.append(entry)
                size += len(entry.block)
        return found, None

    def clear_to(self, cursor: int, filter: Filter, end: int) -> int:
        """A seq up to which nothing is kept after `cursor` that `filter` lets through; `end` where nothing is at all."""
        for looks, entry in enumerate(self._after(cursor, filter, 1)):
            if filter.matches(entry.topic, entry.type, entry.more_topics):
                return entry.seq - 1
            if looks == SCAN_LIMIT:
                return entry.seq
        return end

    def count(self, cursor: int, filter: Filter) -> int | None:
        """How many after `cursor` the filter lets through; None where that is too much work."""
        if filter.is_everything:
            return len(self) - bisect_right(self._seqs, cursor)
        lists = self._index.find(filter)
        is_exact = not (filter.types and filter.asks_for_topics) and not self._index.several
        if lists is not None and is_exact:
            return count_after(lists, cursor)
        matching = looks = 0
        for looks, entry in enumerate(self._after(cursor, filter, SCAN_LIMIT)):
            matching += filter.matches(entry.topic, entry.type, entry.more_topics)
            if looks == COUNT_LIMIT:
                return None
        return matching

    def newest(self, filter: Filter, count: int, *, max_bytes: int) -> list[Entry]:
        """The newest `count` that `filter` lets through, oldest first; fewer as `before` says."""
        return self.before(self._seqs[-1] + 1 if self._seqs else 0, filter, count, max_bytes)[0]

    def before(
        self, end: int, filter: Filter, count: int, max_bytes: int
    ) -> tuple[list[Entry], int | None]:
        """The newest `count` below `end` that `filter` lets through, oldest first; and where to go on here.

        Fewer where they pass `max_bytes`, or where `NEWEST_LIMIT` entries were looked at. What is older than these is
        before the seq that is returned; None where nothing is.
        """
        found: list[Entry] = []
        size = 0
        for looks, entry in enumerate(self._below(end, filter, count)):
            if len(found) == count or size >= max_bytes or looks == NEWEST_LIMIT:
                return found[::-1], end
            end = entry.seq
            if filter.matches(entry.topic, entry.type, entry.more_topics):
                found.append(entry)
                size += len(entry.block)
        return found[::-1], None

    def pick(self, picking: Picking) -> bool:
        """Give `picking`, which has what is newer, the newest entries of each topic; whether all were looked at."""
        filter = picking.filter
        # Some may have left the history since they were picked, and are counted.
        known = {seq for seq in picking.seqs if seq in self._entries}
        names = None if filter.types else self._index.topics_of(filter, PICKED_TOPICS)
        if names is not None:
            for name in names:
                left = picking.per_topic - picking.counts.get(name, 0)
                if left > 0:
                    newest = self._index.newest_of(name, picking.per_topic, 0)
                    picking.take_newest(name, [seq for seq in newest if seq not in known][-left:])
            return True
        for looks, entry in enumerate(self._below(1 << 62, filter, SCAN_LIMIT)):
            if looks == NEWEST_LIMIT:
                return False
            if entry.seq not in known:
                picking.take(entry.seq, entry.type, entry.topics)
        return True

    def selection(self, filter: Filter, end: int) -> Selection:
        """All that `filter` lets through, as of now: for who has lost something already, and must be told of more.

        Args:
            filter: of a stream.
            end: the floor of the log, where the sparse part ends.
        """
        known = self._selections.get(filter)
        if known is not None and known.end == end:
            return known
        seqs = self._matching.get(filter)
        if seqs is None:
            seqs = self._matching[filter] = self._seqs_of(filter)
        cursor = seqs[0] - 1 if seqs else end
        found = self._selections[filter] = Selection(cursor, len(seqs), end, seqs=seqs)
        if len(self._selections) > KNOWN_SELECTIONS:
            oldest = next(iter(self._selections))
            del self._selections[oldest], self._matching[oldest]
        return found

    def _seqs_of(self, filter: Filter) -> Seqs:
        """The seqs of all that `filter` lets through, in an array of its own."""
        if filter.is_everything:
            return self._seqs[:]
        found = self._after(0, filter, len(self))
        seqs = [e.seq for e in found if filter.matches(e.topic, e.type, e.more_topics)]
        return array("q", seqs)

    def _after(self, cursor: int, filter: Filter, wanted: int) -> Iterator[Entry]:
        """What may match after `cursor`, ascending, each once."""
        lists = self._lists_for(filter, wanted)
        if lists is not None:
            return self._each_once(ascending(lists, cursor))
        first = bisect_right(self._seqs, cursor)
        seqs = map(self._seqs.__getitem__, range(first, len(self._seqs)))
        return map(self._entries.__getitem__, seqs)

    def _below(self, end: int, filter: Filter, wanted: int) -> Iterator[Entry]:
        """What may match below `end`, newest first, each once."""
        lists = self._lists_for(filter, wanted)
        if lists is not None:
            return self._each_once(descending([up_to(each, end) for each in lists]))
        last = bisect_left(self._seqs, end) - 1
        return self._each_once(map(self._seqs.__getitem__, range(last, -1, -1)))

    def _each_once(self, seqs: Iterable[int]) -> Iterator[Entry]:
        last = -1
        for seq in seqs:
            if seq != last:  # else again, for another of its topics
                last = seq
                yield self._entries[seq]

    def _lists_for(self, filter: Filter, wanted: int) -> list[Seqs] | None:
        """Where to look up what `filter` lets through; None where looking at all is cheaper."""
        lists = None if filter.is_everything else self._index.find(filter)
        return lists if lists is not None and are_cheaper(lists, wanted, len(self)) else None

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"KeptNewest(events={len(self)}, bytes={self.bytes}, oldest={self.oldest})"
