"""What a node remembers of the events that went by, against a log that is kept whole."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.core.event import Draft, Event, EventId
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.eventlog.journal.redis.passed import Passed

TOPICS, TYPES = ("a", "b", "c/1", "c/2"), ("x", "y")
FILTERS = [
    EVERYTHING,
    *(Filter([topic]) for topic in (*TOPICS, "c/*")),
    *(Filter([], [type]) for type in TYPES),
    Filter(["a", "c/*"], ["x"]),
]

drafts = st.builds(
    lambda topics, of_type: Draft(of_type, b"", topics[0], more_topics=tuple(topics[1:])),
    st.lists(st.sampled_from(TOPICS), min_size=1, max_size=2, unique=True),
    st.sampled_from(TYPES),
)
steps = st.lists(st.lists(drafts, max_size=5) | st.integers(1, 4), max_size=30)


def events(first: int, drafts: list[Draft]) -> list[Event]:
    return [Event(EventId(1, seq), draft, 0.0) for seq, draft in enumerate(drafts, first)]


def lost(log: list[Draft], floor: int, cursor: int, filter: Filter) -> bool:
    """The same by a look at each event; `log` begins at seq 1."""
    gone = log[cursor:floor]
    return any(filter.matches(each.topic, each.type, each.more_topics) for each in gone)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_what_was_seen_go_by_is_known_exactly(steps: list[list[Draft] | int]) -> None:
    log: list[Draft] = []
    passed = Passed(0, 1_000)
    for step in steps:
        if isinstance(step, int):
            passed.let_go(min(passed.floor + step, len(log)))
        else:
            passed.add(events(len(log) + 1, step))
            log += step
    for cursor in range(len(log) + 1):
        for filter in FILTERS:
            assert passed.has_lost(cursor, filter) == lost(log, passed.floor, cursor, filter)


@settings(max_examples=200, deadline=None)
@given(steps, st.integers(0, 3))
def test_what_is_not_known_is_said_to_be_lost(steps: list[list[Draft] | int], limit: int) -> None:
    log = [Draft("x", b"", "a")] * 3
    passed = Passed(0, limit)
    passed.skip(3)
    for step in steps:
        if isinstance(step, int):
            passed.let_go(min(passed.floor + step, len(log)))
        else:
            passed.add(events(len(log) + 1, step))
            log += step
    for cursor in range(len(log) + 1):
        for filter in FILTERS:
            is_lost = lost(log, passed.floor, cursor, filter)
            assert passed.has_lost(cursor, filter) >= is_lost


def test_memory_of_kinds_is_given_back() -> None:
    passed = Passed(0, 10)
    for n in range(100):
        passed.add(events(n + 1, [Draft("x", b"", f"topic/{n}")]))
        passed.let_go(n)
    assert len(passed._kinds) <= 4
    assert passed.has_lost(98, Filter(["topic/98"]))
    assert not passed.has_lost(99, Filter(["topic/98"]))


def test_floor_beyond_what_went_by_is_cut_to_it() -> None:
    passed = Passed(5, 10)
    passed.add(events(6, [Draft("x", b"", "a")]))
    passed.let_go(20)
    assert passed.floor == 6
