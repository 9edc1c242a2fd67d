"""What is known of the events that left the ring: of each topic and type, the newest.

A filtered stream on a quiet topic keeps an old cursor for hours. It has lost something only if one of its
own events was evicted after that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Protocol

from tocsin.core.filters import Filter
from tocsin.eventlog.sorted_names import SortedNames

FIRST_LOOKS = 500
"""Of the newest pairs so many are looked at before any are looked up: 0.2 ms."""

MAX_LOOKUPS = 20_000
"""Pairs that are looked up one by one: 3 ms. Where a filter makes more of them, the others are walked."""


class Gone(Protocol):
    """What is asked of an evicted event; or of a pair, whose newest event it stands for."""

    @property
    def seq(self) -> int: ...  # noqa: D102
    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def type(self) -> str: ...  # noqa: D102
    @property
    def more_topics(self) -> tuple[str, ...]: ...  # noqa: D102


class Evictions:
    """The newest evicted event of each topic and type, for a bounded number of those pairs.

    Args:
        limit: how many pairs are remembered. Of the others one seq is, on the safe side: a cursor below it
            is said to have lost something.
    """

    def __init__(self, limit: int) -> None:
        self.forgotten = 0
        """The newest evicted seq among the pairs that aren't remembered."""
        self._newest = 0
        self._is_in_order = True  # so that who looks at the newest pairs first knows where to stop
        self._late: Evictions | None = None  # of those that were kept longer, in no order
        self._limit = limit
        self._pairs: dict[tuple[str, str], int] = {}  # in the order of their seq
        self._topics: dict[str, int] = {}  # the newest of the pairs of a topic, and of a type
        self._types: dict[str, int] = {}
        self._names = SortedNames(self._topics)

    def remember(self, gone: Sequence[Gone], *, several: bool) -> None:
        """Note these, which left the ring in this order. Noting them again changes nothing.

        Args:
            gone: the evicted entries.
            several: whether some of them have more than one topic.
        """
        pairs = {(entry.topic, entry.type): entry.seq for entry in gone}
        if several:
            more = [(topic, entry) for entry in gone for topic in entry.more_topics]
            for topic, entry in more:
                pairs[topic, entry.type] = max(entry.seq, pairs.get((topic, entry.type), 0))
        known, topics, fresh = self._pairs, self._topics, []
        for pair, seq in sorted(pairs.items(), key=itemgetter(1)):
            topic = pair[0]
            # Popped so that it goes to the end: the order is by seq.
            if known.pop(pair, None) is None and topic not in topics:
                fresh.append(topic)
            known[pair] = topics[topic] = seq
        if pairs:
            self._newest = max(self._newest, seq)
        self._types.update({entry.type: entry.seq for entry in gone})
        if fresh:
            self._names.add(fresh)
        if len(known) > self._limit:
            self._forget()

    def remember_late(self, gone: Sequence[Gone]) -> None:
        """Note these, which were kept longer than others that came after them."""
        if not gone:
            return
        if self._late is None:
            self._late = Evictions(self._limit)
            self._late._is_in_order = False
        self._late._remember_in_any_order(gone)

    def _remember_in_any_order(self, gone: Sequence[Gone]) -> None:
        known, topics, types, fresh = self._pairs, self._topics, self._types, []
        for entry in gone:
            seq = entry.seq
            for topic in (entry.topic, *entry.more_topics):
                if topic not in topics:
                    fresh.append(topic)
                pair = (topic, entry.type)
                known[pair] = max(seq, known.pop(pair, 0))
                topics[topic] = max(seq, topics.get(topic, 0))
            types[entry.type] = max(seq, types.get(entry.type, 0))
            self._newest = max(self._newest, seq)
        if fresh:
            self._names.add(fresh)
        if len(known) > self._limit:
            self._forget()

    @property
    def last(self) -> int:
        """The newest evicted seq; 0 before any eviction."""
        late = self._late.last if self._late is not None else 0
        return max(self._newest, self.forgotten, late)

    @property
    def exact_from(self) -> int:
        """The cursor from which on it is known exactly what was evicted after it."""
        return (
            max(self.forgotten, self._late.forgotten) if self._late is not None else self.forgotten
        )

    def distrust(self) -> None:
        """Noting was cut off, and is about to be done again."""
        self._names.distrust()

    def newest(self, topic: str, type: str) -> int:
        """The newest evicted seq of this pair; 0 if it isn't remembered. Any thread may ask."""
        newest = self._pairs.get((topic, type), 0)
        return max(newest, self._late.newest(topic, type)) if self._late is not None else newest

    def has_lost(self, cursor: int, filter: Filter) -> bool:
        """Whether an event that `filter` lets through was evicted after `cursor`.

        Exact where `cursor` is not below `exact_from`; there it says yes.
        """
        if cursor < self.forgotten:
            return True
        if (
            self._late is not None
            and cursor < self._late.last
            and self._late.has_lost(cursor, filter)
        ):
            return True
        if not filter.asks_for_topics:
            newest = self._types
            return any(newest.get(type, 0) > cursor for type in filter.types or newest)
        if (
            filter.prefixes
        ):  # most who ask are a little below the floor, and a prefix may have many topics
            for (topic, type), seq in islice(reversed(self._pairs.items()), FIRST_LOOKS):
                if seq <= cursor:
                    if self._is_in_order:
                        return False
                elif filter.matches(topic, type):
                    return True
        topics = self._topics_after(cursor, filter)
        if not filter.types:
            return next(topics, None) is not None
        types = {type for type in filter.types if self._types.get(type, 0) > cursor}
        return bool(types) and self._have_lost(cursor, topics, types)

    def topics_after(self, cursor: int, filter: Filter, most: int) -> list[str] | None:
        """The topics of which something that `filter` asks for may have been evicted after `cursor`.

        None where that isn't known of all of them, or where more than `most` would have to be looked at.
        """
        if cursor < self.forgotten or len(self._topics) > most:
            return None
        if filter.asks_for_topics:
            topics = list(self._topics_after(cursor, filter))
        else:
            topics = [topic for topic, seq in self._topics.items() if seq > cursor]
        if self._late is not None and cursor < self._late.last:
            late = self._late.topics_after(cursor, filter, most)
            return None if late is None else list(dict.fromkeys(topics + late))
        return topics

    def _topics_after(self, cursor: int, filter: Filter) -> Iterator[str]:
        """The topics that `filter` asks for and that an event was evicted of after `cursor`."""
        newest = self._topics
        yield from [topic for topic in filter.exact if newest.get(topic, 0) > cursor]
        for prefix in filter.prefixes:
            for names in self._names.beginning_with(prefix):
                yield from [name for name in names if newest.get(name, 0) > cursor]

    def _have_lost(self, cursor: int, topics: Iterator[str], types: set[str]) -> bool:
        """Whether one of these topics and one of these types are a pair evicted after `cursor`."""
        for topic in islice(topics, MAX_LOOKUPS // len(types)):
            if any(self._pairs.get((topic, type), 0) > cursor for type in types):
                return True
        left = set(topics)
        if left:
            for (topic, type), seq in reversed(self._pairs.items()):
                if seq <= cursor:
                    if self._is_in_order:
                        return False
                elif type in types and topic in left:
                    return True
        return False

    def _forget(self) -> None:
        """Let the pairs that are too many go, those of the oldest events first."""
        before = len(self._topics)
        oldest = list(islice(self._pairs.items(), len(self._pairs) - self._limit))
        # First: a cut-off in the loop may leave pairs behind, but none that is missed.
        newest = oldest[-1][1] if self._is_in_order else max([seq for _, seq in oldest])
        self.forgotten = max(self.forgotten, newest)
        for (topic, type), seq in oldest:
            # They go in the order of their seq, so the newest of a topic or type is its last pair. Where they are in
            # no order older pairs may be left: `forgotten` is beyond those.
            if self._topics.get(topic) == seq:
                del self._topics[topic]
            if self._types.get(type) == seq:
                del self._types[type]
            del self._pairs[topic, type]
        self._names.note_dead(before - len(self._topics))

    def __len__(self) -> int:
        """How many pairs are remembered."""
        return len(self._pairs) + (len(self._late) if self._late is not None else 0)
