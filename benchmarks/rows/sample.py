"""From what a load saw to the figures of a sample."""

from __future__ import annotations

import time
from collections.abc import Callable

from peers.base import Server
from plan import Sample

from tocsin.bench import BenchError, Outcome

EVERYONE = (
    "tocsin",
    "nchan",
    "cloop",
    "cloop-batch",
    "express",
    "better-sse",
    "tornado",
    "sse-starlette",
)
WARM_UP_S = 0.4


def sampled(server: Server, load: Callable[[], Outcome]) -> Sample:
    """The figures of one stretch of load on `server`.

    Raises:
        BenchError: a delivery is missing or something failed, so that speed means nothing.
    """
    cpu_s, begun = server.cpu_s(), time.monotonic()
    outcome = load()
    cpu_s, elapsed_s = server.cpu_s() - cpu_s, time.monotonic() - begun
    if outcome.missing or outcome.errors:
        raise BenchError(f"{outcome.missing:,} deliveries missing; {dict(outcome.errors)}")
    sample = {
        "deliveries_per_s": outcome.deliveries_per_s,
        "published_per_s": outcome.published_per_s,
        "fan_out_p50": outcome.fan_out.p50,
        "fan_out_p99": outcome.fan_out.p99,
        "delivery_p99": outcome.delivery.p99,
        "server_busy": cpu_s / elapsed_s,
        "load_busy": outcome.busy,
    }
    if outcome.deliveries:
        sample["us_per_delivery"] = cpu_s / outcome.deliveries * 1e6
    if outcome.published:
        sample["us_per_publish"] = cpu_s / outcome.published * 1e6
    return sample
