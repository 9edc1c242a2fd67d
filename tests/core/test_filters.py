from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.filters import EVERYTHING, MAX_PATTERNS, Filter, TopicIndex
from tocsin.errors import InvalidInput


@pytest.mark.parametrize(
    ("patterns", "types", "topic", "type", "expected"),
    [
        ([], [], "any", "thing", True),
        (["a"], [], "a", "t", True),
        (["a"], [], "ab", "t", False),
        (["a*"], [], "ab", "t", True),
        (["a*"], [], "a", "t", True),
        (["a/*"], [], "ab", "t", False),
        (["*"], [], "ab", "t", True),
        (["a", "b"], [], "b", "t", True),
        ([], ["t", "u"], "a", "u", True),
        ([], ["t"], "a", "u", False),
        (["a"], ["t"], "b", "t", False),
    ],
)
def test_filter_lets_through_what_was_asked_for(
    patterns: list[str], types: list[str], topic: str, type: str, expected: bool
) -> None:
    assert Filter(patterns, types).matches(topic, type) is expected


def test_filters_that_ask_the_same_are_equal_whatever_the_order() -> None:
    assert Filter(["a", "b", "a"], ["t"]) == Filter(["b", "a"], ["t"])
    assert hash(Filter(["a", "b"])) == hash(Filter(["b", "a"]))
    assert Filter(["a"]) != Filter(["a"], ["t"])


def test_only_a_filter_without_limits_is_everything() -> None:
    assert EVERYTHING.is_everything
    assert Filter(["*", "a"]).is_everything
    assert not Filter(["a*"]).is_everything
    assert not Filter([], ["t"]).is_everything


@pytest.mark.parametrize(
    ("topics", "types", "field"),
    [
        (["a"] * (MAX_PATTERNS + 1), [], "topic"),
        ([], ["t"] * (MAX_PATTERNS + 1), "type"),
        ([""], [], "topic"),
        (["a*b"], [], "topic"),
        (["**"], [], "topic"),
        ([], ["gap"], "type"),
        ([], [""], "type"),
    ],
)
def test_filter_that_could_never_match_is_refused(
    topics: list[str], types: list[str], field: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        Filter.parse(topics, types)
    assert raised.value.field == field


def test_index_forgets_what_was_removed() -> None:
    index: TopicIndex[str] = TopicIndex()
    filters = [Filter(["a", "b*"]), Filter(["b*"], ["t"]), EVERYTHING]
    for number, filter in enumerate(filters):
        index.add(filter, str(number))
    for number, filter in enumerate(filters):
        index.remove(filter, str(number))
    assert len(index) == 0
    assert index.matching("a", "t") == index.matching("bb", "t") == []


WORDS = st.text("ab/", min_size=1, max_size=4)
PATTERNS = st.one_of(WORDS, WORDS.map(lambda w: w + "*"), st.just("*"))
FILTERS = st.builds(
    Filter, st.lists(PATTERNS, max_size=4), st.lists(st.sampled_from("tu"), max_size=2)
)


@given(st.lists(FILTERS, max_size=8), WORDS, st.sampled_from("tuv"))
def test_index_finds_exactly_the_filters_that_match(
    filters: list[Filter], topic: str, type: str
) -> None:
    index: TopicIndex[int] = TopicIndex()
    for number, filter in enumerate(filters):
        index.add(filter, number)
    expected = [n for n, filter in enumerate(filters) if filter.matches(topic, type)]
    assert sorted(index.matching(topic, type)) == expected
