"""Which events stay when they leave the history: of each topic that is asked for, the newest so many.

It knows seqs, topics and sizes, and holds no event: those are in memory for the one journal, in a file for another.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from tocsin.settings import Settings

EVENT_BYTES = 600
"""What a kept event counts beside its own size: its places here, in the index and among the entries. Measured: 450 to 630."""


class KeepRules:
    """How many of the newest events of a topic stay. Of several patterns that match, the largest number counts.

    Args:
        newest: the number for each pattern: a topic, or what topics begin with and a ``*``.
    """

    def __init__(self, newest: Iterable[tuple[str, int]]) -> None:
        # The largest number first, so that the first prefix that matches is the one that counts.
        by_number = sorted(newest, key=lambda rule: -rule[1])
        self.patterns = tuple(dict.fromkeys(pattern for pattern, _ in by_number))
        self._exact = dict(reversed(by_number))
        self._prefixes = [(each[:-1], number) for each, number in by_number if each.endswith("*")]
        self._any_prefix = tuple(prefix for prefix, _ in self._prefixes)

    def newest_of(self, topic: str) -> int:
        """How many of the newest events of `topic` stay; 0 for most."""
        number = self._exact.get(topic, 0)
        if topic.startswith(self._any_prefix):
            for prefix, of_prefix in self._prefixes:
                if topic.startswith(prefix):
                    return max(number, of_prefix)
        return number


def retention_of(settings: Settings) -> Retention | None:
    """What the settings say; None where nothing stays."""
    if not settings.keep_newest:
        return None
    return Retention(KeepRules(settings.kept_patterns), settings.keep_newest_bytes)


class Left(NamedTuple):
    """An event that left the history: its seq, its topics, and its size in bytes."""

    seq: int
    topics: Sequence[str]
    bytes: int


class Verdict(NamedTuple):
    """What is to be done.

    Attributes:
        kept: the seqs that stay, of those that left the history.
        evicted: the seqs that stayed until now, and have to go.
        beyond_bytes: how many events are not kept only because all together are too large.
    """

    kept: Sequence[int]
    evicted: Sequence[int]
    beyond_bytes: int


class _Held(msgspec.Struct, gc=False):
    """A kept event: the topics for which it may stay, for how many of them it does, and what it counts."""

    topics: tuple[str, ...]
    holders: int
    bytes: int


class Retention:
    """Decides what stays.

    Args:
        rules: how many of each topic.
        max_bytes: that all may count together. Beyond it the oldest go, whatever their topic.

    Attributes:
        bytes: that those count which stay.
    """

    def __init__(self, rules: KeepRules, max_bytes: int) -> None:
        self.rules = rules
        self.max_bytes = max_bytes
        self.bytes = 0
        self._held: dict[int, _Held] = {}  # ascending
        self._topics: dict[str, array[int]] = {}  # the seqs that stay for a topic, ascending

    def take(self, left: Iterable[Left]) -> Verdict:
        """Decide on the next events that left the history, which come in the order of their seqs."""
        held = self._held
        new: list[int] = []
        grown: dict[str, int] = {}
        for seq, topics, size in left:
            holding = self._holding(topics, grown)
            if not holding:
                continue
            for topic in holding:
                self._topics.setdefault(topic, array("q")).append(seq)
            held[seq] = _Held(holding, len(holding), size + EVENT_BYTES)
            self.bytes += size + EVENT_BYTES
            new.append(seq)
        gone: list[int] = []
        for topic, number in grown.items():
            gone += self._release(topic, number)
        superseded = len(gone)
        if self.bytes > self.max_bytes:
            gone += self._release_oldest()
        if not gone or not new:
            return Verdict(new, gone, len(gone) - superseded)
        first = new[0]
        kept = [seq for seq in new if seq in held]
        evicted = sorted(seq for seq in gone if seq < first)
        return Verdict(kept, evicted, len(gone) - superseded)

    def _holding(self, topics: Sequence[str], grown: dict[str, int]) -> tuple[str, ...]:
        """Those of `topics` of which something stays; `grown` has the numbers that were looked up."""
        for topic in topics:
            if topic not in grown:
                number = self.rules.newest_of(topic)
                if number:
                    grown[topic] = number
        return tuple([topic for topic in topics if topic in grown])

    def _release(self, topic: str, number: int) -> list[int]:
        """Let go of all but the newest `number` of a topic; the seqs that nothing holds any more."""
        seqs = self._topics[topic]
        beyond = seqs[:-number]
        del seqs[: len(beyond)]
        gone = []
        for seq in beyond:
            event = self._held[seq]
            event.holders -= 1
            if not event.holders:
                del self._held[seq]
                self.bytes -= event.bytes
                gone.append(seq)
        return gone

    def _release_oldest(self) -> list[int]:
        """Let go of the oldest, until the others are within `max_bytes`; their seqs."""
        gone = []
        for seq, event in self._held.items():
            if self.bytes <= self.max_bytes:
                break
            self.bytes -= event.bytes
            gone.append(seq)
        for seq in gone:
            for topic in self._held.pop(seq).topics:
                seqs = self._topics[topic]
                if seqs and seqs[0] == seq:  # else the topic has newer ones, and held it no more
                    del seqs[0]
                    if not seqs:
                        del self._topics[topic]
        return gone

    def __contains__(self, seq: object) -> bool:
        """Whether the event with this seq stays."""
        return seq in self._held

    def __len__(self) -> int:
        """How many stay."""
        return len(self._held)
