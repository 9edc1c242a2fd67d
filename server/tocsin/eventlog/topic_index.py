"""From a topic or a type to its kept events: a filtered read is a look-up, not a walk over everybody's events.

It is no second truth: it says where to look in the ring, and can be made anew from the ring at any time.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import chain
from typing import TypeAlias

from tocsin.core.filters import Filter
from tocsin.eventlog.entry import Entry
from tocsin.eventlog.sorted_names import SortedNames

MAX_LISTS = 2_500
"""Topics that one reading brings together: 8 ms. Where a prefix has more, the events are looked at instead."""

EVENT_BYTES = 20
"""What an event costs for each topic, its share of the array by type included. Measured: 17."""

LIST_COST = 4
"""What a list costs before its first seq is found, in looks at an entry: 3 us."""

TOPIC_BYTES = 150
"""What a topic costs: its array, its slots in the dictionary and among the names. Measured: 40 to 110."""

Seqs: TypeAlias = "array[int]"
"""The seqs of the kept events of one topic or type, ascending. Some evicted ones may come first: fewer than
half, so that letting go is shared work. Who reads begins behind the floor of the ring by bisection.

An array, not a list: the garbage collector would walk through all seqs of all lists in one go.
"""

Lists: TypeAlias = "dict[str, Seqs | int]"
"""The seqs by name; a single one is an int, as a million topics with an event each would be as many arrays."""


class TopicIndex:
    """The seqs of the kept events, by topic and by type.

    Args:
        floor: the seq it begins after.

    Attributes:
        head: the newest seq that was added.
        floor: the newest seq that was dropped.
        several: how many of the events in it have more than one topic.
    """

    def __init__(self, floor: int = 0) -> None:
        self.head = self.floor = floor
        self.several = 0
        self._listed = 0  # how many seqs the lists by topic hold
        self._topics: Lists = {}
        self._types: Lists = {}
        self._names = SortedNames(self._topics)

    @property
    def bytes(self) -> int:
        """About how much memory it takes. The entries and their strings are the ring's."""
        return TOPIC_BYTES * len(self._topics) + EVENT_BYTES * self._listed

    def add(self, entries: Iterable[Entry]) -> None:
        """List the next events of the log."""
        topics, types, fresh = self._topics, self._types, []
        head, listed = self.head, 0
        topic = type = (
            ""  # of the event before: its list needs no look-up, and a batch is often of one
        )
        of_topic, of_type = array("q"), array("q")
        for entry in entries:
            head = entry.seq
            if entry.topic == topic:
                of_topic.append(head)
            else:
                seqs = topics.get(entry.topic)
                if seqs is None:
                    topics[entry.topic] = head
                    fresh.append(entry.topic)
                elif isinstance(seqs, int):
                    topics[entry.topic] = array("q", (seqs, head))
                else:
                    seqs.append(head)
                    topic, of_topic = entry.topic, seqs
            if entry.type == type:
                of_type.append(head)
            else:
                seqs = types.get(entry.type)
                if seqs is None:
                    types[entry.type] = head
                elif isinstance(seqs, int):
                    types[entry.type] = array("q", (seqs, head))
                else:
                    seqs.append(head)
                    type, of_type = entry.type, seqs
            listed += 1
            if entry.more_topics:
                self.several += 1
                listed += len(entry.more_topics)
                fresh += _append(topics, entry.more_topics, head)
        self._listed += listed
        if fresh:
            self._names.add(fresh)
        self.head = head

    def drop(self, gone: Sequence[Entry], floor: int) -> None:
        """Forget evicted events: all up to `floor`, of which `gone` are those that weren't dropped yet."""
        if floor == self.floor:
            return
        names = {entry.topic for entry in gone}
        if self.several:
            several = [entry.more_topics for entry in gone if entry.more_topics]
            names.update(chain.from_iterable(several))
            self.several -= len(several)
        before = len(self._topics)
        self._listed -= _drop(self._topics, names, floor)
        _drop(self._types, {entry.type for entry in gone}, floor)
        self._names.note_dead(before - len(self._topics))
        self.floor = floor

    def remove(self, gone: Sequence[Entry]) -> None:
        """Forget these, which may be anywhere in the log; ascending."""
        before = len(self._topics)
        self.several -= len([entry for entry in gone if entry.more_topics])
        of_topic: dict[str, list[int]] = {}
        of_type: dict[str, list[int]] = {}
        for entry in gone:
            of_type.setdefault(entry.type, []).append(entry.seq)
            for topic in entry.topics:
                of_topic.setdefault(topic, []).append(entry.seq)
        self._listed -= _remove(self._topics, of_topic)
        _remove(self._types, of_type)
        self._names.note_dead(before - len(self._topics))

    def find(self, filter: Filter) -> list[Seqs] | None:
        """Lists that hold every event which `filter` lets through, and maybe others; none is empty.

        Only a filter that asks for topics and types gets others. An event with several topics may be in
        several lists. None: they would be more than `MAX_LISTS`.
        """
        by_type = _as_lists(map(self._types.get, filter.types))
        if not filter.asks_for_topics:
            return by_type
        by_topic = self._by_topic(filter)
        if filter.types and (by_topic is None or _total(by_type) < _total(by_topic)):
            return by_type
        return by_topic

    def topics_of(self, filter: Filter, most: int) -> list[str] | None:
        """The topics of kept events that `filter` asks for, each once; None where they are more than `most`."""
        topics = self._topics
        if not filter.asks_for_topics:
            return list(topics) if len(topics) <= most else None
        names = dict.fromkeys(topic for topic in filter.exact if topic in topics)
        for prefix in filter.prefixes:
            for some in self._names.beginning_with(prefix):
                names.update(dict.fromkeys(name for name in some if name in topics))
                if len(names) > most:
                    return None
        return list(names)

    def newest_of(self, topic: str, count: int, floor: int) -> Sequence[int]:
        """The newest `count` kept seqs of `topic`, which is one of `topics_of`, ascending; those after `floor`."""
        seqs = self._topics[topic]
        if isinstance(seqs, int):
            return (seqs,) if seqs > floor else ()
        newest = seqs[-count:]
        return newest if newest[0] > floor else newest[bisect_right(newest, floor) :]

    def _by_topic(self, filter: Filter) -> list[Seqs] | None:
        names = list(filter.exact)
        for prefix in filter.prefixes:
            for some in self._names.beginning_with(prefix):
                names += some
                if len(names) > 2 * MAX_LISTS:  # dead names among them are fewer than half
                    return None
        found = _as_lists(map(self._topics.get, dict.fromkeys(names)))
        return found if len(found) <= MAX_LISTS else None


def _append(lists: Lists, names: Iterable[str], seq: int) -> list[str]:
    """Add `seq` to the lists of these names; returns those that had none."""
    fresh = []
    for name in names:
        seqs = lists.get(name)
        if seqs is None:
            lists[name] = seq
            fresh.append(name)
        elif isinstance(seqs, int):
            lists[name] = array("q", (seqs, seq))
        else:
            seqs.append(seq)
    return fresh


def _as_lists(found: Iterable[Seqs | int | None]) -> list[Seqs]:
    return [
        array("q", (seqs,)) if isinstance(seqs, int) else seqs for seqs in found if seqs is not None
    ]


def _drop(lists: Lists, names: Iterable[str], floor: int) -> int:
    """Let go of what is at or below `floor` in the lists of these names; returns how many seqs went."""
    dropped = 0
    for name in names:
        seqs = lists.get(name)
        if seqs is None:
            continue
        if isinstance(seqs, int):
            if seqs <= floor:
                dropped += 1
                del lists[name]
        elif seqs[-1] <= floor:
            dropped += len(seqs)
            del lists[name]
        elif seqs[len(seqs) // 2] <= floor:
            count = bisect_right(seqs, floor)
            dropped += count
            del seqs[:count]
    return dropped


def _remove(lists: Lists, gone: dict[str, list[int]]) -> int:
    """Let these seqs go, ascending for each name; returns how many they are."""
    removed = 0
    for name, some in gone.items():
        removed += len(some)
        seqs = lists[name]
        left = array("q") if isinstance(seqs, int) else without(seqs, some)
        if left:
            lists[name] = left
        else:
            del lists[name]
    return removed


def without(seqs: Seqs, gone: Sequence[int]) -> Seqs:
    """`seqs` without `gone`, which are among them; both ascending. It may be the same object."""
    if gone[-1] == seqs[len(gone) - 1]:  # the first ones, as most are
        del seqs[: len(gone)]
        return seqs
    left, first = array("q"), 0
    for seq in gone:
        at = bisect_left(seqs, seq, first)
        left += seqs[first:at]
        first = at + 1
    return left + seqs[first:]


def are_cheaper(lists: Sequence[Seqs], wanted: int, among: int) -> bool:
    """Whether to find `wanted` events costs less by these lists than by looking at all of `among` entries.

    If a tenth of all entries is in the lists, a page is found by looking at ten times as many entries as it
    holds. That is cheaper where the lists are many and short.
    """
    return wanted * among >= LIST_COST * len(lists) * _total(lists)


def _total(lists: Iterable[Seqs]) -> int:
    return sum(map(len, lists))


def ascending(lists: Sequence[Seqs], cursor: int) -> Iterator[int]:
    """What the lists hold behind `cursor`, in order; a seq comes once for each list that holds it."""
    parts = []
    for seqs in lists:
        first = bisect_right(seqs, cursor)
        if first < len(seqs):
            parts.append(map(seqs.__getitem__, range(first, len(seqs))))
    return merge(*parts)


def descending(lists: Sequence[Seqs]) -> Iterator[int]:
    """What the lists hold, newest first; a seq comes once for each list that holds it."""
    return merge(*[reversed(seqs) for seqs in lists], reverse=True)


def up_to(seqs: Seqs, end: int) -> Seqs:
    """Those below `end`."""
    return seqs[: bisect_left(seqs, end)]


def seqs_after(lists: Sequence[Seqs], cursor: int) -> set[int]:
    """What the lists hold behind `cursor`, each seq once, in no order."""
    return set().union(*[seqs[bisect_right(seqs, cursor) :] for seqs in lists])


def count_after(lists: Sequence[Seqs], cursor: int) -> int:
    """How many seqs behind `cursor` the lists hold; one that is in several counts in each."""
    return sum([len(seqs) - bisect_right(seqs, cursor) for seqs in lists])
