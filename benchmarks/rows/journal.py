"""What a log on the disk costs: the same publishing as without, each event synced before it is acknowledged."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from peers.base import Server
from peers.nats import publish
from plan import Case, Goal, Opened, Row, Sample, Term, Window, each_time
from words import sentence

from rows.history import as_array_of
from rows.publishing import (
    BATCH_EVENTS,
    JSON,
    MESSAGE_BYTES,
    PUBLISHERS,
    batches,
    batches_of,
    singles,
)


def on_both_cores(load: Opened) -> Opened:
    """The same, with the journal's threads free to run beside the loop."""

    @contextmanager
    def opened(server: Server) -> Iterator[Window]:
        server.free_threads()
        with load(server) as window:
            yield window

    return opened


def acknowledged(server: Server, seconds: float) -> Sample:
    """Publishing by the broker's own client."""
    cpu_s, begun = server.cpu_s(), time.monotonic()
    per_s = publish(server.port, PUBLISHERS, MESSAGE_BYTES, seconds)
    busy = (server.cpu_s() - cpu_s) / (time.monotonic() - begun)
    return {"published_per_s": per_s, "events_per_s": per_s, "server_busy": busy}


def differing() -> bytes:
    """A batch whose messages are sentences: the file compresses those that are alike to almost nothing."""
    dice = random.Random(1)
    return as_array_of([sentence(dice) for _ in range(BATCH_EVENTS)])


ONE = "32 publishers, all of the hub on one core"
TWO = "32 publishers, the journal's threads on both cores"
BATCHES = "1,000 events a POST"
DIFFERING = "1,000 events a POST, no two alike"
BROKER = "32 publishers, by its own client"

ROW = Row(
    name="journal",
    title="publishing to a log on the disk, synced before it is acknowledged, beside one in memory",
    cases=(
        Case(ONE, ("tocsin", "tocsin-sqlite"), singles()),
        Case(TWO, ("tocsin-sqlite",), on_both_cores(singles())),
        Case(BATCHES, ("tocsin", "tocsin-sqlite"), batches(JSON)),
        Case(DIFFERING, ("tocsin", "tocsin-sqlite"), batches_of(differing(), JSON)),
        Case(BROKER, ("nats",), each_time(acknowledged), quick=False),
    ),
    figures=("events_per_s", "published_per_s", "us_per_publish", "server_busy", "load_busy"),
    compared=("us_per_publish", "published_per_s"),
    goals=(
        Goal(
            Term(ONE, "tocsin-sqlite", "published_per_s"),
            Term(ONE, "tocsin", "published_per_s"),
            0.7,
        ),
        Goal(
            Term(TWO, "tocsin-sqlite", "published_per_s"),
            Term(ONE, "tocsin", "published_per_s"),
            0.85,
        ),
        Goal(
            Term(BATCHES, "tocsin-sqlite", "events_per_s"),
            Term(BATCHES, "tocsin", "events_per_s"),
            0.8,
        ),
        Goal(
            Term(DIFFERING, "tocsin-sqlite", "events_per_s"),
            Term(DIFFERING, "tocsin", "events_per_s"),
            0.8,
        ),
        Goal(
            Term(ONE, "tocsin-sqlite", "published_per_s"),
            Term(BROKER, "nats", "published_per_s"),
            2.0,
        ),
    ),
    note="How fast the disk syncs is most of it: compare figures of one run only. NATS is measured by its Python"
    " client, and takes one message a sync.",
)
