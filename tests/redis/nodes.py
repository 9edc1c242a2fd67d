"""Nodes without a hub: a journal in Redis, and what it delivers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from tests.eventlog.appended import appended
from tests.patience import PATIENCE_S
from tests.redis_process import RedisProcess
from tocsin.core.event import Draft, Event, EventId
from tocsin.eventlog.journal.base import Append, Committed, Once, Opening, Outcome, Window
from tocsin.eventlog.journal.redis.address import parse_address
from tocsin.eventlog.journal.redis.journal import RedisJournal
from tocsin.eventlog.journal.redis.script import Keys, Limits
from tocsin.eventlog.journal.redis.store import Store

LIMITS = Limits(events=100_000, bytes=2**30, age_s=0, once_window_s=86_400, once_keys=1_000)


class Node:
    """One node's journal. Any hole, repetition or disorder in what it delivers fails at once.

    Attributes:
        opening: what the log held when it was started.
        log: every event of the present epoch that it loaded or delivered, since the last hole.
        ever: every event that it ever loaded or delivered.
        resets: every opening since then.
    """

    def __init__(
        self,
        url: str,
        *,
        limits: Limits = LIMITS,
        prefix: str = "tocsin",
        window: int = 1_000,
        username: str = "",
        password: str = "",
    ) -> None:
        store = Store(parse_address(url), username, password, Keys(prefix), limits)
        self.store = store
        self.journal = RedisJournal(store, remembered_evictions=1_000, look_s=0.1)
        self.window = Window(window, 2**26)
        self.log: list[Event] = []
        self.ever: list[Event] = []
        self.resets: list[Opening] = []
        self.opening = Opening(EventId(0, 0))
        self.head = EventId(0, 0)
        self._time = 0.0

    async def start(self) -> None:
        self.opening = await self.journal.start(self._deliver, self._reset, self.window)
        self._take_up(self.opening)

    async def append(self, *texts: str, once: Once | None = None, topic: str = "t") -> Outcome:
        """Append, and see that the events were delivered before the answer came."""
        append = Append([Draft("tick", text.encode(), topic) for text in texts], once)
        (outcome,) = await appended(self.journal, [append])
        if isinstance(outcome, Committed):
            assert outcome.ids[-1] <= self.head
        return outcome

    async def append_at_last(self, *texts: str) -> Committed:
        """Append as soon as it is possible again."""
        await self.until(lambda: not self.journal.status)
        outcome = await self.append(*texts)
        assert isinstance(outcome, Committed)
        return outcome

    def texts(self) -> list[str]:
        return [event.draft.data.decode() for event in self.log]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for it, bounded."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.01)

    def _deliver(self, events: Sequence[Event]) -> None:
        self._follow(events)

    def _reset(self, opening: Opening) -> None:
        assert opening.floor > self.head
        self.resets.append(opening)
        self._take_up(opening)

    def _take_up(self, opening: Opening) -> None:
        self.log, self.head, self._time = [], opening.floor, 0.0
        self._follow(opening.events)

    def _follow(self, events: Sequence[Event]) -> None:
        for event in events:
            assert event.id == EventId(self.head.epoch, self.head.seq + 1)
            assert event.time >= self._time
            self.head, self._time = event.id, event.time
        self.log += events
        self.ever += events


@asynccontextmanager
async def nodes(
    redis: RedisProcess,
    count: int = 1,
    *,
    port: int = 0,
    limits: Limits = LIMITS,
    prefix: str = "tocsin",
    window: int = 1_000,
    password: str = "",
) -> AsyncIterator[list[Node]]:
    """So many nodes on one log, started; stopped at the end. `port` is Redis', or that of something before it."""
    url = f"redis://127.0.0.1:{port or redis.port}/0"
    started = [
        Node(url, limits=limits, prefix=prefix, window=window, password=password)
        for _ in range(count)
    ]
    try:
        for node in started:
            await node.start()
        yield started
    finally:
        for node in started:
            await node.journal.stop()


def ids_of_two(*all_nodes: Node) -> set[EventId]:
    """The ids that stood for two events, on any of these nodes."""
    data: dict[EventId, bytes] = {}
    events = [event for node in all_nodes for event in node.ever]
    return {e.id for e in events if data.setdefault(e.id, e.draft.data) != e.draft.data}
