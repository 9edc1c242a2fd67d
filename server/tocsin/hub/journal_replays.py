"""Streams whose next events left the window: these are read from the journal, piece by piece.

A stream waits at a *place*: its cursor, its group, and what of the log was selected for it. The places are served in
the order in which they came up, one piece each, and then their streams queue again: so nobody waits for somebody
else's whole replay.
Streams at the same place share the read and its piece. What is under way is bounded, and nothing is read ahead.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from tocsin.core.event import Event
from tocsin.core.filters import Filter
from tocsin.errors import Unavailable
from tocsin.eventlog.entry import Entry
from tocsin.eventlog.recent import Selection
from tocsin.hub.group import PIECE_BYTES, Group, Piece, times_of
from tocsin.hub.history_reads import HistoryReads, committed, near
from tocsin.hub.publishing import Publishing
from tocsin.hub.replay_cache import ReplayCache
from tocsin.hub.states import State
from tocsin.hub.stream import Stream
from tocsin.hub.turns import Turn

MAX_READS = 4
"""Reads under way for streams. One place after the other would leave the loop idle while the journal works."""

READ_EVENTS = 1_000
READ_BYTES = 12 * 1024
"""Of one piece. A thread that decodes it holds the interpreter's lock, and everybody else waits that long: for 60 small
events 0.1 ms, for 64 KiB of them five times that, which others' events are late by, again at each `send`. Smaller pieces
would be read at less than 100,000 events/s."""

log = logging.getLogger("tocsin.streams")

Place: TypeAlias = tuple[int, Group[Stream], Selection | None]
Streams: TypeAlias = dict[Stream, None]


class Found(msgspec.Struct, frozen=True):
    """What was read for a place: the piece, and the seqs of its events, ascending."""

    piece: Piece
    seqs: Sequence[int]

    def count_up_to(self, seq: int) -> int:
        """How many of the events are not after `seq`."""
        return bisect_right(self.seqs, seq)


class Lost(Exception):
    """What a stream was to get next left the journal too, before it was read."""


class JournalReplays:
    """The streams that wait for a read of the journal.

    Args:
        publishing: whose ring and history it is.
        reads: of the history.
        replay_cache: is given what was read.
        on_found: called for each stream that waits still, when what comes next is there.
        on_not_found: the same when it isn't: `Lost`, `Unavailable`, or a bug.
    """

    def __init__(
        self,
        publishing: Publishing,
        reads: HistoryReads,
        replay_cache: ReplayCache,
        on_found: Callable[[Stream, Found], None],
        on_not_found: Callable[[Stream, Exception], None],
    ) -> None:
        self._publishing = publishing
        self._reads = reads
        self._replay_cache = replay_cache
        self._on_found = on_found
        self._on_not_found = on_not_found
        self._places: dict[Place, Streams] = {}  # in the order in which they are served
        self._under_way: dict[Place, Streams] = {}
        self._workers: set[asyncio.Task[None] | None] = set()

    def __len__(self) -> int:
        """How many streams wait."""
        places = (*self._places.values(), *self._under_way.values())
        return sum([len(streams) for streams in places])

    def add(self, stream: Stream) -> None:
        """Let `stream` wait for what comes next at its cursor."""
        stream.become(State.WAITING)
        place = (stream.cursor, stream.group, stream.selection)
        known = self._under_way.get(place)
        if known is None:
            known = self._places.setdefault(place, {})
        known[stream] = None
        if self._places and len(self._workers) < MAX_READS:
            self._workers.add(asyncio.create_task(self._work()))

    def discard(self, stream: Stream) -> None:
        """Forget `stream`, which is over, if it waits."""
        place = (stream.cursor, stream.group, stream.selection)
        for places in (self._places, self._under_way):
            if place in places:
                places[place].pop(stream, None)
        if not self._places.get(place, True):
            del self._places[place]

    async def stop(self) -> None:
        """Give up what is under way; no stream waits any more."""
        workers = [worker for worker in self._workers if worker]
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        try:
            await self._serve_places()
        finally:
            # At once, not when the loop comes to say that the task is done: streams that come to wait before it
            # does would count on a worker that looks at no place any more.
            self._workers.discard(asyncio.current_task())

    async def _serve_places(self) -> None:
        while self._places:
            place = next(iter(self._places))
            streams = self._under_way[place] = self._places.pop(place)
            try:
                found: Found | Exception = await self._read(place)
            except (Lost, Unavailable) as error:
                found = error
            except Exception as error:  # a bug, of which the others that wait must not suffer
                log.exception("a read of the journal failed; its streams are closed, and resume")
                found = error
            finally:
                del self._under_way[place]
            await self._hand_out(streams, found)

    async def _read(self, place: Place) -> Found:
        """What comes next at `place`.

        Raises:
            Lost: some of it is gone.
            Unavailable: it can't be read now, or a new log began.
        """
        cursor, group, selection = place
        if selection is not None and selection.seqs is not None:
            return await self._read_selected(cursor, group, selection, selection.seqs)
        ring = self._publishing.ring
        page = await self._reads.read(
            cursor, group.filter, max_events=READ_EVENTS, max_bytes=READ_BYTES
        )
        if self._publishing.ring is not ring:
            raise Unavailable("a new log began", code="restart")
        entries, end = self._left_since(cursor, group.filter)
        if not entries:
            events, end = committed(page, ring)
            self._check_whole(events, cursor, end, group.filter)
            entries = Entry.of_all(events) if events else []
        piece = group.piece(entries, end, times_of(entries))
        self._replay_cache.keep(group, cursor, piece)
        return Found(piece, [entry.seq for entry in entries])

    def _left_since(self, cursor: int, filter: Filter) -> tuple[list[Entry], int]:
        """What comes next after `cursor`, and where it leads, if it left the history while that was read, and stays.

        Raises:
            Lost: some of it does not.
        """
        history = self._publishing.history
        if not history or cursor >= history.floor or not history.kept_newest:
            return [], cursor
        if history.has_lost(cursor, filter):
            raise Lost
        entries, _ = history.kept_newest.read(cursor, filter, max_bytes=PIECE_BYTES)
        return entries, entries[-1].seq if entries else cursor

    async def _read_selected(
        self, cursor: int, group: Group[Stream], selection: Selection, seqs: Sequence[int]
    ) -> Found:
        """What was selected next after `cursor`: some that lie near each other, out of the window."""
        ring = self._publishing.ring
        some = near(seqs, cursor, ring.floor)
        events = await self._reads.picked(ring, group.filter, some)
        if self._publishing.ring is not ring:
            raise Unavailable("a new log began", code="restart")
        history = self._publishing.history
        kept = history.kept_newest.get(some[0]) if history and history.kept_newest else None
        if kept:  # it left the history while that was read
            entries = [kept]
        elif events:
            entries = Entry.of_all(events)
        else:
            raise Lost
        end = selection.end if entries[-1].seq == seqs[-1] else entries[-1].seq
        piece = group.piece(entries, end, times_of(entries))
        self._replay_cache.keep(group, cursor, piece, selection)
        return Found(piece, [entry.seq for entry in entries])

    def _check_whole(self, events: Sequence[Event], cursor: int, end: int, filter: Filter) -> None:
        """Make sure that `events` are all that `filter` lets through after `cursor` up to `end`.

        Raises:
            Lost: they aren't, as some were evicted.
            Unavailable: they aren't, and the journal doesn't say why.
        """
        if filter.is_everything and end > cursor and len(events) == end - cursor:
            return  # each has its own seq: whatever was evicted meanwhile, it is there
        history = self._publishing.history
        if history and history.has_lost(cursor, filter):
            raise Lost
        if filter.is_everything or end <= cursor:
            log.error(
                "the journal did not give what it should keep",
                extra={"after": cursor, "up_to": end, "events": len(events)},
            )
            raise Unavailable("the journal did not give what it keeps", code="journal_down")

    async def _hand_out(self, streams: Streams, found: Found | Exception) -> None:
        """Give `found` to the streams that wait still, in turns."""
        turn = Turn()
        while streams:
            stream = next(iter(streams))
            del streams[stream]
            if stream.state != State.WAITING:
                continue
            try:
                if isinstance(found, Found):
                    self._on_found(stream, found)
                else:
                    self._on_not_found(stream, found)
            except Exception:  # a bug, of which the other streams must not suffer
                log.exception("a stream failed; it is closed, and resumes")
                stream.close("error")
            if turn.is_over:
                await turn.next()
