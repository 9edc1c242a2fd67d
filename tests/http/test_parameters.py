"""Query parameters: what is taken, what is refused as a slip, what is ignored."""

from __future__ import annotations

import pytest

from tocsin import Hub, InvalidInput, Settings
from tocsin.access.principal import EVERYBODY
from tocsin.core.filters import Filter
from tocsin.http.open_stream import OpenStream
from tocsin.http.origins import Origins
from tocsin.http.parameters import MAX_IGNORED, Parameters
from tocsin.http.request import Request
from tocsin.http.routes import events, history


def read(query: str, known: frozenset[str] = events.KNOWN) -> Parameters:
    return Parameters.read(Request("GET", "/events", query, principal=EVERYBODY), known)


def test_values_are_decoded_and_stripped_in_the_order_they_came() -> None:
    parameters = read("topic=a%2Fb&topic=+c+&type=x")
    assert (parameters.all("topic"), parameters.last("topic")) == (["a/b", "c"], "c")
    assert parameters.last("presence", "0") == "0"


@pytest.mark.parametrize(
    "name", ["last_event_id", "lastEventId", "lastEventID", "Last-Event-ID", "last-event-id"]
)
def test_last_event_id_is_taken_in_every_spelling(name: str) -> None:
    assert read(f"{name}=1-1").all("last_event_id") == ["1-1"]


@pytest.mark.parametrize(
    "name",
    ["topics", "Topic", "topik", "types", "typ", "presense", "last_event", "last_per_topics"],
)
def test_slip_of_a_name_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(f"{name}=a")
    error = refused.value
    assert (error.status, error.field) == (400, name)
    assert "last, last_event_id, last_per_topic, presence, ticket, topic, type" in error.message


@pytest.mark.parametrize("name", ["limits", "Limit", "afters", "topic[]"])
def test_slip_of_a_name_of_the_history_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        read(f"{name}=1", history.KNOWN)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("last=0", "last"),
        ("last=10001", "last"),
        ("last=", "last"),
        ("last=-1", "last"),
        ("last_per_topic=0", "last_per_topic"),
        ("last_per_topic=101", "last_per_topic"),
        ("last_per_topic=1.0", "last_per_topic"),
        ("last=1&last_per_topic=1", "last_per_topic"),
        ("last=1&last_event_id=earliest", "last"),
        ("last_per_topic=1&last_event_id=1-1&last_event_id=earliest", "last_per_topic"),
    ],
)
def test_recent_events_that_can_not_be_asked_for_are_refused(query: str, field: str) -> None:
    hub = Hub()
    route = events.EventsRoute(hub, Origins(hub.settings))
    with pytest.raises(InvalidInput) as refused:
        route.answer(Request("GET", "/events", query, principal=EVERYBODY))
    assert (refused.value.status, refused.value.field) == (400, field)


def test_other_names_are_ignored_and_named() -> None:
    assert read("_=123&utm_source=x&topic=a&fbclid=1").ignored == ("_", "utm_source", "fbclid")


def test_names_without_end_are_refused() -> None:
    for query in ("&".join(f"x{n}=1" for n in range(MAX_IGNORED + 1)), "x" * 65 + "=1"):
        with pytest.raises(InvalidInput) as refused:
            read(query)
        assert len(refused.value.message) < 300


@pytest.mark.parametrize("query", ["topic=%ff", "&".join(["a=1"] * 1_001)])
def test_query_that_cannot_be_read_is_refused(query: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(query)
    assert refused.value.status == 400


def test_query_that_was_read_before_asks_for_the_same() -> None:
    route = events.EventsRoute(Hub(), Origins(Settings()))
    asked = [
        route.answer(Request("GET", "/events", "topic=a&presence=1", principal=EVERYBODY))
        for _ in range(2)
    ]
    assert [(a.filter, a.presence) for a in asked if isinstance(a, OpenStream)] == (
        [(Filter(["a"]), True)] * 2
    )


def test_queries_that_are_remembered_are_bounded_and_hold_nothing_unknown() -> None:
    route = events.EventsRoute(Hub(), Origins(Settings()))
    long = "topic=" + "&topic=".join(["a"] * 100)
    for query in (long, "topic=a&token=s", "last_event_id=1-2", "ticket=s"):
        route.answer(Request("GET", "/events", query, principal=EVERYBODY))
    assert not route._known
    for number in range(2 * events.MAX_KNOWN_QUERIES):
        route.answer(Request("GET", "/events", f"topic={number}", principal=EVERYBODY))
        assert 0 < len(route._known) <= events.MAX_KNOWN_QUERIES
