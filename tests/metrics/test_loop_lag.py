from __future__ import annotations

import asyncio
import time

from tests.serving import eventually
from tocsin.hub.counters import LATENCY_BOUNDS_S, Histogram
from tocsin.hub.loop_lag import INTERVAL_S, LoopLag


async def test_loop_that_is_held_up_is_seen() -> None:
    delays_s = Histogram(LATENCY_BOUNDS_S)
    lag = LoopLag(delays_s)
    lag.start()
    await asyncio.sleep(0)
    time.sleep(INTERVAL_S + 0.2)  # holds the loop up, as a bug would
    await eventually(lambda: sum(delays_s.counts))
    lag.stop()
    assert delays_s.sum >= 0.2


async def test_nothing_is_observed_after_the_stop() -> None:
    delays_s = Histogram(LATENCY_BOUNDS_S)
    lag = LoopLag(delays_s)
    lag.start()
    lag.stop()
    lag.stop()
    await asyncio.sleep(INTERVAL_S * 1.5)
    assert sum(delays_s.counts) == 0
