from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.core.filters import EVERYTHING, Filter
from tocsin.hub.subscription_index import SHRINK_AT, SubscriptionIndex, canonical, entries_of


@dataclass(eq=False)
class Streams:
    """What the index lists, in the place of a group."""

    filter: Filter
    size: int = 1


def index_of(*filters: Filter) -> tuple[SubscriptionIndex[Streams], list[Streams]]:
    index: SubscriptionIndex[Streams] = SubscriptionIndex()
    listed = [Streams(canonical(filter)) for filter in filters]
    for each in listed:
        index.add(each.filter, each)
    return index, listed


@pytest.mark.parametrize(
    ("patterns", "fewest"),
    [
        (["a"], ["a"]),
        (["*", "a", "b*"], []),
        (["*"], []),
        ([], []),
        (["a*", "ab*", "abc", "b"], ["a*", "b"]),
        (["ab*", "a"], ["ab*", "a"]),
        (["*", "tocsin/x"], ["*", "tocsin/x"]),
    ],
)
def test_canonical_filter_has_no_pattern_that_another_covers(
    patterns: list[str], fewest: list[str]
) -> None:
    assert canonical(Filter(patterns, ["t"])) == Filter(fewest, ["t"])


def test_index_forgets_what_was_removed() -> None:
    index, listed = index_of(Filter(["a", "b*"]), Filter(["b*"], ["t"]), EVERYTHING)
    for each in listed:
        index.remove(each.filter, each)
    assert len(index) == 0
    assert index.matching("a", "t") == index.matching("bb", "t") == []
    assert index.count("bb", "t") == 0


def test_index_gives_back_its_memory() -> None:
    index, listed = index_of(*(Filter([f"t{n}"]) for n in range(SHRINK_AT * 4)))
    full = index._entries.__sizeof__()
    for each in listed[1:]:
        index.remove(each.filter, each)
    assert index._entries.__sizeof__() < full / 4
    assert index.matching("t0", "t") == listed[:1]


def test_event_with_several_topics_finds_each_group_once() -> None:
    index, (both, one, star) = index_of(Filter(["a", "b"]), Filter(["b"]), Filter(["*"]))
    both.size += 1
    index.resize(both.filter, 1)
    assert index.matching("a", "t", ("b",)) == [both, star, one]
    assert index.count("a", "t", ("b",)) == 4


def test_entries_are_patterns_times_types() -> None:
    index, (each, _) = index_of(Filter(["a", "b*"], ["t", "u"]), EVERYTHING)
    assert entries_of(each.filter) == 4
    assert len(index) == 5


WORDS = st.text("ab/", min_size=1, max_size=4)
PATTERNS = st.one_of(WORDS, WORDS.map(lambda w: w + "*"), st.just("*"))
FILTERS = st.builds(
    Filter, st.lists(PATTERNS, max_size=4), st.lists(st.sampled_from("tu"), max_size=2)
)


@settings(deadline=None)
@given(
    st.lists(FILTERS, max_size=8),
    st.lists(WORDS, min_size=1, max_size=3, unique=True),
    st.sampled_from("tuv"),
)
def test_index_finds_and_counts_exactly_the_filters_that_match(
    filters: list[Filter], topics: list[str], type: str
) -> None:
    index, listed = index_of(*filters)
    for each in listed[::2]:
        index.resize(each.filter, 2)
        each.size += 2
    expected = [
        each
        for each, filter in zip(listed, filters, strict=True)
        if any(filter.matches(topic, type) for topic in topics)
    ]
    found = index.matching(topics[0], type, tuple(topics[1:]))
    assert len(found) == len(set(map(id, found)))
    assert set(map(id, found)) == set(map(id, expected))
    assert index.count(topics[0], type, tuple(topics[1:])) == sum(each.size for each in expected)
    for each in listed:
        index.remove(each.filter, each)
    assert len(index) == 0
    assert index.count(topics[0], type, tuple(topics[1:])) == 0
