"""Clients that come back at once, each having missed some events."""

from __future__ import annotations

from peers.base import Server
from plan import Case, Goal, Measure, Row, Sample, Term

from tocsin.bench import Load, catch_up

HANDSHAKES = 2_000
"""Clients under way at once; both servers listen with a backlog of 4,096."""


def last_event_id(server: Server, missed: int) -> str:
    """Publish until `missed` events lie behind an id, and return that id."""
    with Load(server.target, 1, 8, message_bytes=100) as load:
        load.exactly(missed + 50)
        return load.ledger.trail.ids[-1 - missed]


def reconnecting(clients: int, missed: int) -> Measure:
    """All of `clients` open a stream and read the `missed` events; nothing new is published."""

    def measure(server: Server, seconds: float) -> Sample:
        id = last_event_id(server, missed)
        cpu_s = server.cpu_s()
        took_s = catch_up(
            server.target, clients, last_event_id=id, missed=missed, handshakes=HANDSHAKES
        )
        cpu_s = server.cpu_s() - cpu_s
        return {
            "caught_up_per_s": clients / took_s,
            "events_per_s": clients * missed / took_s,
            "us_per_replayed": cpu_s / (clients * missed) * 1e6,
            "server_busy": cpu_s / took_s,
        }

    return measure


STORM = "5,000 clients, 100 events missed"

ROW = Row(
    name="reconnect",
    title="reconnecting at once, each having missed 100 events",
    cases=(Case(STORM, ("tocsin", "nchan"), reconnecting(5_000, 100)),),
    figures=("caught_up_per_s", "events_per_s", "us_per_replayed", "server_busy"),
    goals=(
        Goal(
            Term(STORM, "tocsin", "caught_up_per_s"),
            Term(STORM, "nchan", "caught_up_per_s"),
            2,
            aim=3,
        ),
    ),
)
