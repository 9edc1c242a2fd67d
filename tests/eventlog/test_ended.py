"""What is remembered of topics that have ended, and what of a stream's filter they cover."""

from __future__ import annotations

import pytest

from tests.eventlog.contract import on
from tocsin.core.event import Event, EventId
from tocsin.core.filters import Filter
from tocsin.eventlog.entry import Entry
from tocsin.eventlog.journal import Ended, EndedTopics, Final, ended_by


def ended(*topics: str) -> list[Ended]:
    return [(topic, Final(seq, "tick")) for seq, topic in enumerate(topics, 1)]


@pytest.mark.parametrize(
    ("patterns", "are_covered"),
    [
        (["a"], True),
        (["a", "b"], True),
        (["a", "c"], False),
        (["a*"], False),
        (["a", "b*"], False),
        (["*"], False),
        ([], False),
    ],
)
def test_only_a_filter_of_ended_topics_alone_is_covered(
    patterns: list[str], are_covered: bool
) -> None:
    topics = EndedTopics(10, ended("a", "b"))
    assert topics.cover(Filter(patterns)) is are_covered
    assert topics.cover(Filter(patterns, ["tick"])) is are_covered
    assert not EndedTopics().cover(Filter(patterns))


def test_ended_topics_of_a_filter_are_in_the_order_in_which_they_ended() -> None:
    topics = EndedTopics(10, ended("b", "c", "a"))
    assert topics.of(Filter(["a", "b", "x", "c*"])) == [
        ("b", Final(1, "tick")),
        ("a", Final(3, "tick")),
    ]


def test_topic_that_ends_again_is_the_newest() -> None:
    topics = EndedTopics(2, ended("a", "b"))
    topics.add([("a", Final(9, "tick")), ("c", Final(10, "tick"))])
    assert topics.all == [("a", Final(9, "tick")), ("c", Final(10, "tick"))]
    assert topics.find("a") == Final(9, "tick")
    assert topics.find("b") is None


def test_entry_of_a_final_event_tells_the_end_of_each_topic_behind_it() -> None:
    event = Event(EventId(1, 7), on("a", "b", final=True), 0.0)
    block = (
        b"event: tick\ndata: x\nid: 1-7\n\n"
        b'event: end\ndata: {"topic":"a","id":"1-7"}\n\n'
        b'event: end\ndata: {"topic":"b","id":"1-7"}\n\n'
    )
    for entry in (Entry.of(event), Entry.of_all([event, event])[1]):
        assert (entry.block, entry.data, entry.final) == (block, b"x", True)
    assert ended_by([event]) == [("a", Final(7, "tick")), ("b", Final(7, "tick"))]


@pytest.mark.parametrize("data", [b"", b"x", b"a\n\nb", b"\n\n", b"event: end\n\nid: 1"])
def test_entry_of_another_event_is_not_final_whatever_its_data(data: bytes) -> None:
    event = Event(EventId(1, 7), on("a"), 0.0)
    entry = Entry.of(Event(event.id, type(event.draft)("tick", data, "a"), 0.0))
    assert (entry.data, entry.final) == (data, False)
