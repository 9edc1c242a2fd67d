"""Latency at a calm pace: ten events a second to many clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peers.base import Server
from plan import Case, Goal, Row, Term, Window

from rows.sample import WARM_UP_S, sampled
from tocsin.bench import Load

CLIENTS = 10_000
PER_S = 10


@contextmanager
def at_pace(server: Server) -> Iterator[Window]:
    """Events at fixed moments, whether or not the last one has arrived everywhere."""
    with Load(server.target, CLIENTS, 4, message_bytes=100, awake=True) as load:
        load.warm_up(WARM_UP_S)
        yield lambda seconds: sampled(server, lambda: load.at_rate(PER_S, seconds))


CALM = "10,000 clients, 10 events/s"

ROW = Row(
    name="pace",
    title="10 events/s for 20 s, from publish to the last byte read",
    cases=(Case(CALM, ("tocsin", "nchan"), at_pace),),
    figures=("fan_out_p99", "fan_out_p50", "delivery_p99", "server_busy", "load_busy"),
    compared=("us_per_delivery", "fan_out_p99"),
    goals=(
        Goal(
            Term(CALM, "tocsin", "fan_out_p99"),
            Term(CALM, "nchan", "fan_out_p99"),
            0.8,
            at_most=True,
        ),
    ),
    seconds=20.0,
    quick_seconds=3.0,
    window_s=3.0,
)
