"""Clients that others wrote, over a connection that is cut again and again: nothing lost, nothing twice."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
import requests

from tests.clients.listeners import (
    BROWSERS,
    CLIENTS,
    GO,
    OURS,
    QUICK,
    Listener,
    ProgramListener,
    listener_of,
)
from tests.conftest import StartFaultProxy, StartHub
from tests.fault_proxy import NONE, Faults
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until

CUTS = 3
FLAGS = ("--retry", "1000", "--heartbeat", "0.2")

SOURCES = (*BROWSERS, "eventsource", "undici")
"""Those that are an EventSource as the standard has it, which stops at 204."""

STOPPED_BY_THE_END = (OURS,)
"""Those that know by `end` that nothing more comes, and don't come back to be told."""

Listen = Callable[..., Listener]


def params_of(names: Sequence[str]) -> list[Any]:
    """These clients as parameters; those that aren't quick are for `make soak`."""
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.soak]) for name in names]


def patient(client: str) -> tuple[str, ...]:
    """The flags of a hub that is away for a moment: undici never tries again where an attempt is refused."""
    return (*FLAGS, "--retry", "6000") if client == "undici" else FLAGS


@pytest.fixture(params=params_of(CLIENTS))
def client(request: pytest.FixtureRequest) -> str:
    """Each client's name."""
    name: str = request.param
    return name


@pytest.fixture
def listen(client: str, request: pytest.FixtureRequest) -> Iterator[Listen]:
    """Open streams with the client: `listen(url, ...)`."""
    program: str = request.getfixturevalue("go_client" if client == GO else "node")
    opened: list[Listener] = []

    def open_streams(*urls: str) -> Listener:
        opened.append(listener_of(client, program, urls))
        return opened[-1]

    yield open_streams
    for listener in opened:
        listener.stop()


def publish_until(hub: HubProcess, enough: Callable[[], bool], topic: str = "default") -> list[str]:
    """Publish some hundred events a second until it is enough, and return their ids."""
    ids: list[str] = []
    deadline = time.monotonic() + PATIENCE_S
    with httpx.Client(base_url=hub.url) as client:
        while not enough():
            assert time.monotonic() < deadline, f"not enough after {len(ids)} events"
            body = {"type": "notification", "message": f"é {len(ids)}\n", "topic": topic}
            ids.append(client.post("/api/notify", json=body).json()["id"])
            time.sleep(0.002)
    return ids


def test_client_resumes_over_cuts_without_loss_and_without_repeats(
    start_hub: StartHub, fault_proxy: StartFaultProxy, listen: Listen, client: str
) -> None:
    hub = start_hub(*FLAGS)
    # In the middle of an event, whichever it is; by a reset, which takes with it what wasn't read.
    proxy = fault_proxy(
        hub.port, lambda target, number: Faults(cut_after=40_000) if number < CUTS else NONE
    )
    listener = listen(proxy.url + "/events")
    wait_until(lambda: listener.of("connection"))
    ids = publish_until(hub, lambda: proxy.cuts >= CUTS)
    wait_until(lambda: ids[-1] in listener.ids(), what="the last event")
    if client == GO:
        assert set(ids) <= set(listener.ids())  # half events make it ask from too early
        return
    assert listener.ids() == ids
    assert {type for type, _, _ in listener.seen} == {"connection", "notification"}
    assert all(data["missed"] == 0 for _, _, data in listener.of("connection"))


def test_client_resumes_after_a_cut_at_any_byte_of_an_event(
    start_hub: StartHub, fault_proxy: StartFaultProxy, listen: Listen, client: str
) -> None:
    hub = start_hub("--retry", "1000")
    places = cut_places(hub, client)

    def cut_first(target: str, number: int) -> Faults:
        place = re.search(r"cut=(\d+)", target)
        if number or not place:
            return NONE
        return Faults(cut_after=int(place[1]), cut_from=b"event: n", cut_with_reset=False)

    proxy = fault_proxy(hub.port, cut_first)
    listener = listen(*(f"{proxy.url}/events?cut={place}" for place in places))
    every = range(len(places))
    wait_until(lambda: all(listener.of("connection", each) for each in every), what="welcomes")
    ids = hub.publish_at_once("notification", "é", "à")
    wait_until(lambda: proxy.cuts == len(places), what="a cut of each")
    ids += hub.publish_at_once("notification", "ç")
    wait_until(lambda: all(ids[2] in listener.ids(each) for each in every), what="the last event")
    wrong = {places[each]: listener.ids(each) for each in every if listener.ids(each) != ids}
    if client == "@microsoft/fetch-event-source":
        # It takes an id before the event is whole: cut between the two, it loses that event.
        wrong = {place: seen for place, seen in wrong.items() if seen not in (ids[1:], ids[::2])}
    if client == GO:  # it takes half an id for one, and asks from too early
        assert all(set(ids) <= set(seen) for seen in wrong.values())
        return
    assert wrong == {}
    told = [data["missed"] for each in every for _, _, data in listener.of("connection", each)]
    assert set(told) == {0}


def cut_places(hub: HubProcess, client: str) -> list[int]:
    """After how many bytes of an event, and of the next one behind it, its streams are cut.

    `make test` takes every ninth. A browser has six connections to a host.
    """
    hub.publish_at_once("notification", "é", "à")
    with httpx.stream("GET", f"{hub.url}/events?last_event_id=earliest") as response:
        text = next(text for text in response.iter_text() if text.count("event: n") == 2)
    length = len(text[text.index("event: n") :].encode())
    step = 9 if client in QUICK else length // 5 + 1 if client in BROWSERS else 1
    return list(range(1, length, step))


def test_client_is_told_of_a_gap_after_a_restart(
    start_hub: StartHub, listen: Listen, client: str
) -> None:
    hub = start_hub(*patient(client))
    listener = listen(hub.url + "/events")
    wait_until(lambda: listener.of("connection"))
    (before,) = [hub.publish()["id"]]
    wait_until(lambda: listener.ids() == [before])
    hub.restart()
    wait_until(lambda: listener.of("gap"))
    after = hub.publish()["id"]
    wait_until(lambda: listener.ids() == [before, after])
    ((_, _, gap),) = listener.of("gap")
    assert (gap["reason"], gap["requested"], gap["missed"]) == ("restart", before, None)


def test_client_comes_back_after_a_drain(start_hub: StartHub, listen: Listen, client: str) -> None:
    hub = start_hub(*patient(client))
    listener = listen(hub.url + "/events")
    wait_until(lambda: listener.of("connection"))
    before = hub.publish()["id"]
    wait_until(lambda: listener.ids() == [before])
    assert hub.stop() == 0
    wait_until(lambda: listener.of("busy"))
    hub.restart()
    wait_until(lambda: len(listener.of("connection")) == 2)
    after = hub.publish()["id"]
    wait_until(lambda: listener.ids() == [before, after])
    ((_, _, busy),) = listener.of("busy")
    assert busy["reason"] == "draining"
    assert len(listener.of("gap")) == 1


def test_client_reads_a_topic_to_its_end_over_cuts(
    start_hub: StartHub, fault_proxy: StartFaultProxy, listen: Listen, client: str
) -> None:
    hub = start_hub(*FLAGS)
    proxy = fault_proxy(
        hub.port, lambda target, number: Faults(cut_after=20_000) if number < CUTS else NONE
    )
    listener = listen(proxy.url + "/events?topic=jobs/1&last_event_id=earliest")
    wait_until(lambda: listener.of("connection"))
    ids = publish_until(hub, lambda: proxy.cuts >= CUTS, topic="jobs/1")
    ids.append(hub.publish(topic="jobs/1", final=True)["id"])
    wait_until(lambda: listener.of("end"), what="the end")
    # Who comes back then has all, and is told so.
    if client not in STOPPED_BY_THE_END:
        wait_until(lambda: hub.metric('tocsin_streams_rejected_total{reason="ended"}') >= 1)
    if client == GO:
        assert set(ids) <= set(listener.ids())  # half events make it ask from too early
        return
    assert listener.ids() == ids
    ((_, id, told),) = listener.of("end")
    assert told == {"topic": "jobs/1", "id": ids[-1]}
    assert id in (ids[-1], "")  # of the one before, where a client keeps it; it has none of its own


@pytest.mark.parametrize("client", params_of(SOURCES), indirect=True)
def test_source_stops_for_good_at_204(start_hub: StartHub, listen: Listen) -> None:
    hub = start_hub(*FLAGS)
    hub.publish(topic="jobs/1")
    last = hub.publish(topic="jobs/1", final=True)["id"]
    listener = listen(hub.url + "/events?topic=jobs/1")
    wait_until(lambda: listener.of("end"), what="the end")
    requests = 'tocsin_streams_rejected_total{reason="ended"}'
    wait_until(lambda: hub.metric(requests) == 1, what="its return")
    # A second stream that comes back later says how much time has passed.
    other = listen(hub.url + "/events?topic=jobs/1")
    wait_until(lambda: other.of("end"), what="the end of another")
    wait_until(lambda: hub.metric(requests) >= 2, what="the return of another")
    assert hub.metric(requests) == 2
    assert listener.ids()[-1] == last
    assert len(listener.of("connection")) == 1


def test_client_begins_with_the_state_that_it_asks_for(start_hub: StartHub, listen: Listen) -> None:
    hub = start_hub(*FLAGS)
    newest = [hub.publish(topic=f"u/{number % 3}")["id"] for number in range(9)][-3:]
    listener = listen(hub.url + "/events?topic=u/*&last_per_topic=1")
    wait_until(lambda: len(listener.ids()) == 3)
    later = hub.publish(topic="u/1")["id"]
    wait_until(lambda: listener.ids() == [*newest, later])


def test_client_that_is_turned_away_comes_back(start_hub: StartHub, listen: Listen) -> None:
    hub = start_hub(*FLAGS, "--max-clients", "1")
    with httpx.stream("GET", hub.url + "/events", timeout=PATIENCE_S) as only:
        assert only.status_code == 200
        listener = listen(hub.url + "/events")
        wait_until(lambda: listener.of("busy"))
    wait_until(lambda: listener.of("connection"))
    id = hub.publish()["id"]
    wait_until(lambda: listener.ids() == [id])


@pytest.mark.soak
def test_fetch_event_source_without_onclose_stops_at_a_drain(
    start_hub: StartHub, node: str
) -> None:
    hub = start_hub(*FLAGS)
    listener = ProgramListener(
        [node, "listen.mjs", "@microsoft/fetch-event-source without onclose"],
        [hub.url + "/events"],
    )
    wait_until(lambda: listener.of("connection"))
    assert hub.stop() == 0
    wait_until(lambda: listener.has_ended, what="it doesn't come back")
    assert [type for type, _, _ in listener.seen] == ["connection", "busy"]
    listener.stop()


def test_heartbeats_are_no_events(start_hub: StartHub, listen: Listen) -> None:
    hub = start_hub("--heartbeat", "0.05")
    listener = listen(hub.url + "/events")
    wait_until(lambda: listener.of("connection"))
    wait_until(lambda: hub.metric("tocsin_heartbeats_total") >= 10)
    hub.publish()
    wait_until(lambda: listener.ids())
    assert [type for type, _, _ in listener.seen] == ["connection", "notification"]


def test_event_with_line_separators_arrives_whole(start_hub: StartHub, listen: Listen) -> None:
    hub = start_hub(*FLAGS)
    listener = listen(hub.url + "/events")
    wait_until(lambda: listener.of("connection"))
    message = "a\x85b\u2028c\u2029d\x0b\x0c\x1c\x1d\x1e\r\ne"
    hub.publish(message=message, data={message: message})
    wait_until(lambda: listener.of("notification"))
    ((_, _, data),) = listener.of("notification")
    assert (data["message"], data["data"]) == (message, {message: message})


def test_line_readers_see_each_event_in_three_lines(start_hub: StartHub) -> None:
    hub = start_hub(*FLAGS)
    with (
        httpx.Client(timeout=5) as client,
        client.stream("GET", hub.url + "/events?type=notification") as by_httpx,
        requests.get(hub.url + "/events", stream=True, timeout=5) as by_requests,
    ):
        hub.publish(message="a\x85b\u2028c\u2029d")
        by_requests.encoding = "utf-8"
        for lines in (by_httpx.iter_lines(), by_requests.iter_lines(1, decode_unicode=True)):
            wanted = iter(line for line in lines if line.startswith("event: notification"))
            assert next(wanted)
            assert (
                json.loads(next(lines).removeprefix("data: "))["message"] == "a\x85b\u2028c\u2029d"
            )
            assert next(lines).startswith("id: ")
