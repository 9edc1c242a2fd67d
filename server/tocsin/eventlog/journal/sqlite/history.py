"""What the file keeps, as the loop knows it, and the readings of it."""

from __future__ import annotations

import asyncio
import logging

from tocsin.core.event import Event
from tocsin.core.filters import Filter
from tocsin.errors import Unavailable
from tocsin.eventlog.entry import Entry
from tocsin.eventlog.evictions import Evictions
from tocsin.eventlog.journal.base import Page, PageBefore
from tocsin.eventlog.journal.sqlite.damage import Damaged
from tocsin.eventlog.journal.sqlite.kept_newest import NO_CHANGE, Change
from tocsin.eventlog.journal.sqlite.outage import MOST_DETAIL
from tocsin.eventlog.journal.sqlite.reader import Reader
from tocsin.eventlog.journal.sqlite.store import Evicted
from tocsin.eventlog.kept_newest import KeptNewest

log = logging.getLogger("tocsin")

NEWEST_ROWS = 200_000
"""Events that a search for the newest looks at: 40 ms in the reader's thread."""

TELL_TURNS = 2_000
"""Milliseconds, at least, that an eviction may take from the file to the loop."""


class SqliteHistory:
    """The log in the file, up to what was delivered. All of it is called on the loop.

    Args:
        reader: reads the file.
        evictions: of the log.
        floor: the newest seq that was evicted, or lies before damage that was met.
        head: the newest seq that was delivered.
        kept_newest: takes what stays of that which is evicted; None where nothing does.

    Attributes:
        bytes: of the records kept.
        oldest_time: Unix time of the oldest event kept, in seconds; None where none is.
    """

    may_be_ahead = False

    def __init__(
        self,
        reader: Reader,
        evictions: Evictions,
        floor: int,
        head: int,
        kept_newest: KeptNewest | None = None,
    ) -> None:
        self.kept_newest: KeptNewest | None = kept_newest
        self._reader = reader
        self._evictions = evictions
        self._damaged_to = 0
        self.floor = floor
        self.head = head
        self.bytes = 0
        self.oldest_time: float | None = None

    @property
    def events(self) -> int:
        """How many are kept."""
        return self.head - self.floor

    def note(
        self, head: int, floor: int, bytes: int, oldest_time: float | None, evicted: Evicted
    ) -> None:
        """Take over what a transaction has come to, and what it evicted."""
        self.head, self.bytes, self.oldest_time = head, bytes, oldest_time
        self.floor = max(floor, self._damaged_to)
        self._evictions.forgotten = max(self._evictions.forgotten, evicted.unknown_to)
        if evicted.pairs:
            self._evictions.remember(evicted.pairs, several=False)
        change = evicted.change
        if self.kept_newest is not None and change is not NO_CHANGE:
            removed = self.kept_newest.apply(
                Entry.of_all(change.added) if change.added else (),
                change.removed,
                bytes=change.bytes,
                beyond_bytes=change.beyond_bytes,
            )
            self._evictions.remember_late(removed)

    def changed_to(self, evicted: Evicted) -> Evicted:
        """What has changed, where all that stays now is in `evicted`: the file may be ahead of what was told."""
        newest, change = self.kept_newest, evicted.change
        if newest is None:
            return evicted
        staying = {event.id.seq for event in change.added}
        added = [event for event in change.added if newest.get(event.id.seq) is None]
        removed = [seq for seq in newest.seqs if seq not in staying]
        return Evicted(evicted.pairs, Change(added, removed, change.bytes))

    def has_lost(self, seq: int, filter: Filter) -> bool:
        """Whether a stream of `filter` at `seq` has lost something for good; in doubt it has."""
        if seq >= self.floor:
            return False
        if filter.is_everything:
            return self.kept_newest is None or seq < self._evictions.last
        return self._evictions.has_lost(seq, filter)

    def _pass(self, damaged: Damaged) -> None:
        """Count as gone what lies before damage, and what of it is for whom.

        Raises:
            Unavailable: it does already, and the file can't be read all the same.
        """
        if damaged.to <= self.floor:
            raise Unavailable("the journal's file is damaged", code="journal_down")
        log.error(
            "the journal's file is damaged: what lies before that counts as gone; `tocsin journal check` says more",
            extra={
                "up_to": damaged.to,
                "events": damaged.to - self.floor,
                "error": str(damaged)[:MOST_DETAIL],
            },
        )
        self._damaged_to = damaged.to
        self.floor = max(self.floor, damaged.to)
        self._evictions.forgotten = max(self._evictions.forgotten, damaged.to)

    async def read(self, after: int, filter: Filter, *, max_events: int, max_bytes: int) -> Page:
        """Events after `after`, oldest first.

        What is evicted while it is read is missing from the page. Then `floor` is beyond `after` when the
        page is here, and `has_lost` says whether it matters.

        Raises:
            Unavailable: the file can't be read now.
        """
        try:
            found = await self._reader.read(
                max(after, self._damaged_to),
                self.head,
                filter,
                max_events=max_events,
                max_bytes=max_bytes,
            )
        except Damaged as damaged:
            self._pass(damaged)
            return Page((), max(after, self.floor))
        await self._told_of(found.floor)
        return Page(found.events, found.cursor)

    async def newest(
        self, filter: Filter, count: int, *, max_bytes: int, before: int
    ) -> PageBefore:
        """The newest `count` events with a seq below `before`, oldest first; of those in `NEWEST_ROWS`.

        Fewer where they pass `max_bytes`, which the oldest of them may. What is evicted while it is read may be
        missing; then `floor` is beyond it when the page is here.

        Raises:
            Unavailable: the file can't be read now.
        """
        found: list[Event] = []
        room = max_bytes
        before = min(before, self.head + 1)
        last = max(self.floor, before - 1 - NEWEST_ROWS)
        while before - 1 > last and len(found) < count and room > 0:
            try:
                some = await self._reader.newest(
                    before, self.floor, filter, max_events=count - len(found), max_bytes=room
                )
            except Damaged as damaged:
                self._pass(damaged)
                last = max(last, self.floor)
                continue
            found = [*some.events, *found]
            room -= some.bytes
            before = some.before
            if before <= some.floor + 1:  # the end of the file, which may be ahead of what was told
                await self._told_of(some.floor)
                break
        return PageBefore(found, before)

    async def _told_of(self, floor: int) -> None:
        """Wait until the loop knows of the evictions up to `floor`, which the reader has seen.

        It is about to, unless the journal failed at that very moment; then it is when it has recovered.

        Raises:
            Unavailable: it isn't told.
        """
        for _ in range(TELL_TURNS):
            if floor <= self.floor:
                return
            await asyncio.sleep(0.001)
        raise Unavailable("the journal's file can't be read now", code="journal_down")
