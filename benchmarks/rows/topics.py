"""Many topics with few clients each: what one event costs must not grow with the other topics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peers.base import Server
from plan import Case, Goal, Opened, Row, Term, Window

from rows.sample import WARM_UP_S, sampled
from tocsin.bench import Load

CLIENTS_EACH = 10
PUBLISHERS = 32
MEASURED = ("tocsin", "nchan")


def over_topics(topics: int, busy: int = 0) -> Opened:
    """Publishers go round and round over all topics, or over `busy` of them."""
    names = [f"topic-{number}" for number in range(topics)]

    @contextmanager
    def opened(server: Server) -> Iterator[Window]:
        clients = topics * CLIENTS_EACH
        with Load(
            server.topic_target,
            clients,
            PUBLISHERS,
            message_bytes=60,
            topics=names,
            busy=busy,
            awake=True,
        ) as load:
            load.warm_up(WARM_UP_S)
            yield lambda seconds: sampled(server, lambda: load.at_once(seconds))

    return opened


FEW, MANY, AMONG_MANY = "10 topics", "1,000 topics", "10 topics, and 990 without events"

ROW = Row(
    name="topics",
    title="topics with 10 clients each, 32 publishers over all of them",
    cases=(
        Case(FEW, MEASURED, over_topics(10)),
        Case(AMONG_MANY, MEASURED, over_topics(1_000, busy=10)),
        Case("100 topics", MEASURED, over_topics(100), quick=False),
        Case(MANY, MEASURED, over_topics(1_000)),
    ),
    figures=("deliveries_per_s", "published_per_s", "us_per_publish", "server_busy", "load_busy"),
    compared=("us_per_publish", "published_per_s"),
    goals=(
        Goal(
            Term(AMONG_MANY, "tocsin", "us_per_publish"),
            Term(FEW, "tocsin", "us_per_publish"),
            1.1,
            at_most=True,
        ),
        Goal(Term(FEW, "tocsin", "us_per_publish"), None, 60, at_most=True),
        Goal(
            Term(MANY, "tocsin", "us_per_publish"),
            Term(MANY, "nchan", "us_per_publish"),
            1.0,
            at_most=True,
        ),
    ),
    note=(
        "The first goal is that other topics cost nothing: 10 topics alone, and the same 10 beside 990 with 9,900"
        " streams. With events on all 1,000, a POST goes to streams that no processor's cache holds any more."
    ),
)
