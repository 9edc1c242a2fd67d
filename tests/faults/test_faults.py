"""What goes wrong around a hub, and what it promises then: the failure matrix, docs/reliability.md, by its numbers."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import StartFaultProxy, StartHub
from tests.fault_proxy import Faults
from tests.hub_process import HubProcess, free_ports
from tests.patience import PATIENCE_S, wait_until
from tests.raw import exchange, get
from tests.serving import StreamClient, eventually, serving
from tests.tied import TIED
from tocsin.hub.connection import SocketConnection
from tocsin.hub.stream import Stream

RESET = struct.pack("ii", 1, 0)
QUIET = ("--canary", "0", "--log-level", "warning")
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def descriptors(hub: HubProcess) -> int:
    """How many the hub has open."""
    return len(os.listdir(f"/proc/{hub.pid}/fd"))


def open_and_leave(hub: HubProcess, count: int) -> None:
    """Open so many streams, a hundred at a time with a filter each, and leave by FIN or by RST (F1, F2)."""
    for start in range(0, count, 100):
        with ExitStack() as stack:
            for number in range(start, min(start + 100, count)):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", hub.port)))
                client.sendall(get(f"/events?topic=t/{number}"))
                assert b"event: connection" in client.recv(65_536)
                if number % 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    wait_until(lambda: hub.metric("tocsin_clients") == 0, what="all have left")


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_streams_opened_and_closed_leave_nothing(start_hub: StartHub, count: int) -> None:
    hub = start_hub(*QUIET)
    open_and_leave(hub, 500)  # what is made once and kept is made now
    before, memory_kib = descriptors(hub), hub.memory_kib()
    open_and_leave(hub, count)
    wait_until(lambda: descriptors(hub) <= before, what="the descriptors are closed")
    grown_kib = hub.memory_kib() - memory_kib
    print(f"\n{count} streams: {grown_kib} KiB more")
    assert grown_kib < 1_024 + count / 10  # a stream that stays takes 0.6 KiB at least


async def test_closed_streams_are_no_objects_any_more() -> None:
    async with serving() as server:
        clients = [await StreamClient.open(server, f"?topic=t/{n}") for n in range(50)]
        for client in clients:
            await client.next()
        assert count_of(Stream) == count_of(SocketConnection) == 50
        for number, client in enumerate(clients):
            client.reset() if number % 2 else client.close()
        await eventually(lambda: not server.hub.streams)
        await eventually(lambda: count_of(Stream) == count_of(SocketConnection) == 0, "no object")


def test_flood_of_the_largest_events_takes_the_memory_that_is_set(start_hub: StartHub) -> None:
    kept_bytes, message = 16 * 2**20, "x" * 65_000
    hub = start_hub(*QUIET, "--history-bytes", str(kept_bytes))
    hub.publish(message=message)  # what is made once and kept is made now
    before_kib = hub.memory_kib()
    for _ in range(800):  # 50 MiB
        hub.publish(message=message)
    grown_kib = hub.memory_kib() - before_kib
    print(f"\n{grown_kib} KiB more, {kept_bytes // 1024} KiB are kept")
    assert grown_kib < 1.3 * kept_bytes / 1_024


def count_of(kind: type) -> int:
    """How many objects of this class there are."""
    gc.collect()
    return sum(isinstance(each, kind) for each in gc.get_objects())


@pytest.mark.parametrize("count", [200, pytest.param(2_000, marks=pytest.mark.soak)])
async def test_clients_cut_all_at_once_come_back_spread_and_lose_nothing(
    start_hub: StartHub, fault_proxy: StartFaultProxy, count: int
) -> None:
    hub = start_hub(*QUIET, "--retry", "1000")
    proxy = fault_proxy(hub.port)
    clients = [await StreamClient.open(proxy) for _ in range(count)]
    for client in clients:
        await client.next()
    await asyncio.to_thread(proxy.cut)
    ids = hub.publish_at_once("notification", *"abc")
    times = [client.retry_ms for client in clients]
    assert all(time is not None and 1_000 <= time <= 1_500 for time in times)
    assert len(set(times)) > min(count, 500) / 4  # of 501 that can be

    async def come_back(client: StreamClient) -> list[str]:
        await asyncio.sleep((client.retry_ms or 0) / 1_000)
        again = await StreamClient.open(proxy, Last_Event_ID=client.last_event_id)
        assert again.status == 200
        welcome, *events = await again.take(1 + len(ids))
        assert (welcome.type, welcome.json["missed"]) == ("connection", 0)
        return [event.last_event_id for event in events]

    assert await asyncio.gather(*map(come_back, clients)) == [ids] * count
    await StreamClient.close_all()


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(Faults(latency_s=0.2), id="late"),
        pytest.param(Faults(piece_bytes=1), id="dribbled"),
        pytest.param(Faults(bytes_per_s=100_000, piece_bytes=10_000), id="throttled"),
    ],
)
async def test_client_on_a_bad_line_gets_everything_in_order(
    start_hub: StartHub, fault_proxy: StartFaultProxy, faults: Faults
) -> None:
    hub = start_hub(*QUIET)
    client = await StreamClient.open(fault_proxy(hub.port, lambda target, number: faults))
    await client.next()
    size = 100 if faults.piece_bytes == 1 else 10_000
    ids = [
        each for _ in range(3) for each in hub.publish_at_once("notification", *["é" * size] * 3)
    ]
    assert [(await client.next()).last_event_id for _ in ids] == ids
    await StreamClient.close_all()


async def test_client_that_hears_nothing_more_finds_everything_when_it_comes_back(
    start_hub: StartHub, fault_proxy: StartFaultProxy
) -> None:
    hub = start_hub(*QUIET)
    proxy = fault_proxy(hub.port)
    client = await StreamClient.open(proxy)
    await client.next()
    proxy.loses_answers = True
    lost = hub.publish()["id"]
    await eventually(lambda: proxy.lost_bytes, "the event has been lost on the way")
    proxy.loses_answers = False
    client.close()
    again = await StreamClient.open(proxy, Last_Event_ID=client.last_event_id)
    welcome, event = await again.take(2)
    assert (welcome.json["missed"], event.last_event_id) == (0, lost)
    await StreamClient.close_all()


def test_streams_beyond_the_descriptors_are_turned_away_softly(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec prlimit --nofile=256:256 {sys.executable} "$@"\n')
    python.chmod(0o755)
    flags = ("--canary", "0", "--keep-alive", "1")  # silent connections hold the reserve so long
    with ExitStack() as stack:
        hub = stack.enter_context(closing(HubProcess(*flags, python=str(python))))
        limit = int(hub.metric("tocsin_clients_limit"))
        assert limit == 256 - 100
        streams = [stack.enter_context(connect(hub.port)) for _ in range(limit)]
        for stream in streams:
            stream.sendall(get("/events"))
            assert b"event: connection" in stream.recv(65_536)
        with connect(hub.port) as turned_away:
            turned_away.sendall(get("/events"))
            answer = turned_away.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'event: busy\ndata: {"reason":"full"' in answer
        for _ in range(300):  # beyond the descriptors too
            stack.enter_context(connect(hub.port))
        hub_published = exchange_event(hub)
        for stream in streams:
            assert read_until(stream, hub_published.encode())
        assert len(hub.log().splitlines()) < limit + 200
        assert "Traceback" not in hub.log()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def exchange_event(hub: HubProcess) -> str:
    """Publish an event, as soon as a connection is free for it, and return its id."""
    id = ""

    def published() -> bool:
        nonlocal id
        try:
            id = hub.publish()["id"]
        except OSError:
            return False
        return True

    wait_until(published, what="an event is taken")
    return id


def read_until(stream: socket.socket, wanted: bytes) -> bool:
    received = b""
    while wanted not in received:
        data = stream.recv(65_536)
        if not data:
            return False
        received += data
    return True


@pytest.mark.parametrize("stopped_s", [2, pytest.param(30, marks=pytest.mark.soak)])
async def test_hub_that_was_stopped_throws_nobody_out_and_repeats_nothing(
    start_hub: StartHub, stopped_s: float
) -> None:
    hub = start_hub("--canary", "0", "--heartbeat", "0.5", "--slow-client-timeout", "1")
    clients = [await StreamClient.open(hub) for _ in range(50)]
    for client in clients:
        await client.next()
    before = [client.body.count(b":\n") for client in clients]
    hub.signal(signal.SIGSTOP)
    await asyncio.sleep(stopped_s)
    hub.signal(signal.SIGCONT)
    ids = [hub.publish()["id"] for _ in range(2)]
    for client, had in zip(clients, before, strict=True):
        assert [event.last_event_id for event in await client.take(2)] == ids
        assert client.body.count(b":\n") - had <= 4  # and none for each that would have been due
    assert hub.metric("tocsin_clients") == 50
    await StreamClient.close_all()


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """A file that says by how much the clock of a hub with `faked(clock)` is off: `+2d`."""
    file = tmp_path / "clock"
    file.write_text("+0d")
    return file


def faked(clock: Path) -> dict[str, str]:
    """The environment of a hub whose clock can be set; the monotonic one can't, as on any machine."""
    return {
        "LD_PRELOAD": FAKETIME,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


async def test_clock_that_is_set_moves_times_and_no_id(start_hub: StartHub, clock: Path) -> None:
    hub = start_hub("--canary", "0", "--history-age", "3600", env=faked(clock))
    client = await StreamClient.open(hub)
    await client.next()
    ids = []
    for days in ("+0d", "+2d", "-2d", "+0d"):
        clock.write_text(days)
        ids.append(hub.publish()["id"])
        event = await client.next()
        assert event.last_event_id == ids[-1]
        told = datetime.fromisoformat(event.json["timestamp"])
        assert round((told - datetime.now(UTC)) / timedelta(days=1)) == int(days[:-1])
    epoch = ids[0].partition("-")[0]
    assert ids == [f"{epoch}-{number}" for number in range(1, 5)]
    again = await StreamClient.open(hub, Last_Event_ID=f"{epoch}-0")
    welcome, *replayed = await again.take(5)
    assert (welcome.json["missed"], [event.last_event_id for event in replayed]) == (0, ids)
    await StreamClient.close_all()


@pytest.mark.parametrize("days", ["+2d", "-2d"])
async def test_clock_that_is_set_stops_no_heartbeat(
    start_hub: StartHub, clock: Path, days: str
) -> None:
    hub = start_hub("--canary", "0", "--heartbeat", "0.2", env=faked(clock))
    client = await StreamClient.open(hub)
    await client.next()
    clock.write_text(days)
    hub.publish()
    await client.next()
    had = client.body.count(b":\n")
    for _ in range(20):  # a heartbeat comes within each, unless they have stopped
        await client.is_quiet(0.5)
        if client.body.count(b":\n") > had + 2:
            break
    assert client.body.count(b":\n") > had + 2
    await StreamClient.close_all()


@pytest.fixture
def unread_hub() -> Iterator[int]:
    """A hub whose log goes into a pipe that nobody reads; its port."""
    (port,) = free_ports(1)
    command = [*TIED, sys.executable, "-m", "tocsin", "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as hub:
        wait_until(lambda: accepts(port), what="the hub")
        yield port
        hub.kill()


def accepts(port: int) -> bool:
    try:
        return exchange(port, get("/healthz")).status == 200
    except ConnectionRefusedError:
        return False


def test_hub_whose_log_nobody_reads_goes_on_serving(unread_hub: int) -> None:
    lines = 2_000  # a pipe holds 64 KiB: some 600
    with connect(unread_hub) as stream:
        stream.sendall(get("/events"))
        assert b"event: connection" in stream.recv(65_536)
        with connect(unread_hub) as client:
            for _ in range(lines):
                client.sendall(get("/api/nothing"))
                assert client.recv(65_536).startswith(b"HTTP/1.1 404")
        body = b'{"type":"notification","message":"still here"}'
        head = f"POST /api/notify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        request = head.encode() + b"Content-Type: application/json\r\n\r\n" + body
        assert exchange(unread_hub, request).status == 200
        assert read_until(stream, b"still here")
