"""Many new streams at once, with nothing to replay."""

from __future__ import annotations

from collections.abc import Sequence

from peers.base import Server
from plan import Case, Opened, Row, Sample, each_time

from rows.reconnecting import opening

CLIENTS = 10_000
MEASURED = ("tocsin", "nchan")


def on_topics(topics: Sequence[str]) -> Opened:
    """Open `CLIENTS` streams, spread over `topics`; their closing isn't counted."""

    def measure(server: Server, seconds: float) -> Sample:
        target = server.topic_target
        requests = [target.subscribe_request(topics[i % len(topics)]) for i in range(CLIENTS)]
        took_s, cpu_s, load_s = opening(server, requests)
        return {
            "streams_per_s": CLIENTS / took_s,
            "us_per_stream": cpu_s / CLIENTS * 1e6,
            "server_busy": cpu_s / took_s,
            "load_busy": load_s / took_s,
        }

    return each_time(measure)


ONE, EACH = "10,000 streams, one topic for all", "10,000 streams, a topic each"

ROW = Row(
    name="opening",
    title="new streams, opened as fast as they can be",
    cases=(
        Case(ONE, MEASURED, on_topics(["topic"])),
        Case(EACH, MEASURED, on_topics([f"topic-{number}" for number in range(CLIENTS)])),
    ),
    figures=("streams_per_s", "us_per_stream", "server_busy", "load_busy"),
    compared=("streams_per_s", "us_per_stream"),
    gain=1.5,
    note="At most 2,000 streams wait for their answer at any moment.",
)
