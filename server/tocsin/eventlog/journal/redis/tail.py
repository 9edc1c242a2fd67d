"""The one reader of the log on a node: everything that this node delivers comes from here, in the log's order.

It waits for events on a link of its own, and looks at the log once a second, also when nothing comes: a Redis that
was emptied, or is behind, makes no sound. What it finds then is a new log, or a hole where events were trimmed before
this node read them; both are a reset: the streams end, come back, and are told of the gap.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from time import monotonic

from tocsin.core.event import Event, EventId
from tocsin.core.record import RecordError
from tocsin.eventlog.journal.base import Deliver, Opening, Reset, Window
from tocsin.eventlog.journal.redis.entries import Stored
from tocsin.eventlog.journal.redis.history import RedisHistory
from tocsin.eventlog.journal.redis.link import RedisFault
from tocsin.eventlog.journal.redis.script import Head, State, UnusableLog
from tocsin.eventlog.journal.redis.store import Store

LOOK_S = 1.0
"""Seconds between two looks at the log."""

WAITING_LOOK_S = 0.25
"""The same while Redis waits for all nodes to look."""

TIMEOUT_S = 3.0
"""After so long without an answer Redis is taken for gone."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.8
"""Before the first and before a later try to reach it again: doubled from one to the other, and jittered."""

WINDOW_PIECE = 250
"""Events of the window that are read at once."""

WAITS = "Redis is another one than before, and takes events when all nodes had two seconds to look at it"

log = logging.getLogger("tocsin")


class Tail:
    """Follows the log.

    Args:
        store: where it is.
        history: is told of all that goes by.
        on_moved: called after each delivery, each reset, and each look or failed try.
        look_s: seconds between two looks at the log.

    Attributes:
        head: how far this node has read and delivered.
        fault: why the log can't be followed now, or takes no events; empty if all is well.
        is_full: whether that is for want of memory.
        lag_events: by how much the log was further than this node, at the last look.
        reconnects: how often Redis was lost and found again.
        holes: how often events were gone before this node read them.
        link: the link it reads on.
    """

    def __init__(
        self,
        store: Store,
        history: RedisHistory,
        on_moved: Callable[[], None],
        look_s: float = LOOK_S,
    ) -> None:
        self.head = Head()
        self.fault = "the journal is not started"
        self.is_full = False
        self.lag_events = 0
        self.reconnects = 0
        self.holes = 0
        self._looked_at = 0.0
        self.link = store.link(TIMEOUT_S)
        self._store = store
        self._history = history
        self._on_moved = on_moved
        self._look_s = look_s
        self._deliver: Deliver
        self._reset: Reset
        self._window: Window

    async def open(self, deliver: Deliver, reset: Reset, window: Window) -> Opening:
        """Take up the log, and return its newest events.

        Raises:
            RedisFault, UnusableLog, RecordError: it can't be.
        """
        self._deliver, self._reset, self._window = deliver, reset, window
        opening = await self._take_up(await self._store.look(self.link, self.head))
        self.fault = ""
        self._looked_at = monotonic()
        return opening

    @property
    def age_s(self) -> float:
        """Seconds since this node last saw how far the log is; 0 before it was opened."""
        return monotonic() - self._looked_at if self._looked_at else 0.0

    async def follow(self) -> None:
        """Deliver what comes, until cancelled; what goes wrong is tried again."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._look()
                is_waited_for = self.fault and not self.is_full
                await self._read_for(WAITING_LOOK_S if is_waited_for else self._look_s)
                pause_s = FIRST_PAUSE_S
                continue
            except (RedisFault, UnusableLog, RecordError) as error:
                self._fail(str(error))
            except Exception:  # a bug; the hub says so too if it is one of delivering
                log.exception("following the log in Redis failed")
                self._fail("following the log in Redis failed")
            await self.link.close()
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _fail(self, fault: str, *, is_full: bool = False) -> None:
        if fault != self.fault:
            _say(f"down: {fault}")
        self.fault, self.is_full = fault, is_full
        self._on_moved()

    async def _look(self) -> None:
        """See whether the log is still the same; take up another one."""
        state = await self._store.look(self.link, self.head)
        while state.head.epoch != self.head.id.epoch or state.floor > self.head.id.seq:
            await self._begin_anew(state)
            state = await self._store.look(self.link, self.head)
        self._history.note(state)
        self._looked_at = monotonic()
        self.lag_events = state.head.seq - self.head.id.seq
        if state.verdict == "waits":
            self._fail(WAITS)
            return
        full = await self._why_full()
        if full:
            self._fail(full, is_full=True)
            return
        if self.fault:
            self.reconnects += 1
            _say("up again")
        self.fault, self.is_full = "", False
        self._on_moved()

    async def _why_full(self) -> str:
        """Why Redis would take no events for want of memory; empty where it would. A look alone is answered all the same."""
        try:
            await self._store.try_append(self.link, self.head)
        except RedisFault as fault:
            if not fault.is_full:
                raise
            return str(fault)
        return ""

    async def _read_for(self, seconds: float) -> None:
        """Deliver what comes in that time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left_s := until - loop.time()) > 0:
            block_ms = max(int(left_s * 1000), 1)  # 0 would be for ever
            stored = await self._store.follow(
                self.link, self.head.id, self._history.piece(), block_ms
            )
            if stored and not self._take(stored):
                await self._begin_anew(await self._store.look(self.link, self.head))

    def _take(self, stored: Sequence[Stored]) -> bool:
        """Deliver these; False if they aren't the next ones.

        Raises:
            RecordError: this version can't read one. Those before it are delivered.
        """
        epoch, seq = self.head.id
        events: list[Event] = []
        try:
            for each in stored:
                if each.id != (epoch, seq + 1):
                    return False
                events.append(each.event())
                seq += 1
        except RecordError as error:
            raise RecordError(f"event {EventId(epoch, seq + 1)} is {error}; update it") from None
        finally:
            if events:
                self._deliver(events)
                self._history.add(events)
                self.head = Head(events[-1].id, stored[len(events) - 1].time)
                self._on_moved()
        return True

    async def _begin_anew(self, state: State) -> None:
        """Take up the log as it is now, which doesn't go on where this node was."""
        if state.head.epoch == self.head.id.epoch:
            self.holes += 1
            log.warning(
                "events were trimmed before this node read them", extra={"floor": state.floor}
            )
        else:
            log.warning(
                "another log is in Redis: it was emptied, is behind what was read,"
                " or was restarted while no hub ran"
            )
        self._reset(await self._take_up(state))
        self._on_moved()

    async def _take_up(self, state: State) -> Opening:
        """Read the window of the log that a look has shown, and go on from its head."""
        events, time = await self._read_window(state)
        # Those that have ended since come with their final events.
        ended = [
            each
            for each in await self._store.read_ended(self.link)
            if each[1].seq <= state.head.seq
        ]
        self._history.begin(state, events)
        self.head = Head(state.head, time)
        epoch, seq = state.head
        return Opening(EventId(epoch, seq - len(events)), events, ended)

    async def _read_window(self, state: State) -> tuple[Sequence[Event], int | None]:
        """The newest events that fit into the window, up to the head without a hole; the time of the newest.

        Raises:
            RecordError: this version can't read one of them.
        """
        events: list[Event] = []  # the newest first
        time: int | None = None
        size, epoch, place = 0, state.head.epoch, state.head.seq
        while place > state.floor and len(events) < self._window.events:
            count = min(WINDOW_PIECE, self._window.events - len(events))
            first = EventId(epoch, state.floor + 1)
            piece = await self._store.read_back(self.link, EventId(epoch, place), first, count)
            for each in piece:
                size += len(each.record)
                if each.id.seq != place or (events and size > self._window.bytes):
                    return events[::-1], time
                time = each.time if time is None else time
                events.append(each.event())  # here, so that the loop gets its turn between pieces
                place -= 1
            if not piece:
                break
        return events[::-1], time

    def __repr__(self) -> str:
        return f"Tail(head={self.head.id}, fault={self.fault!r}, holes={self.holes})"


def _say(what: str) -> None:
    # One text for both: the log bounds the lines of a text, and would else keep "up again" and hold back "down".
    log.warning("the journal is %s", what)
