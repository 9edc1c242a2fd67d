from __future__ import annotations

import asyncio
import time

from tests.serving import eventually
from tocsin.hub.counters import Counters
from tocsin.hub.loop_lag import INTERVAL_S, LoopLag


async def test_loop_that_is_held_up_is_seen_and_its_stall_counts_in_seconds() -> None:
    counters = Counters()
    lag = LoopLag(counters)
    lag.start()
    await asyncio.sleep(0)
    assert lag.late_s == 0
    time.sleep(INTERVAL_S + 0.2)  # holds the loop up, as a bug would
    assert lag.late_s >= 0.2
    assert lag.is_late
    await eventually(lambda: sum(counters.loop_lag_s.counts))
    assert lag.is_late  # what came in meanwhile is still to be read
    lag.stop()
    assert counters.loop_lag_s.sum >= 0.2
    assert counters.loop_stalled_s >= 0.2


async def test_nothing_is_observed_after_the_stop() -> None:
    counters = Counters()
    lag = LoopLag(counters)
    lag.start()
    lag.stop()
    lag.stop()
    await asyncio.sleep(INTERVAL_S * 1.5)
    assert sum(counters.loop_lag_s.counts) == 0
    assert (lag.is_late, lag.late_s) == (False, 0)
