from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.access.principal import EVERYBODY, NOBODY, Principal
from tocsin.access.rights import Patterns
from tocsin.core.filters import Filter
from tocsin.errors import Forbidden, InvalidInput, Unauthorized

names = st.text("ab/", min_size=1, max_size=4).map(lambda text: "x" + text)
patterns = st.sets(st.one_of(names, names.map(lambda name: name + "*"), st.just("*")), max_size=5)


def test_no_pattern_allows_nothing() -> None:
    assert not Patterns()
    assert not Patterns().allows("a")
    assert Patterns().narrow(Filter()) is None


@pytest.mark.parametrize(
    ("texts", "topic", "allowed"),
    [
        (["a"], "a", True),
        (["a"], "ab", False),
        (["a/*"], "a/b", True),
        (["a/*"], "a", False),
        (["*"], "anything", True),
        (["a", "a*"], "ab", True),
    ],
)
def test_pattern_allows_an_exact_topic_or_a_prefix(
    texts: list[str], topic: str, allowed: bool
) -> None:
    assert Patterns(texts).allows(topic) is allowed


@pytest.mark.parametrize(
    ("rights", "asked", "left"),
    [
        (["*"], [], None),
        (["ci/*"], [], {"ci/*"}),
        (["ci/*", "x"], ["*"], {"ci/*", "x"}),
        (["ci/*"], ["ci/a"], None),
        (["ci/*"], ["ci/a", "ops"], {"ci/a"}),
        (["ci/*"], ["c*"], {"ci/*"}),
        (["ci/a", "ci/b", "d"], ["ci/*"], {"ci/a", "ci/b"}),
        (["ci/*"], ["ci/a*"], None),
    ],
)
def test_filter_is_narrowed_to_what_may_be_read(
    rights: list[str], asked: list[str], left: set[str] | None
) -> None:
    filter = Filter(asked, ["t"])
    narrowed = Patterns(rights).narrow(filter)
    assert narrowed is not None
    assert narrowed.types == {"t"}
    if left is None:
        assert narrowed is filter
    else:
        assert narrowed.patterns == left


@given(patterns, patterns, names)
def test_narrowed_filter_lets_through_what_both_do_and_nothing_else(
    rights: set[str], asked: set[str], topic: str
) -> None:
    narrowed = Patterns(rights).narrow(Filter(asked))
    both = Patterns(rights).allows(topic) and Filter(asked).matches(topic, "t")
    assert (narrowed is not None and narrowed.matches(topic, "t")) is both


@pytest.mark.parametrize(
    "texts", ["a", None, [1], ["a*b"], ["tocsin/x"], ["tocsin/*"], ["a"] * 101]
)
def test_what_is_no_list_of_patterns_is_refused_with_its_field(texts: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        Patterns.parse(texts, "publish")
    assert refused.value.field == "publish"


def test_event_needs_the_right_to_each_of_its_topics() -> None:
    principal = Principal(name="key:a", publish=Patterns(["a/*"]))
    principal.check_publish(["a/1", "a/2"])
    with pytest.raises(Forbidden, match="'b'"):
        principal.check_publish(["a/1", "b"])


def test_ending_a_topic_is_a_right_of_its_own() -> None:
    principal = Principal(name="key:a", publish=Patterns(["*"]), end=Patterns(["a"]))
    principal.check_publish(["a"], final=True)
    with pytest.raises(Forbidden) as refused:
        principal.check_publish(["b"], final=True)
    assert refused.value.reason == "end"


def test_who_said_nothing_is_asked_for_credentials_and_who_is_known_is_not() -> None:
    with pytest.raises(Unauthorized):
        NOBODY.readable(Filter())
    with pytest.raises(Forbidden):
        Principal(name="key:a").readable(Filter())
    assert EVERYBODY.readable(Filter()) == Filter()


def test_principal_shows_no_digest() -> None:
    assert repr(Principal(name="key:a", digest=b"d" * 32)) == "Principal('key:a')"
