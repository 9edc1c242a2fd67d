"""Appends on their way into Redis: one call of the script at a time, with all that came in meanwhile.

An append is answered when the tail has delivered its events, so that a publisher's receipt says what this node's
streams got.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import msgspec

from tocsin.core.event import EventId
from tocsin.errors import Unavailable
from tocsin.eventlog.journal.base import Append, Committed, Outcome, Tell, unknown_outcome
from tocsin.eventlog.journal.redis.link import RedisFault
from tocsin.eventlog.journal.redis.script import Head, UnusableLog, encode_drafts
from tocsin.eventlog.journal.redis.store import Store
from tocsin.eventlog.journal.redis.tail import WAITS

TIMEOUT_S = 2.0
"""After so long without an answer the outcome of a call is given up as unknown."""

DELIVERY_S = 5.0
"""So long the tail may need to deliver what was appended."""

CALL_EVENTS = 2_000
"""Events of one call, more only in one append: 10 ms of Redis, which does nothing else meanwhile."""

CALL_BYTES = 4 * 1024 * 1024
"""Bytes of one call, more only in one append."""


class Group(msgspec.Struct, frozen=True):
    """Appends that were asked for together, and who is told what came of them."""

    appends: Sequence[Append]
    tell: Tell
    events: int
    bytes: int

    @classmethod
    def of(cls, appends: Sequence[Append], tell: Tell) -> Group:
        """The group of these."""
        sizes = [len(draft.data) for append in appends for draft in append.drafts]
        return cls(appends, tell, len(sizes), sum(sizes))


class Delivery(msgspec.Struct, frozen=True):
    """Outcomes that are told when the tail has come to `last`, or given up at `until`."""

    last: EventId
    until: float
    tell: Tell
    outcomes: Sequence[Outcome]


class Appends:
    """The way into the log.

    Args:
        store: where it is.
        head: how far this node has read.
    """

    def __init__(self, store: Store, head: Callable[[], Head]) -> None:
        self._store = store
        self._head = head
        self._link = store.link(TIMEOUT_S)
        self._waiting: deque[Group] = deque()
        self._deliveries: deque[Delivery] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self._is_link_old = False

    def add(self, appends: Sequence[Append], tell: Tell) -> None:
        """Append these, and tell what came of them. Who calls bounds how much waits."""
        group = Group.of(appends, tell)
        if not group.events:
            tell([Committed(()) for _ in appends])
            return
        self._waiting.append(group)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all())

    def distrust_link(self) -> None:
        """Redis failed on another link: use a new one, rather than learn by an append that this one is dead."""
        self._is_link_old = True

    def settle(self) -> None:
        """Tell the outcomes of what the tail has delivered, and give up what it should have."""
        self._moved.set()
        head, now = self._head().id, asyncio.get_running_loop().time()
        while self._deliveries:
            delivery = self._deliveries[0]
            is_given_up = delivery.last.epoch != head.epoch or delivery.until < now
            if not is_given_up and delivery.last.seq > head.seq:
                return
            self._deliveries.popleft()
            if is_given_up:
                delivery.tell(unknown_outcome("it was not seen to come out of Redis"))
            else:
                delivery.tell(delivery.outcomes)

    async def finish(self) -> None:
        """Send what waits, and wait until it is delivered, or given up."""
        while self._sender or self._deliveries:
            self._moved.clear()
            if self._sender:
                await self._sender
            else:
                await self._moved.wait()

    async def close(self) -> None:
        """Drop the link, and let nobody wait."""
        if self._sender:
            self._sender.cancel()
        for delivery in self._deliveries:
            delivery.tell(unknown_outcome("the hub stopped"))
        for group in self._waiting:
            group.tell(Unavailable("the hub stopped", code="draining", retry_after_s=2))
        self._deliveries.clear()
        self._waiting.clear()
        await self._link.close()

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                groups = list(self._next_groups())
                try:
                    await self._send(groups)
                except (RedisFault, UnusableLog, Unavailable) as error:
                    _tell_all(groups, _unavailable(error))
                except BaseException:  # cancelled, or a bug
                    _tell_all(groups, unknown_outcome("the hub stopped"))
                    raise
        finally:
            self._sender = None

    def _next_groups(self) -> Iterator[Group]:
        """Take as many as one call may hold, at least one."""
        events = size = 0
        while self._waiting:
            group = self._waiting[0]
            if events and (events + group.events > CALL_EVENTS or size + group.bytes > CALL_BYTES):
                return
            events, size = events + group.events, size + group.bytes
            yield self._waiting.popleft()

    async def _send(self, groups: Sequence[Group]) -> None:
        """Append these in one call of the script, and let them wait for the tail.

        Raises:
            RedisFault: it failed, or nobody knows.
            UnusableLog, Unavailable: nothing was appended.
        """
        appends = [append for group in groups for append in group.appends]
        records = [encode_drafts(append.drafts) for append in appends]
        loop = asyncio.get_running_loop()
        until = loop.time() + DELIVERY_S
        if self._is_link_old:
            await self._link.close()
            self._is_link_old = False
        while True:
            self._moved.clear()
            state, outcomes = await self._store.append(self._link, self._head(), appends, records)
            if state.verdict == "ok":
                break
            if state.verdict == "waits":
                raise Unavailable(WAITS, code="journal_down", retry_after_s=2)
            # Another log: the tail is about to see it, and what is appended comes after that.
            try:
                async with asyncio.timeout(until - loop.time()):
                    await self._moved.wait()
            except TimeoutError:
                message = "another log is in Redis"
                raise Unavailable(message, code="journal_down", retry_after_s=2) from None
        left = iter(outcomes)
        begin = EventId(state.head.epoch, 0)
        for group in groups:
            its_own = [next(left) for _ in group.appends]
            # What a key stands for may be of an epoch before, whose events the tail has behind it.
            last = max(
                [o.ids[-1] for o in its_own if isinstance(o, Committed) and o.ids] or [begin]
            )
            self._deliveries.append(Delivery(max(last, begin), until, group.tell, its_own))
        self.settle()


def _unavailable(error: RedisFault | UnusableLog | Unavailable) -> Unavailable:
    """What a publisher is told of `error`."""
    if isinstance(error, Unavailable):
        return error
    if isinstance(error, RedisFault) and error.is_unknown:
        return unknown_outcome(str(error))
    if isinstance(error, RedisFault) and error.is_full:
        return full(str(error))
    return Unavailable(str(error), code="journal_down", retry_after_s=2)


def full(message: str) -> Unavailable:
    """What a publisher is told where Redis takes nothing for want of memory; `message` says so."""
    return Unavailable(message, code="journal_full", retry_after_s=30, status=507)


def _tell_all(groups: Sequence[Group], error: Exception) -> None:
    for group in groups:
        group.tell(error)
