from __future__ import annotations

import pytest

from tocsin.core.filters import EVERYTHING, MAX_PATTERNS, Filter
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
