"""Pages of the history: from the window in memory, and what is behind it from the journal.

A page is all of one log, whatever begins while it is made.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from time import monotonic

import msgspec

from tocsin.core.event import EventId
from tocsin.core.filters import Filter
from tocsin.eventlog.journal import History
from tocsin.eventlog.recent import Recent
from tocsin.eventlog.resume import Gap, resolve
from tocsin.eventlog.ring import Entry, RingBuffer
from tocsin.hub.history_reads import committed, near
from tocsin.hub.hub import Hub

PAGE_BYTES = 1024 * 1024
"""Encoded bytes after which a page ends, whatever its `limit`: one event more at most."""

READ_BYTES = 64 * 1024
"""Of events that are read from the journal at once: encoding them takes a millisecond of the loop."""

READ_ENTRIES = 200
"""Of the window that are taken at once."""

PAGE_S = 5.0
"""Seconds of reading after which a page ends: a filter may let next to nothing through of a long history.

Reads wait for their turn between those of others, so that is what a request costs at most, and one piece more."""


class Page(msgspec.Struct, frozen=True):
    """A part of a log.

    Attributes:
        ring: the window over the log.
        entries: in the log's order.
        more: whether others that match are kept, behind these or left out of them, or may be.
        cursor: the seq that a page begins after to go on; None for the newest page.
        gap: what is missing before these.
        end: the seq to go on after, to get what comes next; for a page after an id its cursor.
        is_before: whether it was asked for by the id that it ends before.
        previous: the seq to ask before, to get what comes before such a page, or before a newest one that ended
            before it was full; None where nothing is kept.
    """

    ring: RingBuffer
    entries: list[Entry]
    more: bool
    cursor: int | None = None
    gap: Gap | None = None
    end: int = 0
    is_before: bool = False
    previous: int | None = None

    @property
    def has_nothing(self) -> bool:
        """Whether there is nothing to tell a client that would rather wait."""
        return not self.entries and self.gap is None and not self.more


class HistoryPages:
    """Makes pages of what a hub keeps. Each raises Unavailable where the journal can't be read now."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def newest(self, filter: Filter, limit: int) -> Page:
        """The newest entries."""
        ring = self._hub.ring
        head = ring.head
        entries, previous = await self._search_back(ring, filter, limit, head + 1)
        if len(entries) == limit:
            previous = None
        return Page(ring, entries, previous is not None, end=head, previous=previous)

    async def before(self, before: EventId, filter: Filter, limit: int) -> Page:
        """The newest entries with an id below `before`."""
        ring = self._hub.ring
        end = ring.head + 1
        if before <= ring.id_at(ring.head):
            end = before.seq if before.epoch == ring.epoch else 0
        entries, previous = await self._search_back(ring, filter, limit, end)
        is_more = previous is not None
        return Page(ring, entries, is_more, end=max(end - 1, 0), is_before=True, previous=previous)

    async def _search_back(
        self, ring: RingBuffer, filter: Filter, limit: int, end: int
    ) -> tuple[list[Entry], int | None]:
        """The newest `limit` entries below `end`, and the seq to ask before, to get what is older; None where nothing is.

        Fewer where they pass `PAGE_BYTES`, or took `PAGE_S`, or where one look at the window isn't enough and there is no
        journal, whose reads have turns. One look at each it always is, so that who goes on comes to the end.
        """
        ends_at = monotonic() + PAGE_S
        entries, before = ring.before(end, filter, limit, max_bytes=PAGE_BYTES)
        room = PAGE_BYTES - size(entries)
        while len(entries) < limit and room > 0 and self._may_be_behind(ring, before, filter):
            found, before = await self._read_back(ring, before, filter, limit - len(entries), room)
            entries = found + entries
            room -= size(found)
            if monotonic() >= ends_at:
                break
        if self._may_be_kept(ring, before, filter):
            return entries, before
        older, previous = self._before_floor(ring, entries, filter, limit, end)
        return older + entries, previous

    async def _read_back(
        self, ring: RingBuffer, before: int, filter: Filter, limit: int, room: int
    ) -> tuple[list[Entry], int]:
        """What the journal finds below `before` by one look, and the seq that it came to; 0 where a new log began."""
        page = await self._hub.history_reads.newest(filter, limit, max_bytes=room, before=before)
        if self._hub.ring is not ring or any(e.id.epoch != ring.epoch for e in page.events):
            return [], 0  # of that log, there is what the ring has
        return Entry.of_all(page.events), page.before

    def _may_be_behind(self, ring: RingBuffer, before: int, filter: Filter) -> bool:
        """Whether the journal may have something below `before`."""
        kept = self.kept(ring)
        return (
            kept is not ring and before > kept.floor + 1 and self._may_be_kept(ring, before, filter)
        )

    def _may_be_kept(self, ring: RingBuffer, before: int, filter: Filter) -> bool:
        """Whether something below `before` may be kept, but for what stays below the log."""
        floor = self.kept(ring).floor
        if before > ring.floor + 1:
            return True
        return before > floor + 1 and ring.has_lost(floor, filter)

    def _before_floor(
        self, ring: RingBuffer, entries: Sequence[Entry], filter: Filter, limit: int, end: int
    ) -> tuple[list[Entry], int | None]:
        """What stays below the log and comes before `entries`, or before `end` where there are none.

        With them they are `limit` at most. The seq is the one to ask before, to get what is older; None where nothing is.
        """
        newest = self.kept(ring).kept_newest
        end = entries[0].seq if entries else end
        left, room = limit - len(entries), PAGE_BYTES - size(entries)
        if newest and left > 0 and room > 0:
            return newest.before(end, filter, left, room)
        oldest = newest.oldest if newest else None
        return [], end if oldest is not None and oldest < end else None

    async def recent(self, filter: Filter, per_topic: int, limit: int) -> Page:
        """The newest entries of each topic; of these the newest, where they are too many for one page."""
        ring = self._hub.ring
        recent_events = self._hub.recent_events
        selection = await recent_events.search(filter, Recent(per_topic=per_topic))
        seqs = (selection.seqs or ())[-limit:]
        is_cut = selection.is_truncated or len(seqs) < selection.count
        entries: list[Entry] = []
        cursor, room = selection.cursor, PAGE_BYTES
        while seqs and cursor < seqs[-1]:
            found, cursor = await self._next_selected(ring, filter, seqs, cursor)
            entries += found
            room -= size(found)
            while room < 0 and len(entries) > 1:
                is_cut = True
                room += len(entries.pop(0).block)
        return Page(ring, entries, is_cut, end=selection.end)

    async def _next_selected(
        self, ring: RingBuffer, filter: Filter, seqs: Sequence[int], cursor: int
    ) -> tuple[Sequence[Entry], int]:
        """The entries of some of `seqs`, the first after `cursor`, and the cursor behind them; what is gone is left out."""
        at, newest = bisect_right(seqs, cursor), self.kept(ring).kept_newest
        if seqs[at] > ring.floor or (newest and newest.get(seqs[at])):
            some = seqs[at : at + READ_ENTRIES]
            if seqs[at] <= ring.floor:
                some = some[: bisect_right(some, self.kept(ring).floor)]
            found = [ring.kept(seq) or (newest and newest.get(seq)) for seq in some]
            return [entry for entry in found if entry], some[-1]
        some = near(seqs, cursor, ring.floor)
        if self._is_lost(ring, some[0] - 1, filter):
            return (), some[-1]
        events = await self._hub.history_reads.picked(ring, filter, some)
        return Entry.of_all(events), events[-1].id.seq if events else some[-1]

    async def after(self, after: str, filter: Filter, limit: int) -> Page:
        """At most `limit` entries after the id `after`; the loop has its turn between two looks at the log."""
        ring, ends_at = self._hub.ring, monotonic() + PAGE_S
        resume = resolve(after, ring, filter, self._hub.history)
        cursor = resume.cursor
        entries: list[Entry] = []
        room = PAGE_BYTES
        while cursor < ring.head and len(entries) < limit and room > 0 and monotonic() < ends_at:
            if cursor > resume.cursor:
                await asyncio.sleep(0)
                if self._is_lost(ring, cursor, filter):  # who asks for what is behind is told
                    break
            found, end = await self._next(ring, cursor, filter, limit - len(entries), room)
            if end <= cursor:
                break
            entries += found
            room -= size(found)
            cursor = end
        is_more = self._is_more(ring, cursor, filter)
        return Page(ring, entries, is_more, cursor, resume.gap, cursor)

    def after_at_once(self, after: str, filter: Filter, limit: int) -> Page | None:
        """The page that `after` makes; None where one look at what is in memory isn't enough."""
        ring = self._hub.ring
        resume = resolve(after, ring, filter, self._hub.history)
        found: tuple[Sequence[Entry], int] | None = (), resume.cursor
        if resume.cursor < ring.head:
            found = self._next_here(ring, resume.cursor, filter, limit, PAGE_BYTES)
        if found is None:
            return None
        entries, end = list(found[0]), found[1]
        if resume.cursor < end < ring.head and len(entries) < limit and size(entries) < PAGE_BYTES:
            return None
        is_more = self._is_more(ring, end, filter)
        return Page(ring, entries, is_more, end, resume.gap, end)

    async def _next(
        self, ring: RingBuffer, cursor: int, filter: Filter, limit: int, room: int
    ) -> tuple[Sequence[Entry], int]:
        """What one look finds after `cursor`, and the cursor behind it; the same cursor if it is lost."""
        found = self._next_here(ring, cursor, filter, limit, room)
        if found:
            return found
        page = await self._hub.history_reads.read(
            cursor, filter, max_events=limit, max_bytes=min(room, READ_BYTES)
        )
        if self._is_lost(ring, cursor, filter):
            return (), cursor
        below = self._next_below_floor(ring, cursor, filter, limit, room)
        if below:  # it left the history while that was read
            return below
        events, end = committed(page, ring)
        return Entry.of_all(events), end

    def _next_here(
        self, ring: RingBuffer, cursor: int, filter: Filter, limit: int, room: int
    ) -> tuple[Sequence[Entry], int] | None:
        """The same; None where the journal has to be read for it."""
        below = self._next_below_floor(ring, cursor, filter, limit, room)
        if below or (self._hub.history and ring.has_lost(cursor, filter)):
            return below
        reading = ring.read(cursor, filter, max_bytes=room, max_events=limit)
        return reading.entries, reading.cursor

    def _next_below_floor(
        self, ring: RingBuffer, cursor: int, filter: Filter, limit: int, room: int
    ) -> tuple[Sequence[Entry], int] | None:
        """What comes next after `cursor` of what stays below the log, and the cursor behind it; None where nothing does."""
        kept = self.kept(ring)
        if cursor >= kept.floor or not kept.kept_newest:
            return None
        entries, looked_to = kept.kept_newest.read(cursor, filter, max_bytes=room, max_events=limit)
        if not entries and looked_to is None:
            return None
        return entries, kept.floor if looked_to is None else looked_to

    def kept(self, ring: RingBuffer) -> History | RingBuffer:
        """All that is kept of the log of `ring`; of an earlier log, only `ring` is known."""
        history = self._hub.history
        return history if history and self._hub.ring is ring else ring

    def _is_lost(self, ring: RingBuffer, cursor: int, filter: Filter) -> bool:
        """Whether something after `cursor` is gone, or the log of `ring` is."""
        if self._hub.ring is not ring:
            return self._hub.history is not None or ring.has_lost(cursor, filter)
        return (self._hub.history or ring).has_lost(cursor, filter)

    def _is_more(self, ring: RingBuffer, cursor: int, filter: Filter) -> bool:
        """Whether something after `cursor` is kept, or nobody knows that none is."""
        kept = self.kept(ring)
        newest, floor = kept.kept_newest, kept.floor
        if newest and newest.clear_to(cursor, filter, floor) < floor:
            return True
        if self._hub.history and ring.has_lost(cursor, filter):
            return True
        return ring.count(cursor, filter) != 0


def size(entries: Sequence[Entry]) -> int:
    """Of these as they are encoded, in bytes."""
    return sum([len(entry.block) for entry in entries])
