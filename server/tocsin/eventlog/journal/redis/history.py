"""What Redis keeps of the log, also behind the window in memory: read in pieces, on links of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tocsin.core.event import Event, EventId
from tocsin.core.filters import Filter
from tocsin.core.record import RecordError
from tocsin.errors import Unavailable
from tocsin.eventlog.journal.base import Page, PageBefore
from tocsin.eventlog.journal.redis.link import Link, RedisFault
from tocsin.eventlog.journal.redis.passed import Passed
from tocsin.eventlog.journal.redis.script import MICROSECOND, State
from tocsin.eventlog.journal.redis.store import Store

PIECE = 250
"""Events that are asked for at once: a millisecond of the loop."""

PIECE_BYTES = 512 * 1024
"""About so many bytes are asked for at once, as the mean of the log's events says."""

SCAN_LIMIT = 4_000
"""Events that one read looks at."""

SCAN_PIECES = SCAN_LIMIT // PIECE
"""Pieces that one search back reads: of large events fewer than `SCAN_LIMIT`, of small ones in 17 ms."""

EARLY_LOOKS = 2
"""Where the log is trimmed all the time, what goes within so many looks is counted as gone already. A node hears of it when
it looks, so a reader could else be let begin where nothing is any more, each time that it comes back."""

STEADY_LOOKS = 3
"""So many looks in a row have shown the floor higher where the log is trimmed all the time."""

LINKS = 4
"""Reads that are under way at once; the others wait for their turn."""

TIMEOUT_S = 5.0


class RedisHistory:
    """The log of one epoch, as far as this node has read it.

    Attributes:
        may_be_ahead: an id that this node hasn't read yet may be one that another node gave.
        floor: the newest seq that left the log, or does within the time of `EARLY_LOOKS`.
        head: the newest seq that this node has delivered.
        bytes: of all events kept, as the last look said.
        oldest_time: Unix time of the oldest event kept, as the last look said; None if there is none.
    """

    may_be_ahead = True
    kept_newest = None

    def __init__(self, store: Store, remembered_evictions: int) -> None:
        self._store = store
        self._remembered_evictions = remembered_evictions
        self._passed = Passed(0, remembered_evictions)
        self._epoch = 0
        self._trimmed = 0  # the floor as the last look showed it
        self._steps = deque([0], STEADY_LOOKS)  # by how much the last looks showed it higher
        self.head = 0
        self.bytes = 0
        self.oldest_time: float | None = None
        self._turns = asyncio.Semaphore(LINKS)
        self._idle: list[Link] = []

    # --- what the tail says -----------------------------------------------------------------------

    def begin(self, state: State, events: Sequence[Event]) -> None:
        """Take up the log as it is now; of its newest events it is known what they are."""
        self._epoch, self.head = state.head
        self._trimmed = state.floor
        self._steps = deque([0], STEADY_LOOKS)
        self._passed = Passed(state.floor, self._remembered_evictions)
        self._passed.skip(self.head - len(events))
        self._passed.add(events)
        self.note(state)

    def add(self, events: Sequence[Event]) -> None:
        """Note the next events."""
        self._passed.add(events)
        self.head = events[-1].id.seq

    def note(self, state: State) -> None:
        """Note what a look has shown of the same log."""
        if state.head.epoch != self._epoch:
            return
        self._steps.append(state.floor - self._trimmed)
        self._trimmed = state.floor
        # Half of what is kept at most: it may have been a burst, after which little goes for long.
        early = min(EARLY_LOOKS * min(self._steps), (self.head - state.floor) // 2)
        self._passed.let_go(min(state.floor + early, self.head))
        self.bytes = state.bytes
        self.oldest_time = state.oldest * MICROSECOND if state.oldest else None

    # --- what the hub asks ------------------------------------------------------------------------

    @property
    def floor(self) -> int:
        """The newest seq that left the log, as far as this node knows, or does soon; 0 before any."""
        return self._passed.floor

    @property
    def events(self) -> int:
        """How many are kept."""
        return self.head - self.floor

    def piece(self, max_bytes: int = PIECE_BYTES) -> int:
        """How many events to ask for at once, where they are to have about `max_bytes`."""
        mean = self.bytes // self.events if self.events else 0
        return max(min(PIECE, max_bytes // mean if mean else PIECE), 1)

    def has_lost(self, seq: int, filter: Filter) -> bool:
        """Whether something that `filter` lets through left the log after `seq`; errs on the side of yes.

        Of what was in the log before this node started, and not in its window, nobody here knows what it was.
        """
        return self._passed.has_lost(seq, filter)

    async def read(self, after: int, filter: Filter, *, max_events: int, max_bytes: int) -> Page:
        """At most `max_events` after `after`, oldest first; ends behind the one that fills `max_bytes`, too.

        If some of it left the log meanwhile, `floor` is raised before this returns.

        Raises:
            Unavailable: Redis can't be read, or another log began.
        """
        found: list[Event] = []
        size, cursor, looked, head = 0, max(after, self.floor), 0, self.head
        # What is read and not wanted would be read again for the next page.
        room = min(max_bytes, PIECE_BYTES) if filter.is_everything else PIECE_BYTES
        async with self._reading() as link:
            while cursor < head and looked < SCAN_LIMIT:
                first, last = EventId(self._epoch, cursor + 1), EventId(self._epoch, head)
                piece = await self._store.read(link, first, last, self.piece(room))
                self._check_epoch(first.epoch)
                found_first = piece[0].id.seq if piece else head + 1
                if found_first > cursor + 1:  # what lies between left since the last look
                    self._passed.let_go(found_first - 1)
                for stored in piece:
                    event, cursor = stored.event(), stored.id.seq
                    if _lets_through(filter, event):
                        found.append(event)
                        size += len(stored.record)
                        if len(found) == max_events or size >= max_bytes:
                            return Page(found, cursor)
                looked += len(piece)
                if not piece:
                    return Page(found, head)
        return Page(found, cursor)

    async def newest(
        self, filter: Filter, count: int, *, max_bytes: int, before: int
    ) -> PageBefore:
        """The newest `count` with a seq below `before`, oldest first; of those in `SCAN_PIECES`, and `max_bytes`.

        Raises:
            Unavailable: as for `read`.
        """
        found: list[Event] = []
        size = pieces = 0
        epoch, last = self._epoch, min(before - 1, self.head)
        async with self._reading() as link:
            while last > self.floor and pieces < SCAN_PIECES:
                piece = await self._store.read_back(
                    link, EventId(epoch, last), EventId(epoch, self.floor + 1), self.piece()
                )
                self._check_epoch(epoch)
                for stored in piece:
                    event = stored.event()
                    if _lets_through(filter, event):
                        found.append(event)
                        size += len(stored.record)
                        if len(found) == count or size >= max_bytes:
                            return PageBefore(found[::-1], stored.id.seq)
                if not piece:  # what lay there left since the last look
                    last = self.floor
                    break
                last, pieces = piece[-1].id.seq - 1, pieces + 1
        return PageBefore(found[::-1], last + 1)

    async def close(self) -> None:
        """Close the links."""
        while self._idle:
            await self._idle.pop().close()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Link]:
        """A link for one read; what goes wrong with it is `Unavailable`."""
        async with self._turns:
            link = self._idle.pop() if self._idle else self._store.link(TIMEOUT_S)
            try:
                yield link
            except (RedisFault, RecordError) as error:
                raise Unavailable(str(error), code="journal_down", retry_after_s=2) from None
            finally:
                self._idle.append(link)

    def _check_epoch(self, epoch: int) -> None:
        if epoch != self._epoch:
            raise Unavailable("another log began", code="journal_down", retry_after_s=1)


def _lets_through(filter: Filter, event: Event) -> bool:
    draft = event.draft
    return filter.matches(draft.topic, draft.type, draft.more_topics)
