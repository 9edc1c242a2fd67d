"""The ring against a plain list: whatever comes, goes and is asked for, the index gives the list's answer.

Every bound is set so low that each way through the code is taken: chunks of two names, readings that look
at five events, filters that ask for more topics than are brought together.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tocsin.core.filters import Filter
from tocsin.eventlog import evictions, kept_newest, ring, sorted_names, topic_index
from tocsin.eventlog.recent import Picking
from tocsin.eventlog.retention import KeepRules, Retention
from tocsin.eventlog.ring import Entry, RingBuffer

WORDS = st.sampled_from(["a", "b", "aa", "ab", "ba", "aab", "aba", "abb"])
TOPICS = st.lists(WORDS, min_size=1, max_size=3, unique=True)
TYPES = st.sampled_from("tuv")
PATTERNS = st.one_of(WORDS, WORDS.map(lambda word: word + "*"))
FILTERS = st.builds(Filter, st.lists(PATTERNS, max_size=4), st.lists(TYPES, max_size=2))
TELLING = [
    Filter(patterns, types)
    for patterns in (["a", "b"], ["a*"], ["ab*", "aa*"], ["ba", "aab", "ab*"], ["*"], [])
    for types in ([], ["t"], ["u", "v"])
]
"""Filters that between them take each way through the index."""

SIZES = st.sampled_from([10, 10, 10, 400])
EVENTS = st.lists(st.tuples(TOPICS, TYPES, SIZES), min_size=1, max_size=12)

LOW_BOUNDS = {
    ring: {"INDEX_LAG": 3, "SCAN_LIMIT": 5, "FEW": 1},
    kept_newest: {"SCAN_LIMIT": 5},
    topic_index: {"MAX_LISTS": 3, "LIST_COST": 0},
    sorted_names: {"CHUNK": 2, "FRESH": 2, "FEW": 1},
    evictions: {"FIRST_LOOKS": 1, "MAX_LOOKUPS": 0},
}


class RingMachine(RuleBasedStateMachine):
    """One run: a ring, and the list of all that was ever appended."""

    @initialize(
        floor=st.sampled_from([0, 41]),
        remembered=st.sampled_from([0, 2, 1_000]),
        max_events=st.sampled_from([1, 6, 200]),
        max_bytes=st.sampled_from([600, 4_000, 1_000_000]),
        keep=st.sampled_from([[], [("aa", 1), ("b*", 2)], [("a*", 2), ("aab", 5), ("*", 1)]]),
    )
    def start(
        self,
        floor: int,
        remembered: int,
        max_events: int,
        max_bytes: int,
        keep: list[tuple[str, int]],
    ) -> None:
        self.keep = keep
        self.now = 0.0
        self.all: list[Entry] = []
        self.remembered = remembered
        self.max_events = max_events
        self.first = floor
        self.ring = RingBuffer(
            1,
            max_events=max_events,
            max_bytes=max_bytes,
            max_age_s=100.0,
            remembered_evictions=remembered,
            retention=Retention(KeepRules(keep), 1_000_000) if keep else None,
        )
        self.ring.start_at(floor)

    @rule(events=EVENTS)
    def append(self, events: list[tuple[list[str], str, int]]) -> None:
        entries = [
            Entry(seq, topics[0], type, 0.0, b"x" * size, tuple(topics[1:]))
            for seq, (topics, type, size) in enumerate(events, self.ring.head + 1)
        ]
        self.ring.append(entries, self.now)
        self.all += entries

    @rule(seconds=st.sampled_from([1.0, 40.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        before = len(self.ring)
        expired = self.ring.expire(self.now)
        assert expired.events == before - len(self.ring)

    @rule(behind=st.integers(0, 40))
    def ask_everything(self, behind: int) -> None:
        for filter in TELLING:
            self.read(filter, behind, 200)
            self.take_newest(filter, 3, 200)
            self.count(filter, behind)
            self.ask_for_loss(filter)
            self.read_what_stays(filter, behind)

    @rule(filter=FILTERS, behind=st.integers(0, 40), max_bytes=st.sampled_from([1, 50, 10_000]))
    def read(self, filter: Filter, behind: int, max_bytes: int) -> None:
        cursor = start = max(self.ring.head - behind, 0)
        found: list[Entry] = []
        while cursor < self.ring.head:
            reading = self.ring.read(cursor, filter, max_bytes=max_bytes, max_events=3)
            assert cursor < reading.cursor
            assert len(reading.entries) <= 3
            assert sum(len(entry.block) for entry in reading.entries[:-1]) < max_bytes
            assert all(cursor < entry.seq <= reading.cursor for entry in reading.entries)
            found += reading.entries
            cursor = reading.cursor
        assert found == self.kept(start, filter)

    @rule(filter=FILTERS, count=st.integers(1, 9), max_bytes=st.sampled_from([1, 50, 10_000]))
    def take_newest(self, filter: Filter, count: int, max_bytes: int) -> None:
        found = self.ring.newest(filter, count, max_bytes=max_bytes)
        kept = self.kept(0, filter)
        assert found == kept[len(kept) - len(found) :]
        assert sum(len(entry.block) for entry in found[1:]) < max_bytes
        is_full = sum(len(entry.block) for entry in found) >= max_bytes
        assert is_full or len(found) == min(count, len(kept))

    @rule(filter=FILTERS, behind=st.integers(0, 40))
    def count(self, filter: Filter, behind: int) -> None:
        cursor = max(self.ring.head - behind, 0)
        assert self.ring.count(cursor, filter) == len(self.kept(cursor, filter))

    @rule(filter=FILTERS, behind=st.integers(0, 40))
    def read_what_stays(self, filter: Filter, behind: int) -> None:
        kept, floor = self.ring.kept_newest, self.ring.floor
        if kept is None:
            return
        cursor = max(self.ring.head - behind, 0)
        staying = [entry for entry in self.staying() if matches(filter, entry)]
        after = [entry for entry in staying if entry.seq > cursor]
        assert kept.count(cursor, filter) == len(after)
        assert kept.newest(filter, 3, max_bytes=10_000) == staying[-3:]
        assert [*(kept.selection(filter, floor).seqs or ())] == [entry.seq for entry in staying]
        assert [kept.get(seq) for seq in range(1, floor + 1)].count(None) == floor - len(kept)
        first = after[0].seq - 1 if after else floor
        assert kept.clear_to(cursor, filter, floor) in range(min(cursor, first), first + 1)
        found: list[Entry] = []
        going_on: int | None = cursor
        while going_on is not None:
            some, going_on = kept.read(going_on, filter, max_bytes=10_000, max_events=3)
            assert len(some) <= 3
            found += some
        assert found == after

    @rule(filter=FILTERS, per_topic=st.integers(1, 3))
    def pick(self, filter: Filter, per_topic: int) -> None:
        picking = Picking(filter, per_topic)
        self.ring.pick(picking)
        if self.ring.kept_newest:
            assert self.ring.kept_newest.pick(picking)
        kept = [*self.staying(), *self.kept(0, Filter())]
        wanted: set[int] = set()
        for topic in {
            topic for entry in kept for topic in entry.topics if filter.lets_topic(topic)
        }:
            of_topic = [e.seq for e in kept if topic in e.topics and matches(filter, e)]
            wanted.update(of_topic[-per_topic:])
        assert picking.seqs == wanted

    @rule(filter=FILTERS)
    def ask_for_loss(self, filter: Filter) -> None:
        staying = {entry.seq for entry in self.staying()}
        lost = [
            entry.seq
            for entry in self.gone()
            if matches(filter, entry) and entry.seq not in staying
        ]
        newest_lost = lost[-1] if lost else self.first
        edges = newest_lost, self.sure_from(), self.ring.floor
        for cursor in {max(edge + step, 0) for edge in edges for step in (-2, -1, 0, 1)}:
            told = self.ring.has_lost(cursor, filter)
            assert told or cursor >= newest_lost
            if cursor >= self.sure_from():
                assert told == (cursor < newest_lost)

    @invariant()
    def limits_hold(self) -> None:
        assert len(self.ring) <= self.max_events + self.max_events // 128
        assert self.ring.bytes == sum(len(entry.block) for entry in self.kept(0, Filter()))
        assert sum(self.ring.evicted.values()) == len(self.gone())

    def kept(self, cursor: int, filter: Filter) -> list[Entry]:
        """What the list says a reader gets."""
        after = max(cursor, self.ring.floor)
        return [entry for entry in self.all if entry.seq > after and matches(filter, entry)]

    def staying(self) -> list[Entry]:
        """What stays of that which left the ring: the newest of each topic."""
        gone = self.gone()
        staying: set[int] = set()
        for topic in {topic for entry in gone for topic in entry.topics}:
            number = max(
                (
                    number
                    for pattern, number in self.keep
                    if pattern == topic
                    or (pattern.endswith("*") and topic.startswith(pattern[:-1]))
                ),
                default=0,
            )
            if number:
                staying.update([entry.seq for entry in gone if topic in entry.topics][-number:])
        return [entry for entry in gone if entry.seq in staying]

    def gone(self) -> list[Entry]:
        return [entry for entry in self.all if entry.seq <= self.ring.floor]

    def sure_from(self) -> int:
        """From which cursor on the answer must be exact."""
        gone = {(topic, entry.type) for entry in self.gone() for topic in entry.topics}
        if len(gone) <= self.remembered:
            return self.first
        return self.ring._evictions.exact_from


def matches(filter: Filter, entry: Entry) -> bool:
    """As the docs say it, in the plainest way."""
    if filter.types and entry.type not in filter.types:
        return False
    return not filter.patterns or any(
        topic == pattern or (pattern.endswith("*") and topic.startswith(pattern[:-1]))
        for topic in entry.topics
        for pattern in filter.patterns
    )


RUNS = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)


def test_ring_gives_the_lists_answers() -> None:
    run_state_machine_as_test(RingMachine, settings=RUNS)


def test_ring_gives_the_lists_answers_whatever_way_they_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module, values in LOW_BOUNDS.items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)
    run_state_machine_as_test(RingMachine, settings=RUNS)
