"""How late the event loop is: the sign that one thread has more to do than time to do it in."""

from __future__ import annotations

import asyncio
import math
from time import monotonic

from tocsin.hub.counters import Counters

INTERVAL_S = 0.25

STALL_S = 0.1
"""By so much a call must be late to be a stall: the loop did nothing at all for that long."""

LATE_S = 0.05
"""By so much the loop must be late for what it reads now to have waited for it."""

WORKED_OFF_S = 1.0
"""After a stall, the time in which what came in meanwhile is read, and as long again as the stall lasted."""


class LoopLag:
    """Asks to be called every `INTERVAL_S`, and observes by how much each call is late.

    A histogram of that says little of a stall: one of 4 s is one observation of 100. So the seconds are counted too.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._due = math.inf
        self._late_until = -math.inf
        self._call: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Begin, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._ask()

    def stop(self) -> None:
        """End; nothing is called any more."""
        if self._call:
            self._call.cancel()
            self._call = None
            self._due, self._late_until = math.inf, -math.inf

    @property
    def is_late(self) -> bool:
        """Whether what is read now may have waited for the loop: it stands behind what it should have done, or did lately."""
        now = monotonic()  # the loop's clock, without its method: each read asks
        return now > self._due + LATE_S or now < self._late_until

    @property
    def late_s(self) -> float:
        """For how long the loop has been doing nothing of what was due; 0 where that is next to nothing."""
        if self._due == math.inf:
            return 0.0
        late_s = self._loop.time() - self._due
        return late_s if late_s > LATE_S else 0.0

    def _ask(self) -> None:
        # From now and not from when it was due: one long delay is one observation, not many.
        self._due = self._loop.time() + INTERVAL_S
        self._call = self._loop.call_at(self._due, self._observe)

    def _observe(self) -> None:
        now = self._loop.time()
        late_s = max(now - self._due, 0.0)
        self._counters.loop_lag_s.observe(late_s)
        if late_s > STALL_S:
            self._counters.loop_stalled_s += late_s
        if late_s > LATE_S:
            self._late_until = now + late_s + WORKED_OFF_S
        self._ask()
