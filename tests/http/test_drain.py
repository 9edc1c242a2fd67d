"""Stopping: everybody is told when to come back, and it ends within a bounded time."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections import Counter

import pytest

from tests.conftest import StartHub
from tests.http.test_slow_clients import BIG, stalled_client
from tests.patience import PATIENCE_S, wait_until
from tests.raw import notice, post
from tests.serving import StreamClient, eventually, serving
from tocsin import Draft, Unavailable


async def test_drain_tells_each_stream_when_to_come_back_and_ends_it_cleanly() -> None:
    async with serving(retry=2_000) as server:
        clients = [await StreamClient.open(server) for _ in range(20)]
        for client in clients:
            await client.next()
        await server.hub.drain()
        for client in clients:
            (busy,) = await client.read_to_end()
            assert (busy.type, busy.json["reason"]) == ("busy", "draining")
            assert busy.json["retry"] == client.retry_ms
        times = {client.retry_ms for client in clients}
        assert len(times) > 5
        assert all(time is not None and 2_000 <= time <= 6_000 for time in times)
        assert server.hub.counters.closed["shutdown"] == 20


async def test_drain_is_bounded_with_a_client_that_does_not_read() -> None:
    async with serving(drain_timeout=0.3) as server:
        slow = stalled_client(server.port)
        await eventually(lambda: server.hub.streams)
        for _ in range(60):
            await server.hub.publish(Draft("notification", BIG))
        async with asyncio.timeout(PATIENCE_S):
            await server.hub.drain()
        assert not server.hub.streams
        slow.close()


async def test_draining_hub_turns_streams_away_softly_and_publishers_plainly() -> None:
    async with serving() as server:
        server.hub.draining = True
        client = await StreamClient.open(server)
        (busy,) = await client.read_to_end()
        assert (client.status, busy.json["reason"]) == (200, "draining")
        with pytest.raises(Unavailable):
            await server.hub.publish(Draft("notification", b"{}"))
        status, headers, body = await fetch(server.port, "/readyz")
        assert (status, body["code"]) == (503, "draining")
        assert headers["retry-after"] == "1"
        assert (await fetch(server.port, "/healthz"))[0] == 200


async def test_stop_that_is_announced_serves_on_and_is_not_ready() -> None:
    async with serving(drain_delay=0.2, metrics_listen="127.0.0.1:0") as server:
        announcing = asyncio.ensure_future(server.announce_stop())
        await asyncio.sleep(0)
        for port in (server.port, server.metrics_port):
            status, _, body = await fetch(port, "/readyz")
            assert (status, body["code"]) == (503, "draining")
            assert (await fetch(port, "/healthz"))[0] == 200
        client = await StreamClient.open(server)
        assert (await client.next()).type == "connection"
        await server.hub.publish(Draft("notification", b"{}"))
        assert (await client.next()).type == "notification"
        await announcing


async def test_returns_of_hundreds_are_spread_over_the_window() -> None:
    async with serving(retry=2_000, canary=0) as server:
        clients = [await StreamClient.open(server) for _ in range(300)]
        await server.hub.drain()
        ends = [await client.read_to_end() for client in clients]
        assert {events[-1].json["reason"] for events in ends} == {"draining"}
        sixths = Counter((events[-1].json["retry"] - 2_000) * 6 // 4_001 for events in ends)
        # 50 each, if it were even. By chance one has fewer than 20, or more than 100, once in a million runs.
        assert all(20 <= sixths[sixth] <= 100 for sixth in range(6)), sixths


async def test_stream_is_ended_at_the_end_of_an_event() -> None:
    async with serving(drain_timeout=PATIENCE_S, canary=0) as server:
        client = await StreamClient.open(server)
        for _ in range(60):
            await server.hub.publish(Draft("notification", BIG))  # more than its socket takes
        draining = asyncio.ensure_future(server.hub.drain())
        *events, busy = await client.read_to_end()
        await draining
        assert busy.json["reason"] == "draining"
        assert {event.data for event in events[1:]} == {BIG.decode()}


def test_stop_ends_within_its_time_whatever_clients_do(start_hub: StartHub) -> None:
    hub = start_hub("--drain-delay", "0.5", "--drain-timeout", "2")
    slow = stalled_client(hub.port)
    wait_until(lambda: hub.metric("tocsin_clients") == 1)
    hub.publish_at_once("notification", *["x" * 50_000] * 60)
    began = time.monotonic()
    hub.signal(signal.SIGTERM)
    assert hub.wait() == 0
    assert time.monotonic() - began < PATIENCE_S / 2
    assert "not ready any more serves_on_s=0.5" in hub.log()
    slow.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_process_cleanly(start_hub: StartHub, number: int) -> None:
    hub = start_hub()
    with socket.create_connection(("127.0.0.1", hub.port)) as client:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"connection" in client.recv(65_536)
        hub.signal(number)
        assert hub.wait() == 0
        rest = b"".join(iter(lambda: client.recv(65_536), b""))
    assert rest.endswith(b"0\r\n\r\n")
    assert "stream closed client=1 reason=shutdown" in hub.log()


@pytest.mark.parametrize("lane", [(), ("Upgrade: x",)], ids=["fast", "tornado"])
async def test_publisher_whose_batch_is_being_read_at_the_end_is_told_what_became_of_it(
    lane: tuple[str, ...],
) -> None:
    async with serving(canary=0) as server:
        edge = server._listener.edge
        body = b"\n".join([notice(message="x" * 3_000)] * 1_000)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(post(body, *lane, type="application/x-ndjson"))
        while not edge.answering:
            await asyncio.sleep(0)
        await server.stop()
        answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b'"draining"' in answer
        assert server.hub.ring.head == 0
        writer.close()


async def fetch(port: int, path: str) -> tuple[int, dict[str, str], dict[str, object]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
    writer.close()
    return int(status.split()[1]), headers, json.loads(body)
