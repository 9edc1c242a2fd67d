"""The journal that keeps nothing: it gives ids, and the ring is all there is.

A restart makes a new epoch, so that every client that comes back is told of the gap.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import repeat

from tocsin.core.event import Draft, Event, EventId
from tocsin.errors import Unavailable
from tocsin.eventlog.journal.base import Deliver, Opening, Reset


class MemoryJournal:
    """Ids from a counter. An append is committed when it returns, and lost when the process ends.

    Args:
        clock: Unix time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._now = clock()
        self._epoch = int(self._now * 1000)
        self._seq = 0
        self._deliver: Deliver | None = None
        self._loop: asyncio.AbstractEventLoop

    @property
    def status(self) -> str:
        """Empty between start and stop."""
        return "" if self._deliver else "the journal is not started"

    async def start(self, deliver: Deliver, reset: Reset, window: int) -> Opening:
        """Begin an empty log; there is no window to load, and never a new epoch."""
        self._loop = asyncio.get_running_loop()
        self._deliver = deliver
        return Opening(EventId(self._epoch, 0))

    def append(self, drafts: Sequence[Draft]) -> asyncio.Future[Sequence[EventId]]:
        """Give the drafts the next ids and deliver them at once; the future is done."""
        if self._deliver is None:
            raise Unavailable(self.status, code="journal_down")
        committed: asyncio.Future[Sequence[EventId]] = self._loop.create_future()
        now = self._now = max(self._now, self._clock())
        first = self._seq + 1
        ids = [EventId(self._epoch, seq) for seq in range(first, first + len(drafts))]
        events = list(map(Event, ids, drafts, repeat(now)))
        # Counted after it was delivered: what the hub could not take never was, and no hole remains.
        self._deliver(events)
        self._seq += len(events)
        committed.set_result(ids)
        return committed

    async def read(self, after: EventId, limit: int) -> Sequence[Event]:
        """Nothing: what the ring doesn't hold is gone."""
        return ()

    async def stop(self) -> None:
        """Forget the hub; appends are over."""
        self._deliver = None
