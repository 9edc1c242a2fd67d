"""Clients that come back at once, each having missed some events: all of them, or its topic's."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from peers.base import Server
from plan import Case, Goal, Opened, Row, Sample, Term, Window, each_time

from rows.history import fill
from rows.one_post import posting_meanwhile
from rows.sample import cpu_s_when_idle
from tocsin.bench import Load, open_streams

HANDSHAKES = 2_000
"""Clients under way at once; both servers listen with a backlog of 4,096."""


def opening(
    server: Server, requests: Sequence[bytes], replayed: int = 0
) -> tuple[float, float, float]:
    """Open a stream for each request; seconds that passed, and those the server and the generator ran.

    Returns when the server has forgotten them all too: else its work on that falls into its neighbour's window, as
    all servers are on one core. (It took 8 % of it, and the slower of two took more of the faster than the reverse.)
    """
    cpu_s, load_s = cpu_s_when_idle(server), time.process_time()
    with open_streams(server.target, requests, replayed=replayed, handshakes=HANDSHAKES) as took_s:
        spent = took_s, server.cpu_s() - cpu_s, time.process_time() - load_s
    cpu_s_when_idle(server)
    return spent


def last_event_id(server: Server, missed: int) -> str:
    """Publish until `missed` events lie behind an id, and return that id."""
    with Load(server.target, 1, 8, message_bytes=100) as load:
        load.exactly(missed + 50)
        return load.ledger.trail.ids[-1 - missed]


def reconnecting(clients: int, missed: int) -> Opened:
    """All of `clients` open a stream and read the `missed` events; nothing new is published."""

    @contextmanager
    def opened(server: Server) -> Iterator[Window]:
        id = last_event_id(server, missed)
        requests = [server.target.subscribe_request(last_event_id=id)] * clients

        def window(seconds: float) -> Sample:
            took_s, cpu_s, load_s = opening(server, requests, missed)
            return {
                "caught_up_per_s": clients / took_s,
                "events_per_s": clients * missed / took_s,
                "us_per_replayed": cpu_s / (clients * missed) * 1e6,
                "server_busy": cpu_s / took_s,
                "load_busy": load_s / took_s,
            }

        yield window

    return opened


STORM = "5,000 clients, 100 events missed"

ROW = Row(
    name="reconnect",
    title="reconnecting at once, each having missed 100 events",
    cases=(Case(STORM, ("tocsin", "nchan"), reconnecting(5_000, 100)),),
    figures=("caught_up_per_s", "events_per_s", "us_per_replayed", "server_busy", "load_busy"),
    compared=("us_per_replayed", "caught_up_per_s"),
    goals=(
        Goal(
            Term(STORM, "tocsin", "caught_up_per_s"),
            Term(STORM, "nchan", "caught_up_per_s"),
            2,
            aim=3,
        ),
    ),
)

TOPICS, BEHIND = 1_000, 9_000


def returning(server: Server, seconds: float) -> Sample:
    """A client for each topic comes back, `BEHIND` events behind, of which every thousandth is for it."""
    names = [f"t/{number}" for number in range(TOPICS)]
    id = fill(server, BEHIND + 1_000, names)[-1 - BEHIND]
    target = server.topic_target
    requests = [target.subscribe_request(name, id) for name in names]
    with posting_meanwhile(server) as posts_ms:
        took_s, cpu_s, load_s = opening(server, requests, BEHIND // TOPICS)
    return {
        "server_cpu_s": cpu_s,
        "slowest_post_ms": max(posts_ms),
        "caught_up_per_s": TOPICS / took_s,
        "server_busy": cpu_s / took_s,
        "load_busy": load_s / took_s,
    }


RETURNING = "1,000 clients with a topic each, 9,000 events behind"

RETURNS = Row(
    name="returns",
    title="clients that come back, each to a topic of its own",
    cases=(Case(RETURNING, ("tocsin",), each_time(returning), once=True),),
    figures=("server_cpu_s", "slowest_post_ms", "caught_up_per_s", "server_busy", "load_busy"),
    compared=("server_cpu_s", "slowest_post_ms"),
    goals=(
        Goal(Term(RETURNING, "tocsin", "server_cpu_s"), None, 0.6, at_most=True),
        Goal(Term(RETURNING, "tocsin", "slowest_post_ms"), None, 250, at_most=True),
    ),
    note=(
        "9 of the 9,000 events are for each client. A POST is sent every 10 ms meanwhile, from the"
        " generator's process; they are part of the server's CPU."
    ),
)
