"""What the metrics cost: deliveries/s with and without them, alternately in one run, and a scrape.

    python -m benchmarks.metrics_cost [clients]

"Without" takes out what observes: latencies, sizes, recipients, types. Processor time is measured, of
publishing and of the passes over real sockets; what the clients read is apart.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import statistics
import sys
import time
from typing import Any

from prometheus_client import generate_latest
from tornado.iostream import IOStream

from tocsin import Draft, Filter, Hub, Settings
from tocsin.metrics import make_registry
from tocsin.requests import AccessLog

DATA = (
    b'{"message":"x","data":{},"timestamp":"2026-01-01T00:00:00.000Z","source":"api","topic":"t"}'
)
ROUNDS = 150
SCRAPES = 50


class Silence:
    """In the place of `Punctuality`: hears nothing."""

    def note(self, *_: Any) -> None: ...

    def fold(self) -> None: ...


def connect(count: int) -> tuple[socket.socket, int]:
    """A listener to which another process connects `count` times, and reads what comes."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    child = os.fork()
    if child == 0:
        ends = [socket.create_connection(listener.getsockname()) for _ in range(count)]
        for end in ends:
            end.setblocking(False)
        while True:
            for end in ends:
                try:
                    end.recv(1 << 20)
                except BlockingIOError:
                    pass
            time.sleep(0.01)
    return listener, child


async def open_streams(hub: Hub, listener: socket.socket, count: int, topics: int) -> None:
    for number in range(count):
        connection, _ = listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as the hub's own has it
        hub.subscribe(IOStream(connection), Filter([f"t{number % topics}"]))
        if number % 100 == 0:
            await asyncio.sleep(0)


async def compare(name: str, clients: int, topics: int, batch: int) -> None:
    """Print deliveries per second of processor time, with and without, and their ratio."""
    hub = Hub(Settings(heartbeat=3600))
    await hub.start()
    listener, child = connect(clients)
    await open_streams(hub, listener, clients, topics)
    fan_out: Any = hub._fan_out
    ways = {
        "with": (fan_out._punctuality, hub.tally.count_published),
        "without": (Silence(), lambda *_: None),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(ROUNDS):
        for way in sorted(ways, reverse=bool(number % 2)):
            fan_out._punctuality, hub.tally.count_published = ways[way]  # type: ignore[method-assign]
            before, began = hub.tally.delivered_live, time.process_time()
            for first in range(0, 3 * batch, batch):
                drafts = [Draft("tick", DATA, f"t{(first + n) % topics}") for n in range(batch)]
                await hub.publish(*drafts)
                while fan_out.is_under_way:
                    await asyncio.sleep(0)
            spent_s = time.process_time() - began
            rates[way].append((hub.tally.delivered_live - before) / spent_s)
            await asyncio.sleep(0.005)
    medians = {way: statistics.median(found) for way, found in rates.items()}
    ratio = medians["with"] / medians["without"]
    print(f"{name:42} {medians['with']:12,.0f}/s {medians['without']:12,.0f}/s  ratio {ratio:.3f}")
    os.kill(child, signal.SIGKILL)
    await hub.stop()


async def scrape(clients: int) -> None:
    """Print how long the loop builds a scrape, with so many streams open and with all lagging."""
    hub = Hub(Settings(drain_timeout=0))
    await hub.start()
    listener, child = connect(clients)
    await open_streams(hub, listener, clients, 1)
    registry = make_registry(hub, AccessLog().counts)
    for state in ("live", "lagging"):
        times_ms = []
        for _ in range(SCRAPES):
            began = time.perf_counter()
            generate_latest(registry)
            times_ms.append((time.perf_counter() - began) * 1000)
        median, worst = statistics.median(times_ms), max(times_ms)
        print(f"a scrape, {clients} streams {state:8} median {median:.2f} ms, worst {worst:.2f} ms")
        for stream in tuple(hub.streams.values()):
            hub.on_lagging(stream)
    os.kill(child, signal.SIGKILL)


async def main(clients: int) -> None:
    print(f"{'deliveries per second of processor time':42} {'with':>14} {'without':>14}")
    await compare("1,000 streams, one event at a time", 1_000, 1, 1)
    await compare("1,000 streams, batches of 32", 1_000, 1, 32)
    await compare("1,000 streams of 100 topics, batches of 100", 1_000, 100, 100)
    await compare("1,000 streams of 1,000 topics, 1,000 events", 1_000, 1_000, 1_000)
    await scrape(clients)
    os._exit(0)  # ten thousand open sockets have nothing more to say


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
