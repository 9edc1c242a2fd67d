"""From a topic and a type to the groups of streams that asked for it, and to how many streams those have.

A look-up costs one access for each topic of the event, and one for each length of a prefix in use: it does
not grow with the other topics, nor with the streams that ask for them. A count costs no more than that,
however many groups there are.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from tocsin.core.event import is_reserved
from tocsin.core.filters import Filter

REMEMBERED_GROUPS = 100_000
"""How many groups the remembered look-ups name in all: 1 MB. Groups change rarely."""

SHRINK_AT = 1_024
"""Entries below which the index isn't made anew, to give back the memory of what left."""


class Sized(Protocol):
    """What is listed: a group of streams; `size` is how many it has."""

    size: int


Item = TypeVar("Item", bound=Sized)


def canonical(filter: Filter) -> Filter:
    """The filter that lets the same events through by the fewest patterns; `filter` itself, if it is that.

    None of its patterns covers another one then, so a topic matches one of them at most. And streams that
    ask for the same by different words share a group: `*` beside a topic of one's own is `*`.
    """
    if not filter.prefixes:
        return filter
    kept = [prefix + "*" for prefix in filter.prefixes]
    kept += [
        topic
        for topic in filter.exact
        if is_reserved(topic) or not topic.startswith(filter.prefixes)
    ]
    if kept == ["*"]:
        kept = []
    return filter if len(kept) == len(filter.patterns) else Filter(kept, filter.types)


class _Several(Generic[Item]):
    """Groups of one entry, and how many streams they have in all."""

    __slots__ = ("items", "size")

    def __init__(self, first: Item) -> None:
        self.items: dict[Item, None] = {first: None}
        self.size = first.size


class SubscriptionIndex(Generic[Item]):
    """The groups, listed by what they asked for. All filters given to it are `canonical`."""

    def __init__(self) -> None:
        # By pattern; by pattern and type, on two lines, where types were asked for. Most entries are of
        # one group: it stands there itself, as a dictionary for it would take 300 bytes.
        self._entries: dict[str, Item | _Several[Item]] = {}
        self._most_entries = 0
        self._typed = 0
        # By topic, those of its groups that asked for types: under what types isn't asked when it ends.
        self._typed_by_topic: dict[str, dict[Item, None]] = {}
        self._prefixes: Counter[int] = Counter()
        self._prefix_lengths: list[int] = []
        # What was looked up since the last change, by topic, type and further topics.
        self._found: dict[tuple[str, str, tuple[str, ...]], list[Item]] = {}
        self._found_items = 0

    def __len__(self) -> int:
        """The number of distinct entries: patterns, times types."""
        return len(self._entries)

    def add(self, filter: Filter, item: Item) -> None:
        """List `item` under what `filter` asks for."""
        self._change(filter, 1)
        for topic in filter.exact if filter.types else ():
            self._typed_by_topic.setdefault(topic, {})[item] = None
        entries = self._entries
        for key in _keys(filter):
            there = entries.get(key)
            if there is None:
                entries[key] = item
                continue
            if not isinstance(there, _Several):
                there = entries[key] = _Several(there)
            there.items[item] = None
            there.size += item.size
        self._most_entries = max(self._most_entries, len(entries))

    def remove(self, filter: Filter, item: Item) -> None:
        """Undo `add`. An entry without groups leaves nothing behind, and memory is given back."""
        self._change(filter, -1)
        for topic in filter.exact if filter.types else ():
            del self._typed_by_topic[topic][item]
            if not self._typed_by_topic[topic]:
                del self._typed_by_topic[topic]
        entries = self._entries
        for key in _keys(filter):
            there = entries[key]
            if isinstance(there, _Several):
                del there.items[item]
                there.size -= item.size
                if there.items:
                    continue
            del entries[key]
        if len(entries) * 8 < self._most_entries > SHRINK_AT:
            self._entries = dict(entries)  # a dictionary never gets smaller by itself
            self._most_entries = len(entries)
            give_back_memory()

    def resize(self, filter: Filter, by: int) -> None:
        """Note that the group of `filter` has `by` more streams."""
        for key in _keys(filter):
            there = self._entries[key]
            if isinstance(there, _Several):
                there.size += by

    def matching(self, topic: str, type: str, more_topics: tuple[str, ...] = ()) -> list[Item]:
        """The groups that an event of these topics and this type is for, each once; not to be changed."""
        key = (topic, type, more_topics)
        known = self._found.get(key)
        if known is None:
            known = self._look_up((topic, *more_topics), type)
            self._found_items += len(known) + 1
            if self._found_items > REMEMBERED_GROUPS:
                self._found.clear()
                self._found_items = len(known) + 1
            self._found[key] = known
        return known

    def naming(self, topic: str) -> list[Item]:
        """The groups that asked for exactly this topic, whatever types they want of it."""
        found = list(self._typed_by_topic.get(topic, ()))
        there = self._entries.get(topic)
        if isinstance(there, _Several):
            found += there.items
        elif there is not None:
            found.append(there)
        return found

    def count(self, topic: str, type: str, more_topics: tuple[str, ...] = ()) -> int:
        """How many streams such an event is for."""
        if not more_topics:
            return sum([hit.size for hit in self._hits(topic, type)])
        return sum([item.size for item in self.matching(topic, type, more_topics)])

    def _look_up(self, topics: tuple[str, ...], type: str) -> list[Item]:
        found: list[Item] = []
        for topic in topics:
            for hit in self._hits(topic, type):
                if isinstance(hit, _Several):
                    found += hit.items
                else:
                    found.append(hit)
        # One topic matches one pattern of a group, and one type; several topics may match several.
        return found if len(topics) == 1 else list(dict.fromkeys(found))

    def _hits(self, topic: str, type: str) -> Iterator[Item | _Several[Item]]:
        entries = self._entries
        for key in self._patterns_of(topic):
            hit = entries.get(key)
            if hit is not None:
                yield hit
            if self._typed:
                hit = entries.get(f"{key}\n{type}")
                if hit is not None:
                    yield hit

    def _patterns_of(self, topic: str) -> list[str]:
        """Every pattern in use that `topic` matches, and some that aren't."""
        if is_reserved(topic):
            return [topic]
        longest = len(topic)
        prefixes = [topic[:size] + "*" for size in self._prefix_lengths if size <= longest]
        return [topic, *prefixes]

    def _change(self, filter: Filter, by: int) -> None:
        self._found.clear()
        self._found_items = 0
        self._typed += by if filter.types else 0
        lengths = [len(p) - 1 for p in filter.patterns or ("*",) if p.endswith("*")]
        if lengths:
            for length in lengths:
                self._prefixes[length] += by
            self._prefixes += Counter()  # drops the lengths nobody asks for any more
            self._prefix_lengths = sorted(self._prefixes)


def give_back_memory() -> None:
    """Have the C library return what was freed to the system; 2 ms after 500,000 patterns.

    By itself it keeps it for later: a storm of filters would stay in the process for good.
    """
    with suppress(OSError, AttributeError):  # a C library without it
        ctypes.CDLL(None).malloc_trim(0)


def entries_of(filter: Filter) -> int:
    """How many entries a group of `filter`, which is `canonical`, takes."""
    return max(len(filter.patterns), 1) * max(len(filter.types), 1)


def _keys(filter: Filter) -> list[str]:
    patterns = filter.patterns or ("*",)
    if not filter.types:
        return list(patterns)
    return [f"{pattern}\n{type}" for pattern in patterns for type in filter.types]
