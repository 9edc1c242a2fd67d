"""The shipped files of config/proxies/, each with its proxy: what passes through it is what the hub sent."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import wait_until
from tests.proxies.conftest import PROXIES, StartProxy
from tests.proxy_process import ProxyProcess, proxy_process
from tests.raw import exchange, get, post, raw
from tests.serving import StreamClient, eventually
from tests.sse import EventStreamParser

NEVER = ("--canary", "0", "--heartbeat", "600")
"""No byte but an event's own is on a stream: nothing is pushed out, or found closed, by what comes after it."""


@pytest.fixture
def hub(start_hub: StartHub) -> HubProcess:
    return start_hub(*NEVER)


@pytest.fixture
def proxy(start_proxy: StartProxy, hub: HubProcess) -> ProxyProcess:
    return start_proxy(hub.port)


async def test_each_event_arrives_while_the_stream_is_open(
    hub: HubProcess, proxy: ProxyProcess
) -> None:
    client = await StreamClient.open(proxy)
    assert (await client.next()).type == "connection"
    for number in range(5):  # the next is published when the last has come: none waits for another
        id = hub.publish(message=f"{number} é")["id"]
        event = await client.next()
        assert (event.last_event_id, event.json["message"]) == (id, f"{number} é")
    assert client.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-encoding" not in client.headers
    await StreamClient.close_all()


async def test_client_resumes_by_header_and_by_address(
    hub: HubProcess, proxy: ProxyProcess
) -> None:
    first, *missed = [hub.publish()["id"] for _ in range(3)]
    for query, headers in (("", {"Last_Event_ID": first}), (f"?last_event_id={first}", {})):
        client = await StreamClient.open(proxy, query, **headers)
        welcome, *events = await client.take(3)
        assert (welcome.type, welcome.json["missed"]) == ("connection", 0)
        assert [event.last_event_id for event in events] == missed
    await StreamClient.close_all()


async def test_hub_learns_that_a_client_has_gone(
    start_hub: StartHub, start_proxy: StartProxy, kind: type[ProxyProcess]
) -> None:
    flags = NEVER if kind.tells_of_close else ("--canary", "0", "--heartbeat", "0.2")
    hub = start_hub(*flags)
    client = await StreamClient.open(start_proxy(hub.port))
    await client.next()
    assert hub.metric("tocsin_clients") == 1
    client.close()
    await eventually(lambda: hub.metric("tocsin_clients") == 0, "the client has gone")


@pytest.mark.soak
async def test_stream_without_events_outlives_each_proxys_times(start_hub: StartHub) -> None:
    hub = start_hub("--canary", "0")  # with the heartbeat that is the default
    with ExitStack() as stack:
        proxies = [stack.enter_context(proxy_process(kind, hub.port)) for kind in PROXIES]
        clients = [await StreamClient.open(proxy) for proxy in proxies]
        for client in clients:
            await client.next()
        await asyncio.sleep(
            100
        )  # longer than any time of theirs: what is tried is that none ends it
        id = hub.publish()["id"]
        assert [(await client.next()).last_event_id for client in clients] == [id] * len(clients)
        await StreamClient.close_all()


async def test_drain_reaches_the_client_and_ends_its_stream_cleanly(
    hub: HubProcess, proxy: ProxyProcess
) -> None:
    client = await StreamClient.open(proxy)
    await client.next()
    assert hub.stop() == 0
    (busy,) = await client.read_to_end()
    assert (busy.type, busy.json["reason"]) == ("busy", "draining")
    await StreamClient.close_all()


def test_largest_batch_passes_and_refusals_stay_the_hubs_own(
    hub: HubProcess, proxy: ProxyProcess
) -> None:
    batch = [{"type": "notification", "message": "x" * 60_000}] * 69
    body = json.dumps(batch).encode()
    assert len(body) < 4_194_304 < len(body) * 70 / 69
    assert exchange(proxy.port, post(body)).status == 200
    refused = exchange(proxy.port, post(b"{}"))
    assert (refused.status, refused.json["code"]) == (400, "missing_field")


def test_chunked_publish_passes(hub: HubProcess, proxy: ProxyProcess) -> None:
    head = ("POST /api/notify HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    body = b'{"type":"notification","message":"in chunks"}'
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (9, body[:9], len(body) - 9, body[9:])
    request = raw(*head, "Transfer-Encoding: chunked", body=chunks)
    assert exchange(proxy.port, request).json["success"]


async def test_away_hub_is_answered_for_as_a_stream_that_comes_back(
    hub: HubProcess, proxy: ProxyProcess
) -> None:
    hub.kill()
    requests = (get("/events?topic=a", "Origin: https://app.example"), get("/api/history"))
    answer, other = await asyncio.gather(
        *(asyncio.to_thread(exchange, proxy.port, request) for request in requests)
    )
    if answer.status:  # Varnish closes without an answer, which browsers take as a reason to return
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["cache-control"] == "no-store"
        (event,) = EventStreamParser().feed(answer.body)
        assert (event.type, event.json["reason"], event.last_event_id) == ("busy", "away", "")
    assert other.status in (502, 503)


@contextmanager
def recording_server() -> Iterator[tuple[int, list[str]]]:
    """A server that keeps the head of each request but health's, and answers it; yields its port and the heads."""
    heads: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                head = connection.recv(65_536).decode("latin-1")
                if "/healthz" not in head:
                    heads.append(head)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1], heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def is_of_this_machine(address: str) -> bool:
    """Whether one can listen there."""
    try:
        socket.create_server((address, 0)).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("path", ["/events", "/api/history"])
def test_hub_is_told_the_clients_address_last(start_proxy: StartProxy, path: str) -> None:
    with recording_server() as (port, heads):
        proxy = start_proxy(port)
        assert exchange(proxy.port, get(path, "X-Forwarded-For: 192.0.2.7")).status == 200
        wait_until(lambda: heads, what="the request")
    lines = heads[0].lower().split("\r\n")
    told = [line.partition(": ")[2] for line in lines if line.startswith("x-forwarded-for:")]
    last = ",".join(told).replace(" ", "").split(",")[-1]
    assert is_of_this_machine(
        last
    )  # Envoy tells another address of its own in the place of 127.0.0.1
    assert lines[0] == f"get {path} http/1.1"
