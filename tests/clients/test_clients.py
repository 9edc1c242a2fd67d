"""Clients that others wrote, over a connection that is cut again and again: nothing lost, nothing twice."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import pytest
import requests
import sseclient

from tests.conftest import StartHub
from tests.cutter import Cutter
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until
from tests.tied import TIED

HERE = Path(__file__).parent
CUTS = 3
FLAGS = ("--retry", "1000", "--heartbeat", "0.2")

Seen = tuple[str, str, dict[str, Any]]
"""Event type, last event id, data."""


class Listener:
    """A client in a thread of its own, and what it has seen."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.stopped = False

    def of(self, type: str) -> list[Seen]:
        return [seen for seen in self.seen if seen[0] == type]

    def ids(self) -> list[str]:
        return [id for _, id, _ in self.of("notification")]

    def stop(self) -> None:
        self.stopped = True


class ReconnectingListener(Listener):
    """Drives a library that doesn't reconnect by itself, as its documentation says to."""

    def __init__(self, url: str, connect: Callable[[str, str], Iterator[Seen]]) -> None:
        super().__init__()
        self._url = url
        self._connect = connect
        self._last_event_id = ""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while not self.stopped:
            try:
                for seen in self._connect(self._url, self._last_event_id):
                    self.seen.append(seen)
                    self._last_event_id = seen[1]
            except (httpx.HTTPError, requests.RequestException, httpx_sse.SSEError):
                time.sleep(0.05)


class NodeListener(Listener):
    """The npm package eventsource, which reconnects by itself."""

    def __init__(self, node: str, url: str) -> None:
        super().__init__()
        command = [*TIED, node, "listen.mjs", url]
        self._process = subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            event = json.loads(line)
            self.seen.append((event["type"], event["lastEventId"], json.loads(event["data"])))

    def stop(self) -> None:
        super().stop()
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        assert self._process.stdout
        self._process.stdout.close()


def with_httpx_sse(url: str, last_event_id: str) -> Iterator[Seen]:
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    with (
        httpx.Client(timeout=PATIENCE_S) as client,
        httpx_sse.connect_sse(client, "GET", url, headers=headers) as source,
    ):
        for event in source.iter_sse():
            yield event.event, event.id, event.json()


def with_sseclient(url: str, last_event_id: str) -> Iterator[Seen]:
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    with requests.get(url, stream=True, headers=headers, timeout=PATIENCE_S) as response:
        for event in sseclient.SSEClient(response.iter_content(None)).events():
            yield event.event, event.id or last_event_id, json.loads(event.data)


CLIENTS = ("httpx-sse", "sseclient-py", "eventsource")


@pytest.fixture(params=CLIENTS)
def listen(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Listener]]:
    """Open a stream at a URL with each of the clients."""
    opened: list[Listener] = []

    def open_stream(url: str) -> Listener:
        if request.param == "httpx-sse":
            opened.append(ReconnectingListener(url, with_httpx_sse))
        elif request.param == "sseclient-py":
            opened.append(ReconnectingListener(url, with_sseclient))
        else:
            node: str = request.getfixturevalue("node")
            opened.append(NodeListener(node, url))
        return opened[-1]

    yield open_stream
    for listener in opened:
        listener.stop()


def publish_until(hub: HubProcess, enough: Callable[[], bool]) -> list[str]:
    """Publish some hundred events a second until it is enough, and return their ids."""
    ids: list[str] = []
    deadline = time.monotonic() + PATIENCE_S
    with httpx.Client(base_url=hub.url) as client:
        while not enough():
            assert time.monotonic() < deadline, f"not enough after {len(ids)} events"
            body = {"type": "notification", "message": f"é {len(ids)}\n"}
            ids.append(client.post("/api/notify", json=body).json()["id"])
            time.sleep(0.002)
    return ids


def test_client_resumes_over_cuts_without_loss_and_without_repeats(
    start_hub: StartHub, cutter: Callable[..., Cutter], listen: Callable[[str], Listener]
) -> None:
    hub = start_hub(*FLAGS)
    proxy = cutter(hub.port, 40_000)  # bytes: in the middle of an event, whichever it is
    listener = listen(proxy.url + "/events")
    wait_until(lambda: listener.of("connection"))
    ids = publish_until(hub, lambda: proxy.cuts >= CUTS)
    wait_until(lambda: len(listener.ids()) >= len(ids), what="all events")
    assert listener.ids() == ids
    assert {type for type, _, _ in listener.seen} == {"connection", "notification"}
    assert all(data["missed"] == 0 for _, _, data in listener.of("connection"))


def test_client_is_told_of_a_gap_after_a_restart(
    start_hub: StartHub, listen: Callable[[str], Listener]
) -> None:
    hub = start_hub(*FLAGS)
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


def test_heartbeats_are_no_events(start_hub: StartHub, listen: Callable[[str], Listener]) -> None:
    hub = start_hub("--heartbeat", "0.05")
    listener = listen(hub.url + "/events")
    wait_until(lambda: listener.of("connection"))
    wait_until(lambda: hub.metric("tocsin_heartbeats_total") >= 10)
    hub.publish()
    wait_until(lambda: listener.ids())
    assert [type for type, _, _ in listener.seen] == ["connection", "notification"]


def test_event_with_line_separators_arrives_whole(
    start_hub: StartHub, listen: Callable[[str], Listener]
) -> None:
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
