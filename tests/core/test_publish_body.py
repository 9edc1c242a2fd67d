from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.publish_body import read_batch, read_notice
from tocsin.errors import InvalidInput

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6) | st.just(":")
VALUE = st.recursive(
    st.none() | st.integers(-9, 9) | TEXT, lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
DATA = st.lists(st.tuples(st.sampled_from(["a", "b", ":"]), VALUE), max_size=3)
NAMES = st.lists(st.sampled_from(["type", "message", "topic", "data"]), max_size=4)


def text_of(pairs: Sequence[tuple[str, str]]) -> str:
    """An object with these names, alike or not, and these values, which are JSON."""
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in pairs) + "}"


@st.composite
def notices(draw: st.DrawFn) -> tuple[str, bool]:
    """A notice's text, and whether some object in it has two names alike."""
    data = draw(DATA)
    values = {
        "type": '"t"',
        "message": json.dumps("m" + draw(TEXT)),
        "topic": json.dumps(draw(st.sampled_from(["default", "x", "a:b"]))),
        "data": text_of([(name, json.dumps(value)) for name, value in data]),
    }
    names = ["type", "message", *draw(NAMES)]
    twins = len(set(names)) < len(names)
    twins |= "data" in names and len({name for name, _ in data}) < len(data)
    return text_of([(name, values[name]) for name in names]), twins


@given(notices())
def test_notice_is_refused_exactly_where_two_names_are_alike(notice: tuple[str, bool]) -> None:
    text, twins = notice
    if twins:
        with pytest.raises(InvalidInput, match="stands twice"):
            read_notice(text.encode(), "now", max_bytes=1_000)
    else:
        assert read_notice(text.encode(), "now", max_bytes=1_000).type == "t"


@given(st.lists(notices(), min_size=1, max_size=4))
def test_batch_is_the_same_as_its_notices_one_by_one(batch: list[tuple[str, bool]]) -> None:
    bodies = [text.encode() for text, _ in batch]
    array = b"[" + b", ".join(bodies) + b"]"
    if any(twins for _, twins in batch):
        with pytest.raises(InvalidInput) as refused:
            read_batch(array, "now", ndjson=False, max_bytes=1_000, max_events=4)
        assert refused.value.index == [twins for _, twins in batch].index(True)
    else:
        drafts = read_batch(array, "now", ndjson=False, max_bytes=1_000, max_events=4)
        assert list(drafts) == [read_notice(body, "now", max_bytes=1_000) for body in bodies]


def test_large_notice_of_a_batch_is_refused_by_its_place() -> None:
    small, large = b'{"type":"t","message":"m"}', b'{"type":"t", "message":"' + b"m" * 80 + b'"}'
    with pytest.raises(InvalidInput) as refused:
        read_batch(
            b"[%b,%b]" % (small, large), "now", ndjson=False, max_bytes=len(large) - 1, max_events=9
        )
    assert (refused.value.code, refused.value.index) == ("too_large", 1)


def test_notice_may_not_nest_too_deep() -> None:
    body = b'{"type":"t","message":"m","data":{"a":' + b"[" * 40 + b"]" * 40 + b"}}"
    with pytest.raises(InvalidInput, match="nests more"):
        read_notice(body, "now", max_bytes=1_000)
