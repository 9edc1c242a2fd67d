"""Publishing alone, with no client: one event a POST, and a batch of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peers.base import Server
from plan import Case, Goal, Opened, Row, Sample, Term, Window

from rows.history import as_array, as_lines
from rows.sample import WARM_UP_S, sampled
from tocsin.bench import Load

PUBLISHERS = 32
BATCH_EVENTS = 1_000
MESSAGE_BYTES = 60

JSON = "application/json"

PIPELINED = 8
"""POSTs under way on a connection where the generator would be the limit otherwise."""


def singles(depth: int = 1) -> Opened:
    """One event a POST."""

    @contextmanager
    def opened(server: Server) -> Iterator[Window]:
        with Load(server.target, 0, PUBLISHERS, message_bytes=MESSAGE_BYTES) as load:

            def window(seconds: float) -> Sample:
                sample = sampled(server, lambda: load.at_once(seconds, depth))
                return sample | {"events_per_s": sample["published_per_s"]}

            load.warm_up(WARM_UP_S)
            yield window

    return opened


def batches(content_type: str) -> Opened:
    """A thousand events a POST, which are alike."""
    topics = [""] * BATCH_EVENTS
    is_json = content_type == JSON
    return batches_of(as_array(topics) if is_json else as_lines(topics), content_type)


def batches_of(body: bytes, content_type: str) -> Opened:
    """POSTs of `body`, which has a thousand events."""

    @contextmanager
    def opened(server: Server) -> Iterator[Window]:
        request = server.target.request_of(body, content_type=content_type)
        with Load(server.target, 0, 4, request=request) as load:

            def window(seconds: float) -> Sample:
                sample = sampled(server, lambda: load.at_once(seconds))
                return sample | {"events_per_s": sample["published_per_s"] * BATCH_EVENTS}

            load.warm_up(WARM_UP_S)
            yield window

    return opened


ALONE = "32 publishers, no client"

SINGLE = Row(
    name="publish",
    title="one POST per event, no client",
    cases=(Case(ALONE, ("tocsin", "express", "tornado", "nchan", "cloop"), singles()),),
    figures=("published_per_s", "us_per_publish", "server_busy", "load_busy"),
    compared=("us_per_publish", "published_per_s"),
    gain=1.3,
    goals=(
        Goal(
            Term(ALONE, "tocsin", "published_per_s"),
            Term(ALONE, "express", "published_per_s"),
            1.0,
        ),
    ),
    note="Nchan's and the C loop's figures are what one generator process can send, where it is busy.",
)

ARRAY, LINES, ONES = (
    "1,000 events a POST, JSON array",
    "1,000 events a POST, NDJSON",
    "single POSTs",
)

BATCH = Row(
    name="batch",
    title="a batch of 1,000 events per POST, no client",
    cases=(
        Case(ARRAY, ("tocsin",), batches(JSON)),
        Case(LINES, ("tocsin",), batches("application/x-ndjson"), quick=False),
        Case(ONES, ("nchan",), singles(PIPELINED)),
    ),
    figures=("events_per_s", "published_per_s", "server_busy", "load_busy"),
    compared=("us_per_publish", "events_per_s"),
    goals=(Goal(Term(ARRAY, "tocsin", "events_per_s"), Term(ONES, "nchan", "events_per_s"), 1.0),),
    note="Nchan takes no batches; its single POSTs are pipelined, eight under way on each connection.",
)
