"""Publishing: from drafts over the journal into the ring and the fan-out, and back to receipts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import perf_counter
from typing import NamedTuple

import msgspec

from tocsin.core.event import Draft, Event, EventId, InternalEvent
from tocsin.core.wire import encode_event
from tocsin.errors import Unavailable
from tocsin.eventlog.entry import Entry
from tocsin.eventlog.journal import Journal, Opening
from tocsin.eventlog.ring import RingBuffer
from tocsin.hub.counters import Counters
from tocsin.hub.fan_out import FanOut
from tocsin.settings import Settings

MAX_COUNTS = 200_000
"""Delivered events whose count of streams is kept for a publisher who is not told yet."""

NOT_READY = {
    "draining": "the hub is stopping",
    "journal_down": "the hub's journal takes no events now",
    "failed": "the hub failed, and ends",
}

log = logging.getLogger("tocsin")


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What a publisher is told: the event's id, and how many open streams it is for."""

    id: EventId
    recipients: int


class Delivered(NamedTuple):
    """Events that were taken into the ring together, and for how many streams each of them is."""

    events: Sequence[Event]
    recipients: Sequence[int]


class Publishing:
    """The one way into the log.

    Args:
        settings: what the ring may keep.
        journal: commits.
        counters: of the hub.
        clock: Unix time in seconds.
        monotonic: seconds of a clock that can't be set, by which events age.
        on_reset: called when a new log begins while running, after the ring is the new log's.

    Attributes:
        ring: the window over the log; another one after each reset.
        fan_out: gets what was committed.
        draining: whether new work is refused.
        failure: holds what broke an invariant, as soon as something has. Made by `start`.
    """

    failure: asyncio.Future[Exception]
    _loop: (
        asyncio.AbstractEventLoop
    )  # asking for the running one is a system call (getpid) each time

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        counters: Counters,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        on_reset: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._counters = counters
        self._clock = clock
        self._monotonic = monotonic
        self._on_reset = on_reset
        self.ring = self._new_ring(Opening(EventId(0, 0)))
        self.fan_out = FanOut(counters, clock, lambda: self.ring.head, self.fail)
        self.draining = False
        self._under_way = 0  # appends whose publisher isn't told yet
        self._recipients: dict[EventId, int] = {}  # of what was delivered meanwhile
        self._delivered: Delivered | None = None  # what was last, as long as it isn't put by there

    async def start(self) -> None:
        """Open the journal, and fill the ring with its newest events.

        Raises:
            SettingsError: the journal can't be opened.
        """
        self._loop = asyncio.get_running_loop()
        self.failure = self._loop.create_future()
        window = self._settings.history_events
        self.ring = self._new_ring(await self._journal.start(self._deliver, self._reset, window))

    async def stop(self) -> None:
        """Close the journal, when it has committed what is under way."""
        await self._journal.stop()

    @property
    def not_ready(self) -> str:
        """Why no event is taken now: a key of `NOT_READY`; empty while the hub takes events."""
        if self.draining:
            return "draining"
        if not self.is_journal_up:
            return "journal_down"
        return "failed" if self.failure.done() else ""

    @property
    def is_over(self) -> bool:
        """Whether it will take no events any more: the hub stops, or failed."""
        return self.draining or self.failure.done()

    @property
    def is_journal_up(self) -> bool:
        """Whether the journal would try an append now."""
        return not self._journal.status

    def append(self, drafts: Sequence[Draft]) -> asyncio.Future[Sequence[Receipt]]:
        """Append `drafts` to the log as one; the future holds their receipts, in the same order.

        It is done already where the journal waits for nothing. Who cancels it gives up the answer only.

        Raises:
            Unavailable: nothing was published. Raised by the call, or held by the future.
        """
        self._check_ready()
        asked = perf_counter()
        if self._delivered:
            self._keep_delivered()
        self._under_way += 1
        try:
            committed = self._journal.append(drafts)
        except BaseException as error:
            self._end_append()
            self._counters.journal_errors += isinstance(error, Unavailable)
            raise
        answer: asyncio.Future[Sequence[Receipt]] = asyncio.Future(loop=self._loop)
        if committed.done():
            self._answer(answer, asked, self._delivered, committed)
        else:
            self._keep_delivered()
            committed.add_done_callback(partial(self._answer, answer, asked, None))
        return answer

    def emit(self, event: InternalEvent) -> int:
        """Send `event` to the internal streams that asked for its topic; returns how many those are.

        It takes the way of an event from here to the socket, but is none: it has no id, enters no
        history, and nothing counts it.

        Raises:
            Unavailable: the hub takes no events now.
        """
        self._check_ready()
        block = encode_event(event.type, event.data)
        entry = Entry(self.ring.head, event.topic, event.type, self._clock(), block)
        recipients = self.fan_out.enqueue_internal(entry)
        self.fan_out.start()
        return recipients

    def fail(self, error: Exception) -> None:
        """Take no more events: an invariant broke, and what the hub would send can't be trusted.

        Whoever runs the hub watches `failure`, and ends the process.
        """
        log.critical("the hub failed: it takes no events any more, and ends", exc_info=error)
        if not self.failure.done():
            self.failure.set_result(error)

    def expire(self) -> None:
        """Evict what is too old; to be called about once a second."""
        expired = self.ring.expire(self._monotonic())
        if expired.is_behind:
            log.warning(
                "more of the history is too old than should be, and goes a minute's worth at a time",
                extra={"events": expired.events},
            )

    def _check_ready(self) -> None:
        # Each event asks: so `not_ready`, which says which it is, only where it is one of them.
        if self.draining or self._journal.status or self.failure.done():
            reason = self.not_ready
            raise Unavailable(NOT_READY[reason], code=reason, retry_after_s=2)

    def _deliver(self, events: Sequence[Event]) -> None:
        """Take committed events into the ring, and to the groups that they are for."""
        if not events or self.failure.done():
            return
        try:
            entries = Entry.of_all(events)
            self.ring.append(entries, self._monotonic())
            recipients = self.fan_out.enqueue(entries)
            self.fan_out.start()
        except Exception as error:
            self.fail(error)
            raise
        if self._under_way:
            self._keep_delivered()
            self._delivered = Delivered(events, recipients)
        try:
            sizes = [len(entry.block) for entry in entries]
            self._counters.count_published(events, sizes, recipients)
        except Exception:  # the events are in the log, and their publisher is told so
            log.exception("counting failed, of what was published all the same")

    def _keep_delivered(self) -> None:
        """Put by for how many streams the last delivered events are: a publisher will be told later."""
        if self._delivered is None:
            return
        for event, count in zip(self._delivered.events, self._delivered.recipients, strict=True):
            self._recipients[event.id] = count
        self._delivered = None
        # Several processes may write to one log, and nobody here waits for the events of the others.
        while len(self._recipients) > MAX_COUNTS:
            del self._recipients[next(iter(self._recipients))]

    def _answer(
        self,
        answer: asyncio.Future[Sequence[Receipt]],
        asked: float,
        delivered: Delivered | None,
        committed: asyncio.Future[Sequence[EventId]],
    ) -> None:
        """Pass on what came of an append; `delivered` is what it delivered, if it did so at once."""
        try:
            ids = committed.result()
        except asyncio.CancelledError:
            answer.cancel()
        except Exception as error:
            self._counters.journal_errors += isinstance(error, Unavailable)
            if not answer.cancelled():
                answer.set_exception(error)
        else:
            self._counters.journal_commit_s.observe(perf_counter() - asked)
            receipts = list(map(Receipt, ids, self._recipients_of(ids, delivered)))
            if not answer.cancelled():
                answer.set_result(receipts)
        self._end_append()

    def _recipients_of(self, ids: Sequence[EventId], delivered: Delivered | None) -> Iterable[int]:
        """For how many streams each of these events is."""
        if delivered and len(delivered.events) == len(ids) and delivered.events[0].id == ids[0]:
            return delivered.recipients  # no need to put them by one by one and to look them up
        self._keep_delivered()
        return [self._recipients.pop(id, 0) for id in ids]

    def _end_append(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._delivered = None
            if self._recipients:
                self._recipients.clear()

    def _reset(self, opening: Opening) -> None:
        """Take up another log, which began while running."""
        log.warning("a new log begins: every stream is ended, and resumes")
        self.ring = self._new_ring(opening)
        self.fan_out.forget()
        self._on_reset()

    def _new_ring(self, opening: Opening) -> RingBuffer:
        ring = RingBuffer(
            opening.floor.epoch,
            max_events=self._settings.history_events,
            max_bytes=self._settings.history_bytes,
            max_age_s=self._settings.history_age,
            remembered_evictions=self._settings.remembered_evictions,
        )
        ring.start_at(opening.floor.seq)
        entries = [Entry.of(event) for event in opening.events]
        ring.load(entries, self._monotonic(), wall=self._clock())
        return ring
