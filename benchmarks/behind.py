"""What others notice while somebody returns far behind, to a hub whose log is in a file.

usage: python benchmarks/behind.py [--events N] [--rounds N] [--threads-on-both] [--commit COMMIT]

50 streams are open, and 200 events a second are published: alone, and while one client reads 500,000 events that
left the window, in turn. The hub is alone on core 0, load and reader share core 1. Its file lies in memory (/dev/shm):
what a disk adds to each publish is the same in both. Compare figures of one run only, on a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import journal
from peers.base import LOAD_CORE, Server
from peers.hub import SQLITE, THIS, Build, Hub, build_of

from tocsin.bench import Load

CLIENTS, PUBLISHERS, PER_S = 50, 8, 200.0
WINDOW_S = 0.25
ALONE_WINDOWS = 8
FORK = multiprocessing.get_context("fork")


class FilledHub(Hub):
    """A hub whose log has `events` before it starts."""

    def __init__(self, build: Build, folder: Path, events: int) -> None:
        super().__init__(SQLITE, build)
        self._path = folder / "journal.db"
        asyncio.run(journal.fill(self._path, events))

    def _new_journal(self) -> str:
        return f"sqlite:{self._path}"


def newest(port: int) -> tuple[int, int]:
    """Epoch and seq of the log's head, as a new stream is told."""
    with socket.create_connection(("127.0.0.1", port)) as stream:
        stream.sendall(b"GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n")
        text = b""
        while b"\nid: " not in text or not text.endswith(b"\n\n"):
            text += stream.recv(65_536)
    epoch, seq = text.rpartition(b"\nid: ")[2].split(b"\n")[0].split(b"-")
    return int(epoch), int(seq)


def read_back(port: int, events: int, done: Connection) -> None:
    """Return `events` behind, read them all, and tell how many a second those were."""
    os.sched_setaffinity(0, {LOAD_CORE})
    os.nice(10)  # the load measures, and goes first
    epoch, head = newest(port)
    begun = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as stream:
        id = f"{epoch}-{head - events}"
        stream.sendall(
            f"GET /events HTTP/1.0\r\nHost: localhost\r\nLast-Event-ID: {id}\r\n\r\n".encode()
        )
        last, tail = f"\nid: {epoch}-{head}\n".encode(), b""
        while last not in tail:
            tail = tail[-64:] + stream.recv(262_144)
    done.send(events / (time.perf_counter() - begun))


def window(load: Load) -> float:
    """The p99 from a POST to its event on a stream, in ms."""
    outcome = load.at_rate(PER_S, WINDOW_S)
    if outcome.missing or outcome.errors:
        sys.exit(f"{outcome.missing} deliveries missing; {dict(outcome.errors)}")
    return outcome.delivery.p99


def beside_a_return(server: Server, load: Load, events: int) -> tuple[float, list[float]]:
    """Events a second that a client which returns reads, and the p99 of the others meanwhile."""
    here, there = FORK.Pipe()
    reader = FORK.Process(target=read_back, args=(server.port, events, there))
    reader.start()
    p99s = [window(load)]
    while not here.poll():
        p99s.append(window(load))
    reader.join()
    return here.recv(), p99s[:-1] or p99s  # in the last one it had come to an end


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a return far behind costs others.")
    parser.add_argument("--events", type=int, default=500_000, help="how far behind")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads-on-both", action="store_true", help="let them use both cores")
    parser.add_argument("--commit", help="measure that commit's hub")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        build = build_of(options.commit) if options.commit else THIS
        hub = FilledHub(build, folder, options.events + 100_000)
        os.sched_setaffinity(0, {LOAD_CORE})
        alone: list[float] = []
        beside: list[float] = []
        rates: list[float] = []
        with hub.start() as server, Load(server.target, CLIENTS, PUBLISHERS) as load:
            if options.threads_on_both:
                server.free_threads()
            load.at_rate(PER_S, 1.0)
            for _ in range(options.rounds):
                alone += [window(load) for _ in range(ALONE_WINDOWS)]
                rate, p99s = beside_a_return(server, load, options.events)
                rates.append(rate)
                beside += p99s
        ratio = statistics.median(beside) / statistics.median(alone)
        print(f"read by who returns: {statistics.median(rates):,.0f} events/s")
        print(f"others' p99: alone {statistics.median(alone):.2f} ms, ", end="")
        print(f"beside it {statistics.median(beside):.2f} ms, {ratio:.2f} times")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
