"""How long an event takes to 1,000 long polls, and how long to 1,000 streams of the same filter.

    python -m benchmarks.long_polls [rounds]

Both are clients of one hub, alone on core 0; core 1 has their other ends. They are given an event in turn: all polls wait
when it is published, and each asks again after it. What is compared is the median of the time from before the POST until
the last one has read its event, and the hub's CPU time meanwhile.
"""

from __future__ import annotations

import http.client
import os
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLIENTS = 1_000
AT_MOST = 1.5
"""How much longer polls may take than streams."""

BODY = b'{"type": "tick", "message": "x", "topic": "t/1"}'


@contextmanager
def running() -> Iterator[tuple[int, int]]:
    """Port and process of a hub."""
    command = [sys.executable, "-m", "tocsin", "serve", "--port", "0", "--canary", "0"]
    flags = ["--log-level", "warning", "--max-polls", str(2 * CLIENTS)]
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command, *flags], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        yield int(process.stdout.readline().rsplit(":", 1)[1]), process.pid
    finally:
        process.terminate()
        process.wait()


def cpu_s(process: int) -> float:
    """Seconds that the hub's only busy thread ran."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9


class Clients:
    """Connections of one kind.

    Args:
        port: of the hub.
    """

    def __init__(self, port: int) -> None:
        self._sockets = {}
        self._epoll = select.epoll()
        for _ in range(CLIENTS):
            one = socket.create_connection(("127.0.0.1", port))
            one.setblocking(False)
            self._sockets[one.fileno()] = one
            self._epoll.register(one, select.EPOLLIN)

    def ask(self, target: str) -> None:
        """Send everybody's request."""
        request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        for one in self._sockets.values():
            one.sendall(request)

    def read(self, mark: bytes) -> None:
        """Read until all have read `mark`."""
        left, tails = set(self._sockets), dict.fromkeys(self._sockets, b"")
        while left:
            ready = self._epoll.poll(30)
            assert ready, f"{len(left)} of {CLIENTS} have nothing to read"
            for number, _ in ready:
                tails[number] = tails[number][-64:] + self._sockets[number].recv(65_536)
                if mark in tails[number]:
                    left.discard(number)


class Bench:
    """A hub, its publisher, and how the two kinds of clients fare."""

    def __init__(self, port: int, process: int) -> None:
        self._hub = http.client.HTTPConnection("127.0.0.1", port)
        self._process = process
        self.id = self.publish()
        self._polls, self._streams = Clients(port), Clients(port)
        self._streams.ask("/events?topic=t/*&type=tick")
        self._streams.read(b"event: connection")
        self.ms: dict[str, list[float]] = {"polls": [], "streams": []}
        self.cpu_ms: dict[str, list[float]] = {"polls": [], "streams": []}

    def publish(self, type: str = "tick") -> str:
        """The id of one event more."""
        body = BODY.replace(b"tick", type.encode())
        self._hub.request("POST", "/api/notify", body, {"Content-Type": "application/json"})
        answer = self._hub.getresponse().read().decode()
        return answer.rpartition('"id":"')[2].partition('"')[0]

    def round(self) -> None:
        """An event that the polls alone asked for, and one for the streams alone."""
        self._polls.ask(f"/api/history?topic=t/*&type=tock&after={self.id}&wait=60")
        while f"tocsin_polls {CLIENTS}.0" not in self._metrics():
            time.sleep(0.02)
        self._measure("polls", self._polls, "tock", b'"events":[{"id":"%b"')
        self._measure("streams", self._streams, "tick", b"id: %b\n")

    def _measure(self, kind: str, clients: Clients, type: str, mark: bytes) -> None:
        before, began = cpu_s(self._process), time.perf_counter()
        self.id = self.publish(type)
        clients.read(mark % self.id.encode())
        self.ms[kind].append((time.perf_counter() - began) * 1e3)
        time.sleep(0.02)
        self.cpu_ms[kind].append((cpu_s(self._process) - before) * 1e3)

    def _metrics(self) -> str:
        self._hub.request("GET", "/metrics")
        return self._hub.getresponse().read().decode()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    os.sched_setaffinity(0, {1})
    with running() as (port, process):
        bench = Bench(port, process)
        for _ in range(rounds):
            bench.round()
    for name, figures in (("ms", bench.ms), ("CPU ms", bench.cpu_ms)):
        polls, streams = (statistics.median(figures[kind]) for kind in ("polls", "streams"))
        print(
            f"{CLIENTS} polls {polls:.1f} {name}, streams {streams:.1f}: {polls / streams:.2f} times"
        )
    print(f"wanted: {AT_MOST} times at most")


if __name__ == "__main__":
    main()
