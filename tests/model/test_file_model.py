"""The log in a file beside a plain list: appends, evictions, reads forwards and backwards, and starts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tocsin.core.event import Draft, Event, EventId
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.core.record import encode_contents
from tocsin.eventlog.evictions import Evictions
from tocsin.eventlog.journal.sqlite import transfer
from tocsin.eventlog.journal.sqlite.file import connect
from tocsin.eventlog.journal.sqlite.limits import Limits
from tocsin.eventlog.journal.sqlite.schema import upgrade
from tocsin.eventlog.journal.sqlite.search import read, read_back
from tocsin.eventlog.journal.sqlite.segments import seconds
from tocsin.eventlog.journal.sqlite.store import Store, cut

TOPICS = ["a", "a/1", "a/2", "b"]
TYPES = ["tick", "tock"]
EPOCH = 9

drafts = st.builds(
    lambda of_type, topics, size: Draft(
        of_type, b"x" * size, topics[0], more_topics=tuple(topics[1:])
    ),
    st.sampled_from(TYPES),
    st.lists(st.sampled_from(TOPICS), min_size=1, max_size=3, unique=True),
    st.sampled_from([0, 1, 50, 50, 50, 9_000]),
)
filters = st.one_of(
    st.just(EVERYTHING),
    st.builds(
        Filter,
        st.lists(st.sampled_from([*TOPICS, "a*", "a/*", "none", "*"]), max_size=2),
        st.lists(st.sampled_from([*TYPES, "none"]), max_size=2),
    ),
)


class FileModel(RuleBasedStateMachine):
    """`log` has every event that was ever appended; those up to `floor` were evicted."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal.db"
        self.path.touch()
        self.db = connect(self.path)
        upgrade(self.db, EPOCH)
        self.evictions = Evictions(1_000)
        self.log: list[Event] = []
        self.floor = 0
        self.time = 1_700_000_000_000_001
        self.open()

    def open(self) -> None:
        self.db.execute("PRAGMA synchronous = OFF")
        self.store = Store(self.db, Limits(), 0.0, 0.0)

    @rule()
    def open_again(self) -> None:
        self.db.close()
        self.db = connect(self.path)
        self.evictions = Store(self.db, Limits(), 0.0, 0.0).load_evictions(1_000)
        self.open()

    @rule(some=st.lists(drafts, min_size=1, max_size=4), times=st.integers(1, 40))
    def append(self, some: list[Draft], times: int) -> None:
        self.time += 1_000_003
        new = some * times
        self.store.add(self.store.next_segments(new, self.time))
        self.log += [
            Event(EventId(EPOCH, seq), draft, seconds(self.time))
            for seq, draft in enumerate(new, len(self.log) + 1)
        ]

    @rule(some=st.lists(drafts, min_size=1, max_size=90))
    def append_what_is_taken_back(self, some: list[Draft]) -> None:
        self.store.add(self.store.next_segments(some, self.time + 5))
        cut(self.db, len(self.log))
        self.open_again()

    @rule(part=st.floats(0, 1))
    def evict(self, part: float) -> None:
        to = self.floor + round(part * (len(self.log) - self.floor))
        if to == self.floor:
            return
        evicted = self.store.evict(to, self.evictions)
        self.evictions.remember(evicted.pairs, several=False)
        newest = {
            (topic, event.draft.type): event.id.seq
            for event in self.log[self.floor : to]
            for topic in event.draft.topics
        }
        assert {(pair.topic, pair.type): pair.seq for pair in evicted.pairs} == newest
        self.floor = to

    @rule(filter=filters, after=st.integers(0, 400))
    def has_lost(self, filter: Filter, after: int) -> None:
        lost = any(lets_through(filter, event) for event in self.log[after : self.floor])
        assert self.evictions.has_lost(after, filter) == lost

    @rule(
        filter=filters,
        after=st.integers(0, 400),
        behind=st.integers(0, 200),
        most=st.integers(1, 200),
        room=st.sampled_from([1, 500, 12_288, 10**6]),
    )
    def read(self, filter: Filter, after: int, behind: int, most: int, room: int) -> None:
        end = min(after + behind, len(self.log))
        found = read(self.db, EPOCH, after, end, filter, most, room)
        cursor = max(after, self.floor)
        assert found.floor == self.floor
        assert found.cursor > cursor or cursor >= end
        assert found.cursor <= max(end, cursor)
        looked_at = self.log[cursor : found.cursor]
        assert list(found.events) == [event for event in looked_at if lets_through(filter, event)]
        assert len(found.events) <= most
        before_last = found.events[:-1]
        assert sum(len(event.draft.data) + 60 for event in before_last) < room

    @rule(
        filter=filters,
        before=st.integers(1, 400),
        most=st.integers(1, 200),
        room=st.sampled_from([1, 500, 10**6]),
    )
    def newest(self, filter: Filter, before: int, most: int, room: int) -> None:
        before = min(before, len(self.log) + 1)
        found = read_back(self.db, EPOCH, before, 0, filter, most, room)
        looked_at = self.log[max(found.before - 1, self.floor) : before - 1]
        assert list(found.events) == [event for event in looked_at if lets_through(filter, event)]
        is_full = len(found.events) == most or found.bytes >= room
        assert is_full or found.before == self.floor + 1 or before <= self.floor
        assert len(found.events) <= most

    @rule(most=st.integers(1, 300), room=st.integers(1, 20_000))
    def load(self, most: int, room: int) -> None:
        events = self.store.newest(most, room)
        kept = self.log[self.floor :]
        assert events == kept[len(kept) - len(events) :]
        assert len(events) <= most
        assert bytes_of(events) <= room
        if len(events) < min(most, len(kept)):
            assert bytes_of(kept[-len(events) - 1 :]) > room

    @rule()
    def check(self) -> None:
        assert transfer.check(self.path).events == len(self.log) - self.floor

    @invariant()
    def figures_are_those_of_the_list(self) -> None:
        kept = self.log[self.floor :]
        assert (self.store.head, self.store.floor) == (len(self.log), self.floor)
        assert self.store.bytes == bytes_of(kept)
        assert self.store.oldest_time == (kept[0].time if kept else None)

    def teardown(self) -> None:
        self.db.close()
        self.folder.cleanup()


def lets_through(filter: Filter, event: Event) -> bool:
    draft = event.draft
    return filter.matches(draft.topic, draft.type, draft.more_topics)


def bytes_of(events: list[Event]) -> int:
    return sum([encode_contents([event.draft]).bytes for event in events])


FileModel.TestCase.settings = settings(max_examples=25, stateful_step_count=30)
TestFileAgainstTheModel = FileModel.TestCase
