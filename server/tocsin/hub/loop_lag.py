"""How late the event loop is: the sign that one thread has more to do than time to do it in."""

from __future__ import annotations

import asyncio

from tocsin.hub.counters import Histogram

INTERVAL_S = 0.25


class LoopLag:
    """Asks to be called every `INTERVAL_S`, and observes by how much each call is late."""

    def __init__(self, delays_s: Histogram) -> None:
        self._delays_s = delays_s
        self._due = 0.0
        self._call: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, on the running loop."""
        loop = asyncio.get_running_loop()
        # From now and not from when it was due: one long delay is one observation, not many.
        self._due = loop.time() + INTERVAL_S
        self._call = loop.call_at(self._due, self._observe)

    def stop(self) -> None:
        """End; nothing is called any more."""
        if self._call:
            self._call.cancel()
            self._call = None

    def _observe(self) -> None:
        self._delays_s.observe(max(asyncio.get_running_loop().time() - self._due, 0.0))
        self.start()
