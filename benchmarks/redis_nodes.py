"""What a log in Redis costs: events through one Redis, and the way from a POST on one node to a stream on another.

    python benchmarks/redis_nodes.py                    # both parts, some two minutes
    python benchmarks/redis_nodes.py append | latency   # one of them

Needs `redis-server`, and the extra `tocsin[redis]`. Other processes move times by much, CPU by little. The parts take turns, and what is
printed is the median of the rounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from statistics import median, quantiles

from appending import append

from tocsin.core.event import Draft
from tocsin.eventlog.journal import open_journal
from tocsin.eventlog.journal.base import Window
from tocsin.settings import Settings

ROUNDS = 5
EVENTS_PER_S = 1_000
SECONDS = 5.0
STREAMS = 20
DRAFT = Draft("bench", b"x" * 100)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextlib.contextmanager
def process(*command: str, port: int) -> Iterator[int]:
    """A server that listens at `port`; yields its process ID."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            if time.monotonic() > deadline:
                sys.exit(f"{command[0]} doesn't listen")
            time.sleep(0.05)
        yield server.pid
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def redis() -> Iterator[tuple[str, int]]:
    """The address of a Redis with an append-only file, and its process ID."""
    folder, port = tempfile.mkdtemp(), free_port()
    options = ("--dir", folder, "--save", "", "--appendonly", "yes", "--bind", "127.0.0.1")
    with process("redis-server", "--port", str(port), *options, port=port) as pid:
        yield f"redis://127.0.0.1:{port}/0", pid
    shutil.rmtree(folder)


@contextlib.contextmanager
def hub(journal: str) -> Iterator[int]:
    """The port of a hub on this journal."""
    port = free_port()
    flags = ("--port", str(port), "--journal", journal, "--log-level", "warning", "--canary", "0")
    with process(sys.executable, "-m", "tocsin", "serve", *flags, port=port):
        yield port


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- events through one Redis, one node ---------------------------------------------------------------


async def append_all(url: str, pid: int, batch: int, publishers: int, events: int) -> list[float]:
    """Events a second, and microseconds of CPU an event of Redis and of the node."""
    journal = open_journal(Settings(journal=url))
    await journal.start(lambda events: None, lambda opening: None, Window(10_000, 2**26))
    rounds = events // batch // publishers

    async def publish() -> None:
        for _ in range(rounds):
            await append(journal, [DRAFT] * batch)

    begun, redis_s, own_s = time.perf_counter(), cpu_s(pid), time.process_time()
    await asyncio.gather(*[publish() for _ in range(publishers)])
    count = rounds * batch * publishers
    taken, own_s = time.perf_counter() - begun, time.process_time() - own_s
    redis_s = cpu_s(pid) - redis_s
    await journal.stop()
    return [count / taken, 1e6 * redis_s / count, 1e6 * own_s / count]


def measure_appends() -> None:
    cases = ((500, 4, 200_000), (32, 8, 100_000), (1, 32, 20_000))
    results: dict[int, list[list[float]]] = {batch: [] for batch, _, _ in cases}
    with redis() as (url, pid):
        for _ in range(ROUNDS):
            for batch, publishers, events in cases:
                results[batch].append(asyncio.run(append_all(url, pid, batch, publishers, events)))
    print("batch  events/s  Redis us/event  node us/event")
    for batch, rounds in results.items():
        rate, of_redis, of_node = map(median, zip(*rounds, strict=True))
        print(f"{batch:5} {rate:9,.0f} {of_redis:15.1f} {of_node:14.1f}")


# --- from a POST to a stream --------------------------------------------------------------------------


async def latency(publish_at: int, read_at: int) -> list[float]:
    """Milliseconds from each POST's sending to its reading on each stream."""
    seen: list[float] = []
    total = int(EVENTS_PER_S * SECONDS) * STREAMS
    streams = [asyncio.create_task(read(read_at, seen)) for _ in range(STREAMS)]
    await asyncio.sleep(1)
    await asyncio.gather(*[publish(publish_at, n) for n in range(PUBLISHERS)])
    async with asyncio.timeout(30):
        while len(seen) < total:
            await asyncio.sleep(0.05)
    for stream in streams:
        stream.cancel()
    return seen


PUBLISHERS = 10


async def publish(port: int, number: int) -> None:
    """A tenth of the events, each at its moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = time.perf_counter() + number / EVENTS_PER_S
    for _ in range(int(EVENTS_PER_S * SECONDS) // PUBLISHERS):
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        body = b'{"type":"bench","message":"%d"}' % time.perf_counter_ns()
        head = (
            b"POST /api/notify HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\n"
        )
        writer.write(head % port + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        due += PUBLISHERS / EVENTS_PER_S
    writer.close()


async def read(port: int, seen: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    writer.write(b"GET /events HTTP/1.0\r\nHost: localhost:%d\r\n\r\n" % port)
    while line := await reader.readline():
        if line.startswith(b'data: {"message":"') and b"bench" not in line:
            now = time.perf_counter_ns()
            sent = line[len(b'data: {"message":"') :].partition(b'"')[0]
            if sent.isdigit():
                seen.append((now - int(sent)) / 1e6)


def measure_latency() -> None:
    results: dict[str, list[list[float]]] = {}
    with redis() as (url, _), hub("memory:") as alone, hub(url) as one, hub(url) as other:
        ways = {
            "one node, memory": (alone, alone),
            "one node, Redis": (one, one),
            "another node, Redis": (one, other),
        }
        for _ in range(ROUNDS):
            for name, (publish_at, read_at) in ways.items():
                times = asyncio.run(latency(publish_at, read_at))
                results.setdefault(name, []).append(percentiles(times))
    print(f"POST to stream, {EVENTS_PER_S} events/s, {STREAMS} streams: p50, p99 in ms")
    for name, rounds in results.items():
        p50, p99 = map(median, zip(*rounds, strict=True))
        print(f"{name:20} {p50:7.2f} {p99:7.2f}")


def percentiles(times: Sequence[float]) -> list[float]:
    cuts = quantiles(times, n=100)
    return [cuts[49], cuts[98]]


if __name__ == "__main__":
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    if part in ("", "append"):
        measure_appends()
    if part in ("", "latency"):
        measure_latency()
