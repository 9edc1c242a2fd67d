"""A batch that goes to many streams, no two of which have the same filter."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from peers.base import Server
from plan import Case, Goal, Opened, Row, Sample, Term, Window

from rows.history import as_array
from rows.sample import cpu_s_when_idle
from tocsin.bench import BenchError, Load

STREAMS, EVENTS = 3_000, 1_000
HUB = "tocsin-timed"
PATIENCE_S = 60.0


def batch_for_all(topics: Sequence[str]) -> Opened:
    """One POST of `EVENTS` events, round and round over `topics`; every stream gets all of them."""
    body = as_array([topics[number % len(topics)] for number in range(EVENTS)])

    @contextmanager
    def opened(server: Server) -> Iterator[Window]:
        target = replace(server.target, events="/events?topic=*&topic={topic}")
        own = [f"u{number}" for number in range(STREAMS)]
        with Load(
            target, STREAMS, 1, request=target.request_of(body), topics=own, awake=True
        ) as load:
            yield lambda seconds: _batch(server, load)

    return opened


def _batch(server: Server, load: Load) -> Sample:
    cpu_s = cpu_s_when_idle(server)
    server.turns.reset()
    begun, deadline = time.monotonic(), time.monotonic() + PATIENCE_S
    goal = load.clients.deliveries + STREAMS * EVENTS
    load.publishers.renew()
    (fd,) = load.publishers.descriptors
    load.publishers.publish(fd)
    while load.clients.deliveries < goal or load.publishers.in_flight:
        load.clients.read(0.01)
        load.publishers.on_ready(fd)
        if load.ledger.errors or time.monotonic() > deadline:
            missing = goal - load.clients.deliveries
            raise BenchError(f"{missing:,} deliveries missing; {dict(load.ledger.errors)}")
    took_s = time.monotonic() - begun
    passed_s, ran_s = server.turns.longest_s()
    return {
        "turn_ms": passed_s * 1000,
        "turn_cpu_ms": ran_s * 1000,
        "ms_per_batch": (server.cpu_s() - cpu_s) * 1000,
        "deliveries_per_s": STREAMS * EVENTS / took_s,
    }


SAME, MANY = "1,000 events of one topic", "1,000 events of a topic each"

ROW = Row(
    name="many-filters",
    title="a batch of 1,000 events on 3,000 streams with a filter each",
    cases=(
        Case(SAME, (HUB,), batch_for_all([""])),
        Case(MANY, (HUB,), batch_for_all([f"t/{number}" for number in range(EVENTS)])),
    ),
    figures=("turn_ms", "turn_cpu_ms", "ms_per_batch", "deliveries_per_s"),
    compared=("ms_per_batch", "turn_ms"),
    goals=tuple(Goal(Term(case, HUB, "turn_ms"), None, 20, at_most=True) for case in (SAME, MANY)),
    note="Every stream asks for `*` and a topic of its own, so all get all events.",
)
