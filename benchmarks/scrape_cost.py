"""How long the loop builds a scrape, with many streams open.

    python -m benchmarks.scrape_cost [clients]

What metrics cost while events are delivered is a row of `run.py`, "metrics".
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import resource
import signal
import socket
import statistics
import sys
import time

from prometheus_client import generate_latest
from tornado.iostream import IOStream

from benchmarks.readers import read_on
from tocsin import Hub, Settings
from tocsin.core.filters import EVERYTHING
from tocsin.http.access_log import AccessLog
from tocsin.http.routes.metrics import GZIP_LEVEL
from tocsin.ops.metrics import Source, make_registry

SCRAPES = 50


def connect(count: int) -> tuple[socket.socket, int]:
    """A listener to which another process connects `count` times, and reads what comes."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    child = os.fork()
    if child == 0:
        ends = [socket.create_connection(listener.getsockname()) for _ in range(count)]
        for end in ends:
            end.setblocking(False)
        read_on(ends)
    return listener, child


async def open_streams(hub: Hub, listener: socket.socket, count: int) -> None:
    for number in range(count):
        connection, _ = listener.accept()
        connection.setblocking(False)
        hub.subscribe(IOStream(connection), EVERYTHING)
        if number % 100 == 0:
            await asyncio.sleep(0)


async def scrape(clients: int) -> None:
    """Print how long the loop builds a scrape, with so many streams open and with all lagging."""
    hub = Hub(Settings(drain_timeout=0))
    await hub.start()
    listener, child = connect(clients)
    await open_streams(hub, listener, clients)
    registry = make_registry(Source(hub, AccessLog().counts, AccessLog().lanes))
    for state in ("live", "lagging"):
        times_ms = []
        for _ in range(SCRAPES):
            began = time.process_time()  # what else the machine does is no part of it
            gzip.compress(generate_latest(registry), GZIP_LEVEL, mtime=0)
            times_ms.append((time.process_time() - began) * 1000)
        median, worst = statistics.median(times_ms), max(times_ms)
        print(f"a scrape, {clients} streams {state:8} median {median:.2f} ms, worst {worst:.2f} ms")
        for stream in tuple(hub.streams.values()):
            hub.lagging[stream] = None
    os.kill(child, signal.SIGKILL)
    os._exit(0)  # ten thousand open sockets have nothing more to say


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(scrape(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
