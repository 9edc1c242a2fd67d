"""Every client gets every event: one event after the other, and many publishers at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peers.base import Server
from plan import Case, Goal, Opened, Row, Term, Window

from rows.sample import EVERYONE, WARM_UP_S, sampled
from tocsin.bench import Load


def one_after_the_other(clients: int) -> Opened:
    """An event, wait until all clients have read it, the next."""

    @contextmanager
    def opened(server: Server) -> Iterator[Window]:
        with Load(server.target, clients, message_bytes=100, awake=True) as load:
            load.warm_up(WARM_UP_S)
            yield lambda seconds: sampled(server, lambda: load.one_after_the_other(seconds))

    return opened


def at_once(clients: int, publishers: int, silent: int = 0) -> Opened:
    """Each publisher sends its next event when the answer to its last came."""

    @contextmanager
    def opened(server: Server) -> Iterator[Window]:
        with Load(server.target, clients, publishers, message_bytes=60, awake=True) as load:
            load.add_silent(silent)
            load.warm_up(WARM_UP_S)
            yield lambda seconds: sampled(server, lambda: load.at_once(seconds))

    return opened


def _ratio(case: str, peer: str, bound: float, aim: float | None = None) -> Goal:
    figure = "deliveries_per_s"
    return Goal(Term(case, "tocsin", figure), Term(case, peer, figure), bound, aim=aim)


FEW, MANY = "1,000 clients", "10,000 clients"

ONE_AFTER_THE_OTHER = Row(
    name="one-after-the-other",
    title="one publisher, one event after the other, 100-byte message",
    cases=(
        Case(
            FEW, ("tocsin", "nchan", "centrifugo", "cloop", "express"), one_after_the_other(1_000)
        ),
        Case(MANY, ("tocsin", "nchan", "centrifugo", "cloop"), one_after_the_other(10_000)),
    ),
    figures=("deliveries_per_s", "fan_out_p50", "fan_out_p99", "server_busy", "load_busy"),
    compared=("us_per_delivery", "deliveries_per_s"),
    goals=(
        _ratio(FEW, "nchan", 1.3, aim=1.5),
        _ratio(FEW, "cloop", 0.75),
        _ratio(MANY, "nchan", 1.3, aim=1.5),
        _ratio(MANY, "cloop", 0.75),
    ),
)

CROWD = "1,000 clients, 32 publishers"

AT_ONCE = Row(
    name="at-once",
    title="32 publishers at once, 60-byte message",
    cases=(Case(CROWD, EVERYONE, at_once(1_000, 32)),),
    figures=(
        "deliveries_per_s",
        "published_per_s",
        "fan_out_p50",
        "fan_out_p99",
        "server_busy",
        "load_busy",
    ),
    compared=("us_per_delivery", "deliveries_per_s"),
    goals=(
        _ratio(CROWD, "nchan", 10, aim=16),
        Goal(
            Term(CROWD, "tocsin", "fan_out_p99"),
            Term(CROWD, "nchan", "fan_out_p99"),
            0.5,
            at_most=True,
        ),
    ),
    note="The batched C loop shows how much the generator can read: it is no server that anyone runs.",
)
