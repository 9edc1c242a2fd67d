"""Publishing: from drafts over the journal into the ring and the fan-out, and back to receipts."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from time import perf_counter
from typing import NamedTuple

import msgspec

from tocsin.core.event import Draft, Event, EventId, InternalEvent
from tocsin.core.wire import encode_event
from tocsin.errors import Unavailable
from tocsin.eventlog.entry import Entry
from tocsin.eventlog.journal import (
    Append,
    Committed,
    Ended,
    EndedTopics,
    Figures,
    History,
    Journal,
    Nodes,
    Once,
    Opening,
    Outcome,
    Window,
    ended_by,
)
from tocsin.eventlog.retention import retention_of
from tocsin.eventlog.ring import RingBuffer
from tocsin.hub.counters import Counters
from tocsin.hub.fan_out import FanOut
from tocsin.hub.loop_lag import LoopLag
from tocsin.hub.polls import Polls
from tocsin.settings import Settings
from tocsin.sockets import EndOfTurn

MAX_COUNTS = 200_000
"""Delivered events whose count of streams is kept for a publisher who is not told yet."""

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Of drafts that aren't committed. A journal that has become slow must not fill the memory."""

NOT_READY = {
    "draining": "the hub is stopping",
    "journal_down": "the hub's journal takes no events now",
    "failed": "the hub failed, and ends",
}

# Drafts are frozen; those that this is for have been seen by nobody yet.
_set = msgspec.structs.force_setattr

log = logging.getLogger("tocsin")


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What a publisher is told of one event.

    Attributes:
        id: the event's.
        recipients: how many open streams of this process it is for.
        is_duplicate: it was published before, under the same idempotency key, and now was not.
    """

    id: EventId
    recipients: int
    is_duplicate: bool = False


Receipts = Sequence[Receipt]
Answer = Callable[[Receipts | Exception], None]
"""Takes what came of an append: receipts in the order of the drafts, or why nothing was published."""


class AppendGroup:
    """What is appended together, and who waits for it.

    Attributes:
        appends: in the order of the calls.
        answers: one for each of them.
        bytes: of their data.
        received: Unix time at which the first of them came in, as far as the loop knows.
    """

    __slots__ = ("answers", "appends", "bytes", "received")

    def __init__(self) -> None:
        self.appends: list[Append] = []
        self.answers: list[Answer] = []
        self.bytes = 0
        self.received = 0.0


class Delivered(NamedTuple):
    """Events that were taken into the ring together, and for how many streams each of them is."""

    epoch: int
    first: int
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
        loop_lag: knows since when the loop is late.

    Attributes:
        ring: the window over the log; another one after each reset.
        fan_out: gets what was committed.
        ended: the topics that have ended by what was delivered; another object after each reset.
        polls: are woken by what was committed.
        end_of_turn: when what came in during a turn of the loop is handed to the journal, in one go.
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
        loop_lag: LoopLag,
    ) -> None:
        self._loop_lag = loop_lag
        self._settings = settings
        self._journal = journal
        self._counters = counters
        self._clock = clock
        self._monotonic = monotonic
        self._on_reset = on_reset
        self._take_up(Opening(EventId(0, 0)))
        self.fan_out = FanOut(
            counters,
            clock,
            lambda: self.ring.head,
            self.fail,
            lambda asked: self.ended.cover(asked),
        )
        self.polls = Polls(settings)
        self.draining = False
        self.end_of_turn = EndOfTurn()
        self._group = AppendGroup()  # of this turn
        self._being_handed: AppendGroup | None = None  # to the journal, which may tell at once
        self._waiting_bytes = 0  # of the groups before it whose publishers aren't told yet
        self._under_way = 0  # groups that the journal has
        self._delivered: deque[Delivered] = deque()  # since the oldest of them
        self._counts = 0  # of the events in it
        self._beyond_bytes = 0  # of what is kept of topics, as it was last told in the log

    async def start(self) -> None:
        """Open the journal, and fill the ring with its newest events.

        Raises:
            SettingsError: the journal can't be opened.
        """
        self._loop = asyncio.get_running_loop()
        self.failure = self._loop.create_future()
        window = Window(self._settings.window_events, self._settings.window_bytes)
        self._take_up(await self._journal.start(self._deliver, self._reset, window))

    async def stop(self) -> None:
        """Close the journal, when it has committed what is under way."""
        self._commit()
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

    @property
    def journal_status(self) -> str:
        """Empty while the journal would try an append, else one sentence that says why not."""
        return self._journal.status

    @property
    def history(self) -> History | None:
        """What the journal keeps beside the ring; None where the ring is all there is."""
        return self._journal.history

    @property
    def figures(self) -> Figures:
        """How the journal is."""
        return self._journal.figures

    @property
    def nodes(self) -> Nodes | None:
        """The other processes of the log; None where there can be none."""
        return self._journal.nodes

    def append(
        self, drafts: Sequence[Draft], once: Once | None, answer: Answer, received: float = 0.0
    ) -> None:
        """Append `drafts` to the log as one. `answer` is called later, once, and must not raise.

        What is asked for during a turn of the loop is handed to the journal in one go, at its end: an event
        in a group costs a third of one alone, and a journal on a disk writes them together.

        Args:
            drafts: at least one.
            once: the publisher's idempotency key; None if there is none.
            answer: told what came of it.
            received: Unix time at which they came in, in seconds; 0 is now, or since when the loop is late.

        Raises:
            Unavailable: nothing was published, and `answer` is not called.
        """
        group = self._group
        if not group.appends:
            if self.is_over:  # a journal that takes nothing says itself why, with its own status
                self._check_ready()
            self.end_of_turn.call(self._commit)
            group.received = self._clock() - self._loop_lag.late_s
        size = len(drafts[0].data)
        if len(drafts) > 1:
            size = sum([len(draft.data) for draft in drafts])
        if group.bytes + size + self._waiting_bytes > MAX_WAITING_BYTES:
            message = f"events of {MAX_WAITING_BYTES} bytes wait for the journal already"
            raise Unavailable(message, code="busy")
        group.bytes += size
        received = received or group.received
        for draft in drafts:
            _set(draft, "received", received)
        group.appends.append(Append(drafts, once))
        group.answers.append(answer)

    def _commit(self) -> None:
        """Hand the journal all that was asked for in this turn."""
        group, self._group = self._group, AppendGroup()
        if not group.appends:
            return
        self._under_way += 1
        self._waiting_bytes += group.bytes
        self._being_handed = group
        try:
            self._journal.append(group.appends, partial(self._on_told, group, perf_counter()))
        except Exception as error:
            self._end(group, error)
        self._being_handed = None

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
        """Evict what is too old, and say what else is gone; to be called about once a second."""
        expired = self.ring.expire(self._monotonic())
        if expired.is_behind:
            log.warning(
                "more of the history is too old than should be, and goes a minute's worth at a time",
                extra={"events": expired.events},
            )
        newest = (self.history or self.ring).kept_newest
        if newest is not None and newest.beyond_bytes != self._beyond_bytes:
            log.warning(
                "keep_newest_bytes is reached: the oldest that were kept of topics are gone",
                extra={
                    "events": newest.beyond_bytes - self._beyond_bytes,
                    "limit_bytes": newest.max_bytes,
                },
            )
            self._beyond_bytes = newest.beyond_bytes

    def _check_ready(self) -> None:
        # Each event asks: so `not_ready`, which says which it is, only where it is one of them.
        if self.draining or self._journal.status or self.failure.done():
            reason = self.not_ready
            raise Unavailable(NOT_READY[reason], code=reason, retry_after_s=2)

    def _deliver(self, events: Sequence[Event]) -> None:
        """Take committed events into the ring, and to the groups that they are for."""
        if not events or self.failure.done():
            return
        if self._journal.nodes is not None:
            # The journal's clock isn't this machine's. So deliveries are timed from when this process had the event.
            now = self._clock()
            for event in events:
                _set(event.draft, "received", now)
        try:
            entries = Entry.of_all(events)
            self.ring.append(entries, self._monotonic())
            recipients = self.fan_out.enqueue(entries)
            ended = ended_by(events)
            if ended:
                self._note_ended(ended)
            self.fan_out.start()
            self.polls.note(entries)
        except Exception as error:
            self.fail(error)
            raise
        if self._under_way:
            self._keep_counts(events[0].id, recipients)
        try:
            sizes = [len(entry.block) for entry in entries]
            self._counters.count_published(events, sizes, recipients)
        except Exception:  # the events are in the log, and their publisher is told so
            log.exception("counting failed, of what was published all the same")

    def _note_ended(self, ended: Sequence[Ended]) -> None:
        """These topics have ended by what was just given to the groups."""
        self.ended.add(ended)
        self._counters.topics_ended += len(ended)
        topics = [topic for topic, _ in ended]
        self.fan_out.note_ended(topics)
        self.polls.note_ended(topics)

    def _keep_counts(self, first: EventId, recipients: Sequence[int]) -> None:
        """Keep for how many streams each of these events is: a publisher will be told."""
        self._delivered.append(Delivered(first.epoch, first.seq, recipients))
        self._counts += len(recipients)
        # Several processes may write to one log, and nobody here waits for the events of the others.
        while self._counts > MAX_COUNTS and len(self._delivered) > 1:
            self._counts -= len(self._delivered.popleft().recipients)

    def _on_told(
        self, group: AppendGroup, began: float, result: Sequence[Outcome] | Exception
    ) -> None:
        """The journal knows what came of a group. Never raises: others wait for theirs behind it."""
        if isinstance(result, Exception):
            self._end(group, result)
            return
        self._counters.journal_commit_s.observe(perf_counter() - began)
        if self.fan_out.is_under_way and group is not self._being_handed:
            # Behind the first slice of the pass: where hundreds of publishers are told at once, streams would wait for all.
            self._loop.call_soon(self._tell_publishers, group, result)
        else:
            self._tell_publishers(group, result)

    def _tell_publishers(self, group: AppendGroup, outcomes: Sequence[Outcome]) -> None:
        """Tell the publishers of a group what came of it."""
        results: Sequence[Receipts | Exception] | Exception
        try:
            results = self._results(group, outcomes)
        except Exception as error:
            log.exception("the publishers of a group can't be told what came of it")
            results = error
        self._end(group, results)

    def _results(
        self, group: AppendGroup, outcomes: Sequence[Outcome]
    ) -> Sequence[Receipts | Exception]:
        """What each publisher of a group is told; what was accepted is counted."""
        accepted = [
            (append, outcome.ids)
            for append, outcome in zip(group.appends, outcomes, strict=True)
            if isinstance(outcome, Committed) and not outcome.is_duplicate
        ]
        self._count_accepted([append for append, _ in accepted])
        receipts = None
        if len(accepted) == len(outcomes):
            receipts = self._receipts_at_once([ids for _, ids in accepted])
        return receipts or [self._receipts(outcome) for outcome in outcomes]

    def _count_accepted(self, appends: Sequence[Append]) -> None:
        try:
            self._counters.count_accepted([draft for each in appends for draft in each.drafts])
        except Exception:  # as in `_deliver`
            log.exception("counting failed, of what was published all the same")

    def _receipts_at_once(self, groups: Sequence[Sequence[EventId]]) -> list[Receipts] | None:
        """The receipts of all appends of a group that was delivered as one and by itself, as most are; else None.

        They take 0.2 us a POST so, and 0.6 us where each publisher's are looked up.
        """
        if len(self._delivered) != 1:
            return None
        epoch, first, counts = self._delivered[0]
        ids = [id for each in groups for id in each]
        if len(ids) != len(counts) or ids[0] != (epoch, first):
            return None
        self._delivered.clear()
        self._counts = 0
        receipts = list(map(Receipt, ids, counts))
        if len(ids) == len(groups):
            return [(receipt,) for receipt in receipts]
        left = iter(receipts)
        return [list(islice(left, len(each))) for each in groups]

    def _receipts(self, outcome: Outcome) -> Receipts | Exception:
        if not isinstance(outcome, Committed):
            return outcome
        ids = outcome.ids
        if outcome.is_duplicate:
            self._counters.published_again += 1
            return [Receipt(id, 0, True) for id in ids]
        return list(map(Receipt, ids, self._recipients(ids)))

    def _recipients(self, ids: Sequence[EventId]) -> Sequence[int]:
        """For how many streams each of these events is, which follow one another; groups are told in order."""
        delivered, (epoch, first), wanted = self._delivered, ids[0], len(ids)
        while delivered and first >= delivered[0].first + len(delivered[0].recipients):
            self._counts -= len(delivered.popleft().recipients)
        if not delivered or delivered[0].epoch != epoch or first < delivered[0].first:
            return [0] * wanted
        at = first - delivered[0].first
        counts = delivered[0].recipients[at : at + wanted]
        if len(counts) == wanted:
            return counts
        rest = ids[len(counts) :]  # it was delivered in two parts
        return [*counts, *self._recipients(rest)]

    def _end(self, group: AppendGroup, results: Sequence[Receipts | Exception] | Exception) -> None:
        """Answer each publisher of a group: with its own result, or all with the same error."""
        self._under_way -= 1
        self._waiting_bytes -= group.bytes
        if not self._under_way:
            self._delivered.clear()
            self._counts = 0
        if isinstance(results, Exception):
            self._counters.journal_errors += isinstance(results, Unavailable)
            results = [results] * len(group.answers)
        for answer, result in zip(group.answers, results, strict=True):
            try:
                answer(result)
            except Exception:  # a bug, of which the other publishers must not suffer
                log.exception("a publisher was not told what came of its events")

    def _reset(self, opening: Opening) -> None:
        """Take up another log, which began while running, or the same one behind a hole."""
        reason = "hole" if opening.floor.epoch == self.ring.epoch else "new_log"
        self._counters.journal_resets[reason] += 1
        log.warning("every stream is ended, and resumes", extra={"reason": reason})
        self._take_up(opening)
        self.fan_out.forget()
        self.polls.wake_all()
        self._on_reset()

    def _take_up(self, opening: Opening) -> None:
        self.ring = self._new_ring(opening)
        self.ended = EndedTopics(self._settings.ended_topics, opening.ended)

    def _new_ring(self, opening: Opening) -> RingBuffer:
        ring = RingBuffer(
            opening.floor.epoch,
            max_events=self._settings.window_events,
            max_bytes=self._settings.window_bytes,
            max_age_s=self._settings.history_age,
            remembered_evictions=self._settings.remembered_evictions,
            # What a journal keeps itself leaves the window, and is not gone.
            retention=None if self.history else retention_of(self._settings),
        )
        ring.start_at(opening.floor.seq)
        entries = [Entry.of(event) for event in opening.events]
        ring.load(entries, self._monotonic(), wall=self._clock())
        return ring
