"""Reads of what left the window, from the journal: counted, timed, and so many at once at most.

It knows no stream. Who wants pages for requests and who wants pieces for streams have a limit each, so
that neither keeps the other waiting.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import TypeVar

from tocsin.core.event import Event
from tocsin.core.filters import Filter
from tocsin.errors import Unavailable
from tocsin.eventlog.journal import History, Page, PageBefore
from tocsin.eventlog.ring import RingBuffer
from tocsin.hub.counters import Counters

PAGES_AT_ONCE = 2
"""Reads under way for pages that requests ask for."""

READ_S = 10.0
"""How long a read may take; then it has failed. Heartbeats are 30 s apart, and proxies wait for 60."""

NEAR = 64
"""How far apart events that were selected may lie to be read in one go: others between them cost as much."""

PICKED_BYTES = 64 * 1024
"""Of events that are read so."""

MAX_WAITING = 64
"""Reads that wait for their turn; who comes then is to come back."""

Result = TypeVar("Result", Page, PageBefore)


class HistoryReads:
    """Reads of a journal's history, `limit` of them under way at most, first come first served.

    Args:
        history: the journal's; asked anew for each read.
        counters: of the hub.
        limit: reads under way.
    """

    def __init__(
        self, history: Callable[[], History | None], counters: Counters, limit: int
    ) -> None:
        self._history = history
        self._counters = counters
        self._turns = asyncio.Semaphore(limit)
        self._waiting = 0

    async def read(self, after: int, filter: Filter, *, max_events: int, max_bytes: int) -> Page:
        """Events after `after`, as `History.read` says.

        Raises:
            Unavailable: the journal can't be read now, or took too long, or too many others ask.
        """
        history = self._kept()
        return await self._in_turn(
            lambda: history.read(after, filter, max_events=max_events, max_bytes=max_bytes)
        )

    async def newest(
        self, filter: Filter, count: int, *, max_bytes: int, before: int
    ) -> PageBefore:
        """The newest events before `before`, as `History.newest` says.

        Raises:
            Unavailable: as for `read`.
        """
        history = self._kept()
        return await self._in_turn(
            lambda: history.newest(filter, count, max_bytes=max_bytes, before=before)
        )

    async def picked(
        self, ring: RingBuffer, filter: Filter, seqs: Sequence[int]
    ) -> Sequence[Event]:
        """The events with these seqs, which are `near` each other and of the log of `ring`; the first ones of them.

        Fewer where they are more than `PICKED_BYTES`; and none where one of them is gone.

        Raises:
            Unavailable: as for `read`.
        """
        page = await self.read(
            seqs[0] - 1, filter, max_events=seqs[-1] - seqs[0] + 1, max_bytes=PICKED_BYTES
        )
        events, end = committed(page, ring)
        found = {event.id.seq: event for event in events}
        wanted = [seq for seq in seqs if seq <= end]
        return [found[seq] for seq in wanted] if found.keys() >= set(wanted) else ()

    def _kept(self) -> History:
        history = self._history()
        if history is None:  # a bug: who asks has looked
            raise RuntimeError("the journal keeps nothing behind the window")
        return history

    async def _in_turn(self, read: Callable[[], Awaitable[Result]]) -> Result:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("too many others read the history", code="busy", retry_after_s=2)
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._counted(read)
        finally:
            self._turns.release()

    async def _counted(self, read: Callable[[], Awaitable[Result]]) -> Result:
        began, outcome, read_events = perf_counter(), "failed", 0
        try:
            async with asyncio.timeout(READ_S):
                result = await read()
            outcome = "ok"
            read_events = len(result.events)
        except TimeoutError:
            message = f"the journal gave no answer within {READ_S:g} s"
            raise Unavailable(message, code="journal_down", retry_after_s=2) from None
        except asyncio.CancelledError:  # nobody waits for it any more
            outcome = ""
            raise
        finally:
            if outcome:
                self._counters.history_reads[outcome] += 1
                self._counters.history_read_events += read_events
                self._counters.history_read_s.observe(perf_counter() - began)
        return result


def near(seqs: Sequence[int], cursor: int, end: int) -> Sequence[int]:
    """The first of `seqs` after `cursor`, of which there is one, and those near it up to `end`; ascending."""
    at = bisect_right(seqs, cursor)
    last = min(seqs[at] + NEAR - 1, max(end, seqs[at]))
    return seqs[at : bisect_right(seqs, last, at)]


def committed(page: Page, ring: RingBuffer) -> tuple[Sequence[Event], int]:
    """The events of `page` that `ring` has been given too, and the seq up to which they go.

    A journal may read what it has committed and not delivered yet: that comes by the ring, in order.

    Raises:
        Unavailable: they are of another log than `ring` is; the hub is about to be told of it.
    """
    events = page.events
    if not events:
        return events, min(page.cursor, ring.head)
    if events[-1].id.epoch != ring.epoch or events[0].id.epoch != ring.epoch:
        raise Unavailable("a new log began", code="restart")
    if events[-1].id.seq > ring.head:
        events = [event for event in events if event.id.seq <= ring.head]
    return events, min(page.cursor, ring.head)
