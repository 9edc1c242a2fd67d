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
    "centrifugo",
    "cloop",
    "cloop-batch",
    "express",
    "better-sse",
    "tornado",
    "sse-starlette",
)
WARM_UP_S = 0.4


_LOOK_S, _TICKS_S = 0.05, 0.002
"""An idle server may still run a little now and then, for its clock's sake."""


def cpu_s_when_idle(server: Server) -> float:
    """Its `cpu_s`, as soon as it has done all that it was asked.

    Raises:
        BenchError: it works on, two minutes later.
    """
    before_s = server.cpu_s()
    for _ in range(round(120 / _LOOK_S)):
        time.sleep(_LOOK_S)
        now_s = server.cpu_s()
        if now_s - before_s < _TICKS_S:
            return now_s
        before_s = now_s
    raise BenchError("the server doesn't come to rest")


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
