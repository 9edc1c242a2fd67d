"""A journal for the tests that keeps more than the window, with knobs: slow, failing, trimming, a new log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tocsin.core.event import Draft, Event, EventId
from tocsin.core.filters import Filter
from tocsin.core.wire import FRAME_BYTES
from tocsin.errors import Unavailable
from tocsin.eventlog.journal import (
    Append,
    Committed,
    Deliver,
    Figures,
    History,
    Nodes,
    Opening,
    Page,
    PageBefore,
    Reset,
    Tell,
    Window,
)


class KeptHistory:
    """What a `KeptJournal` keeps; its reads are those of a store that is asked over a distance.

    Attributes:
        turns: of the loop that a read takes.
        gate: reads wait until it is set, where there is one.
        failure: reads fail with it, where there is one.
        looks: events that one read looks at.
        reads: how many were begun.
        under_way: how many wait for something now; `under_way_max` at most so far.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.floor = 0
        self.events = self.bytes = 0
        self.oldest_time: float | None = None
        self.log: list[Event] = []  # all that ever was: so it is known exactly what was lost
        self.may_be_ahead = False
        self.kept_newest = None
        self.turns = 0
        self.gate: asyncio.Event | None = None
        self.failure: Exception | None = None
        self.looks = 2_000
        self.reads = self.under_way = self.under_way_max = 0

    def count(self) -> None:
        """Bring the numbers up to date, after the log or the floor is another one."""
        kept = self.log[self.floor :]
        self.events = len(kept)
        self.bytes = sum(map(_size, kept))
        self.oldest_time = kept[0].time if kept else None

    def has_lost(self, seq: int, filter: Filter) -> bool:
        return any(_matches(event, filter) for event in self.log[seq : self.floor])

    async def read(self, after: int, filter: Filter, *, max_events: int, max_bytes: int) -> Page:
        await self._take_time()
        found, size = list[Event](), 0
        cursor = max(after, self.floor)
        for event in self.log[cursor : cursor + self.looks]:
            cursor = event.id.seq
            if _matches(event, filter):
                found.append(event)
                size += _size(event)
                if len(found) >= max_events or size >= max_bytes:
                    break
        return Page(found, cursor)

    async def newest(
        self, filter: Filter, count: int, *, max_bytes: int, before: int
    ) -> PageBefore:
        await self._take_time()
        found, size = list[Event](), 0
        for event in reversed(self.log[max(self.floor, before - 1 - self.looks) : before - 1]):
            before = event.id.seq
            if _matches(event, filter):
                found.append(event)
                size += _size(event)
                if len(found) >= count or size >= max_bytes:
                    break
        return PageBefore(found[::-1], before)

    async def _take_time(self) -> None:
        self.reads += 1
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        try:
            for _ in range(self.turns):
                await asyncio.sleep(0)
            if self.gate:
                await self.gate.wait()
            if self.failure:
                raise self.failure
        finally:
            self.under_way -= 1


class KeptJournal:
    """Appends are committed and delivered at once. A restart of the hub is `start` again.

    Args:
        max_events: kept; the oldest are trimmed at each append, beyond that. 0 is no limit.
    """

    nodes: Nodes | None = None
    figures = Figures()

    def __init__(self, max_events: int = 0) -> None:
        self.kept = KeptHistory(1_000)
        self.history: History | None = self.kept
        self.max_events = max_events
        self.status = ""
        self._now = 1_000_000.0
        self._deliver: Deliver | None = None
        self._reset: Reset | None = None

    async def start(self, deliver: Deliver, reset: Reset, window: Window) -> Opening:
        self._deliver, self._reset = deliver, reset
        first = max(len(self.kept.log) - window.events, self.kept.floor)
        return Opening(EventId(self.kept.epoch, first), self.kept.log[first:])

    def append(self, appends: Sequence[Append], tell: Tell) -> None:
        assert self._deliver
        if self.status:
            raise Unavailable(self.status, code="journal_down")
        committed = [self.commit(append.drafts) for append in appends]
        self._deliver([event for events in committed for event in events])
        tell([Committed([event.id for event in events]) for events in committed])

    async def stop(self) -> None:
        self._deliver = None

    # --- what tests do to it ----------------------------------------------------------------------

    def commit(self, drafts: Sequence[Draft]) -> list[Event]:
        """Keep these, and deliver them to nobody yet."""
        log, epoch = self.kept.log, self.kept.epoch
        self._now += 1.0
        events = [
            Event(EventId(epoch, seq), draft, self._now)
            for seq, draft in enumerate(drafts, len(log) + 1)
        ]
        log += events
        if self.max_events:
            self.kept.floor = max(self.kept.floor, len(log) - self.max_events)
        self.kept.count()
        return events

    def deliver(self, events: Sequence[Event]) -> None:
        """Deliver what `commit` kept, as a tail of another process' appends does."""
        assert self._deliver
        self._deliver(events)

    def trim(self, floor: int) -> None:
        """Let all up to `floor` go."""
        self.kept.floor = max(self.kept.floor, floor)
        self.kept.count()

    def begin_epoch(self, *, is_told: bool = True) -> None:
        """Let an empty log take the place of this one; the hub is told now, or by `tell`."""
        self.kept.epoch += 1
        self.kept.log, self.kept.floor = [], 0
        self.kept.count()
        if is_told:
            self.tell()

    def tell(self) -> None:
        """Tell the hub of the new log."""
        assert self._reset
        self._reset(Opening(EventId(self.kept.epoch, 0)))


def window_of(events: int) -> dict[str, int]:
    """The settings of a hub whose window has so many events."""
    return {"history_events": events}


def _matches(event: Event, filter: Filter) -> bool:
    draft = event.draft
    return filter.matches(draft.topic, draft.type, draft.more_topics)


def _size(event: Event) -> int:
    return len(event.draft.type) + len(event.draft.data) + FRAME_BYTES
