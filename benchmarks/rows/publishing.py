"""Publishing alone, with no client: one event a POST, and a batch of them."""

from __future__ import annotations

import json

from peers.base import Server
from plan import Case, Goal, Measure, Row, Sample, Term

from rows.sample import WARM_UP_S, sampled
from tocsin.bench import Load

PUBLISHERS = 32
BATCH_EVENTS = 1_000
MESSAGE_BYTES = 60

PIPELINED = 8
"""POSTs under way on a connection where the generator would be the limit otherwise."""


def singles(depth: int = 1) -> Measure:
    """One event a POST."""

    def measure(server: Server, seconds: float) -> Sample:
        with Load(server.target, 0, PUBLISHERS, message_bytes=MESSAGE_BYTES) as load:
            load.warm_up(WARM_UP_S)
            sample = sampled(server, lambda: load.at_once(seconds, depth))
            return sample | {"events_per_s": sample["published_per_s"]}

    return measure


def _as_array(notices: list[dict[str, str]]) -> bytes:
    return json.dumps(notices, separators=(",", ":")).encode()


def _as_lines(notices: list[dict[str, str]]) -> bytes:
    return b"\n".join(json.dumps(notice, separators=(",", ":")).encode() for notice in notices)


def batches(content_type: str) -> Measure:
    """A thousand events a POST."""
    notices = [{"type": "bench", "message": "x" * MESSAGE_BYTES}] * BATCH_EVENTS
    body = _as_array(notices) if content_type == "application/json" else _as_lines(notices)

    def measure(server: Server, seconds: float) -> Sample:
        request = server.target.request_of(body, content_type=content_type)
        with Load(server.target, 0, 4, request=request) as load:
            load.warm_up(WARM_UP_S)
            sample = sampled(server, lambda: load.at_once(seconds))
            return sample | {"events_per_s": sample["published_per_s"] * BATCH_EVENTS}

    return measure


ALONE = "32 publishers, no client"

SINGLE = Row(
    name="publish",
    title="one POST per event, no client",
    cases=(Case(ALONE, ("tocsin", "express", "tornado", "nchan", "cloop"), singles()),),
    figures=("published_per_s", "us_per_publish", "server_busy", "load_busy"),
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
        Case(ARRAY, ("tocsin",), batches("application/json")),
        Case(LINES, ("tocsin",), batches("application/x-ndjson"), quick=False),
        Case(ONES, ("nchan",), singles(PIPELINED)),
    ),
    figures=("events_per_s", "published_per_s", "server_busy", "load_busy"),
    goals=(Goal(Term(ARRAY, "tocsin", "events_per_s"), Term(ONES, "nchan", "events_per_s"), 1.0),),
    note="Nchan takes no batches; its single POSTs are pipelined, eight under way on each connection.",
)
