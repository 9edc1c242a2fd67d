"""A stream and a page of history from the earliest event on, with prefixes that match nothing."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from peers.base import Server
from plan import Case, Goal, Opened, Row, Sample, Term, Window

from rows.history import TIMEOUT_S, fill
from rows.sample import cpu_s_when_idle
from tocsin.bench import BenchError

PREFIXES = "&".join(f"topic=nothing-{number}/*" for number in range(100))
HUB = "tocsin-timed"


def asking(events: int, topics: int, repeats: int) -> Opened:
    """Ask a hub that keeps `events` events on `topics` topics, `repeats` times for each."""
    names = [f"t/{number}" for number in range(topics)]

    @contextmanager
    def opened(server: Server) -> Iterator[Window]:
        fill(server, events, names)

        def window(seconds: float) -> Sample:
            idle_s = cpu_s_when_idle(server)
            server.turns.reset()
            for _ in range(repeats):
                _return(server)
            returned_s = cpu_s_when_idle(server)
            for _ in range(repeats):
                _page(server)
            paged_s = cpu_s_when_idle(server)
            passed_s, ran_s = server.turns.longest_s()
            return {
                "ms_per_return": (returned_s - idle_s) / repeats * 1000,
                "ms_per_page": (paged_s - returned_s) / repeats * 1000,
                "turn_ms": passed_s * 1000,
                "turn_cpu_ms": ran_s * 1000,
            }

        yield window

    return opened


def _return(server: Server) -> None:
    """Open a stream, read its welcome, close it."""
    path = f"/events?last_event_id=earliest&{PREFIXES}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        read = b""
        while b"event: connection" not in read:
            more = connection.recv(65_536)
            if not more:
                raise BenchError(f"no stream: {read[:100]!r}")
            read += more


def _page(server: Server) -> None:
    """Read one page."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_S)
    connection.request("GET", f"/api/history?after=earliest&{PREFIXES}")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        raise BenchError(f"a page was answered with status {answer.status}")


FEW, MANY = "10,000 events kept", "1,000,000 events kept, on 10,000 topics"

ROW = Row(
    name="prefixes",
    title="one return, and one page of history, with 100 prefixes that match nothing",
    cases=(
        Case(FEW, (HUB,), asking(10_000, 1_000, repeats=10)),
        Case(
            MANY,
            (HUB,),
            asking(1_000_000, 10_000, repeats=1),
            quick=False,
            flags=("--history-events", "1000000", "--history-bytes", "1000000000"),
        ),
    ),
    figures=("ms_per_return", "ms_per_page", "turn_ms", "turn_cpu_ms"),
    compared=("ms_per_return", "ms_per_page", "turn_ms"),
    goals=(
        *(
            Goal(Term(case, HUB, figure), None, bound, at_most=True)
            for case, bound in ((FEW, 10), (MANY, 50))
            for figure in ("ms_per_return", "ms_per_page")
        ),
        Goal(Term(MANY, HUB, "turn_ms"), None, 20, at_most=True),
    ),
)
