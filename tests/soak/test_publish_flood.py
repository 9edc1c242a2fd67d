"""A key that floods the hub with publishes, beyond its rate: what that is to the others. Row F30 of docs/reliability.md."""

from __future__ import annotations

import multiprocessing
import select
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.access.keys import KeyFile
from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S
from tests.raw import get, notice, post, read_answer

RATE = 100
CONNECTIONS = 8
WINDOWS, EVENTS = 6, 200
PAUSE_S = 0.005
NOISE_S = 0.005
"""What a busy machine alone adds to one latency in a hundred."""


@pytest.mark.soak
def test_flood_of_one_key_is_refused_and_leaves_the_others_their_latency(
    start_hub: StartHub, tmp_path: Path
) -> None:
    keys = KeyFile(tmp_path)
    flooder = keys.add("flooder", publish=["flood/*"])
    calm = keys.add("calm", publish=["calm"], subscribe=["calm"])
    rate = ("--publish-rate-per-principal", str(RATE))
    # The others publish no faster than they may.
    hub = start_hub("--keys", keys.path, *rate, "--canary", "0", "--log-level", "warning")
    found: dict[bool, list[float]] = {False: [], True: []}
    refused, refused_s, cpu_s = 0, 0.0, 0.0
    with (
        socket.create_connection(("127.0.0.1", hub.port), PATIENCE_S) as stream,
        socket.create_connection(("127.0.0.1", hub.port), PATIENCE_S) as publisher,
    ):
        stream.sendall(get("/events", calm))
        _read_until(stream, b"event: connection")
        for number in range(2 * WINDOWS):
            if number % 2:
                with flood(hub.port, post(notice(topic="flood/1"), flooder)) as told:
                    began, before = time.monotonic(), cpu_of(hub)
                    found[True].append(p99(stream, publisher, post(notice(topic="calm"), calm)))
                    refused_s += time.monotonic() - began
                    cpu_s += cpu_of(hub) - before
                refused += told[0]
            else:
                before = cpu_of(hub)
                found[False].append(p99(stream, publisher, post(notice(topic="calm"), calm)))
                cpu_s -= cpu_of(hub) - before
    quiet_s, flooded_s = (statistics.median(found[is_flooded]) for is_flooded in (False, True))
    print(
        f"\np99 of others {quiet_s * 1e3:.2f} ms, flooded {flooded_s * 1e3:.2f} ms;"
        f" {refused / refused_s:.0f} refusals/s, {cpu_s / refused * 1e6:.0f} us of the hub each"
    )
    assert refused
    assert flooded_s < 2 * quiet_s + NOISE_S


def p99(stream: socket.socket, publisher: socket.socket, request: bytes) -> float:
    """Seconds from a POST to its event on the stream, that 1 of 100 exceeds."""
    taken = []
    for _ in range(EVENTS):
        time.sleep(1.05 / RATE)
        began = time.perf_counter()
        publisher.sendall(request)
        _read_until(stream, b"event: notification")
        taken.append(time.perf_counter() - began)
        assert read_answer(publisher).status == 200
    return statistics.quantiles(taken, n=100)[-1]


def cpu_of(hub: HubProcess) -> float:
    """Seconds of CPU that the hub has used."""
    tasks = Path(f"/proc/{hub.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def flood(port: int, request: bytes) -> Iterator[list[int]]:
    """Send `request` over and over by `CONNECTIONS`, from a process of its own; how often it was refused."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_flood, args=(port, request, theirs))
    process.start()
    told: list[int] = []
    try:
        ours.recv()
        yield told
        ours.send(None)
        told.append(ours.recv())
    finally:
        process.kill()
        process.join()


def _flood(port: int, request: bytes, told: Connection) -> None:
    """Each connection sends its next request as soon as the last one is answered."""
    open_ = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    refused, is_full = 0, False
    for each in open_:
        each.sendall(request)
        each.setblocking(False)
    while not told.poll() or not is_full:
        ready, _, _ = select.select(
            open_, [], [], 1.0
        )  # else it would take a core from those who are measured
        for each in ready:
            with suppress(BlockingIOError):
                answer = each.recv(65_536)
                each.send(request)
                if answer.startswith(b"HTTP/1.1 429 "):
                    refused += 1
                    if not is_full:
                        is_full, refused = True, 0
                        told.send(None)
    told.send(refused)


def _read_until(connection: socket.socket, end: bytes) -> None:
    received = b""
    while end not in received:
        received += connection.recv(65_536)
