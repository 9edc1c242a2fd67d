"""The generator itself: how fast it reads what is already there.

A server is asked to send while nobody reads; when all has been sent, the reading is timed. What a
server delivers while it is read live has to stay below this, or the generator was measured.
"""

from __future__ import annotations

import time

from peers.base import Server
from plan import Case, Opened, Row, Sample, each_time

from rows.sample import cpu_s_when_idle
from tocsin.bench import BenchError, Load

REPEATS = 5


def backlog(clients: int, events: int) -> Opened:
    """Read `events` events that wait in each of `clients` sockets; the best of some times."""

    def measure(server: Server, seconds: float) -> Sample:
        with Load(server.target, clients, message_bytes=100) as load:
            load.warm_up(0.2)
            best_s = min(_read_backlog(server, load, events) for _ in range(REPEATS))
        return {"deliveries_per_s": clients * events / best_s}

    return each_time(measure)


def _read_backlog(server: Server, load: Load, events: int) -> float:
    clients, publishers = load.clients, load.publishers
    (fd,) = publishers.descriptors
    goal, deadline = clients.floor + events, time.monotonic() + 10
    publishers.publish(fd, events)
    cpu_s_when_idle(server)
    begun = time.perf_counter()
    while clients.floor < goal and time.monotonic() < deadline:
        clients.read(0)
    took_s = time.perf_counter() - begun
    publishers.on_ready(fd)
    if clients.floor < goal:
        raise BenchError(f"the backlog stopped at {clients.floor} of {goal}")
    return took_s


ROW = Row(
    name="generator",
    title="what the load generator can read, from the C loops",
    cases=tuple(
        Case(f"{clients:,} clients, {events} waiting in each", (server,), backlog(clients, events))
        for clients in (1_000, 10_000)
        for server, events in (("cloop", 1), ("cloop-batch", 32))
    ),
    figures=("deliveries_per_s",),
)
