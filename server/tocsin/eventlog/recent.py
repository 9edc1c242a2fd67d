"""What a new stream may ask to get first: the newest events, or the newest of each topic."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import msgspec

from tocsin.core.filters import Filter

MAX_EVENTS = 10_000
"""That a new stream gets first, in all."""

MAX_PER_TOPIC = 100


class Recent(msgspec.Struct, frozen=True):
    """What is asked for: one of the two, the other is 0.

    Attributes:
        last: the newest so many of all events that the filter lets through.
        per_topic: the newest so many of each topic that it asks for.
    """

    last: int = 0
    per_topic: int = 0


class Selection(msgspec.Struct, frozen=True, eq=False):
    """What was found: some of the events of a log up to `end`.

    Attributes:
        cursor: the seq just before the first of them; `end` where there are none.
        count: how many they are.
        end: the head of the log when they were looked for. What came later follows by itself.
        is_truncated: whether there are older ones that were asked for.
        seqs: theirs, ascending; None where they are all that the filter lets through after `cursor`.
    """

    cursor: int
    count: int
    end: int
    is_truncated: bool = False
    seqs: Sequence[int] | None = None


class Picking:
    """Picks the newest events of each topic. It is given them newest first, once each.

    Args:
        filter: what the stream asks for. Other topics of an event don't count.
        per_topic: how many of each topic.
        pending: the topics that are still to be seen to, where they are known: all that are done is known then.

    Attributes:
        counts: how many were picked of each topic.
        seqs: of what was picked, in no order.
    """

    def __init__(self, filter: Filter, per_topic: int) -> None:
        self.filter = filter
        self.per_topic = per_topic
        self.counts: dict[str, int] = {}
        self.seqs: set[int] = set()
        is_exact = filter.asks_for_topics and not filter.prefixes
        self.pending: set[str] | None = set(filter.exact) if is_exact else None

    @property
    def is_done(self) -> bool:
        """Whether older events can't be among those that were asked for, or are too many."""
        return len(self.seqs) > MAX_EVENTS or (self.pending is not None and not self.pending)

    def narrow(self, topics: Iterable[str]) -> None:
        """Note that only of these topics there is anything left to look at."""
        self.pending = {each for each in topics if self.counts.get(each, 0) < self.per_topic}

    def take(self, seq: int, type: str, topics: Iterable[str]) -> None:
        """Pick the event with this seq, if it is among the newest of one of its topics."""
        filter = self.filter
        if filter.types and type not in filter.types:
            return
        for topic in topics:
            count = self.counts.get(topic, 0)
            if count < self.per_topic and filter.lets_topic(topic):
                self._count(topic, count + 1)
                self.seqs.add(seq)

    def take_newest(self, topic: str, seqs: Sequence[int]) -> None:
        """Pick these, the next newest of `topic`; with those before them at most `per_topic`."""
        self._count(topic, self.counts.get(topic, 0) + len(seqs))
        self.seqs.update(seqs)

    def _count(self, topic: str, count: int) -> None:
        self.counts[topic] = count
        if self.pending is not None and count >= self.per_topic:
            self.pending.discard(topic)

    def selection(self, end: int, *, is_cut: bool) -> Selection:
        """What was picked of a log whose head was `end`; `is_cut`: before all was looked at."""
        newest = sorted(self.seqs)[-MAX_EVENTS:]
        return Selection(
            newest[0] - 1 if newest else end,
            len(newest),
            end,
            is_cut or len(newest) < len(self.seqs),
            array("q", newest),  # a list would take five times the memory
        )
