"""The journal that keeps nothing: it gives ids, and the ring is all there is.

A restart makes a new epoch, so that every client that comes back is told of the gap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tocsin.core.event import Draft, Event, EventId
from tocsin.eventlog.journal.base import Deliver, Opening, Receipt


class MemoryJournal:
    """Ids from a counter. An append is committed when it returns, and lost when the process ends.

    Args:
        clock: Unix time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._epoch = int(clock() * 1000)
        self._seq = 0
        self._deliver: Deliver | None = None

    @property
    def is_up(self) -> bool:
        """Whether it was started."""
        return self._deliver is not None

    async def start(self, deliver: Deliver, window: int) -> Opening:
        """Begin an empty log; there is no window to load."""
        self._deliver = deliver
        return Opening(EventId(self._epoch, 0))

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        """Give the drafts the next ids and deliver them at once."""
        assert self._deliver is not None, "append before start"
        now = self._clock()
        events = [
            Event(EventId(self._epoch, seq), draft, now)
            for seq, draft in enumerate(drafts, self._seq + 1)
        ]
        self._seq += len(events)
        return self._deliver(events)

    async def stop(self) -> None:
        """Forget the hub; appends are over."""
        self._deliver = None
