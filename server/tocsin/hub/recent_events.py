"""Finds the recent events that are asked for: in the window where it is enough, else in the journal too."""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Callable
from time import monotonic

from tocsin.core.filters import Filter
from tocsin.errors import Unavailable
from tocsin.eventlog.journal import History, PageBefore
from tocsin.eventlog.recent import MAX_EVENTS, Picking, Recent, Selection
from tocsin.eventlog.ring import RingBuffer
from tocsin.hub.history_reads import NEAR, HistoryReads
from tocsin.hub.publishing import Publishing
from tocsin.hub.states import State
from tocsin.hub.stream import Stream
from tocsin.hub.turns import Turn

SEARCH_S = 5.0
"""How long the journal is searched; what was found by then is a selection that is truncated."""

LOOK_EVENTS = 1_000
LOOK_BYTES = 1024 * 1024
"""What one look into the journal gives at most."""

NO_LIMIT = 1 << 62
"""Of bytes, where entries are found and not read."""

KNOWN_SEQS = 1_000_000
"""Seqs of selections that are kept for who asks for the same: 8 MB and more."""

LOOK_S = 0.02
"""So often it is looked whether a stream has taken what it was sent before its opening."""

log = logging.getLogger("tocsin.streams")

Open = Callable[[Selection | Exception], None]
"""Lets a stream begin with what was found for it, or ends it for why nothing was."""

Question = tuple[Filter, Recent]


class RecentEvents:
    """Searches for selections, once for all who ask for the same.

    Args:
        publishing: whose ring and history it is.
        reads: of the history.
    """

    def __init__(self, publishing: Publishing, reads: HistoryReads) -> None:
        self._publishing = publishing
        self._reads = reads
        self._known: dict[Question, Selection] = {}
        self._known_of: tuple[RingBuffer, int, int, int] | None = None  # its head, and both floors
        self._known_seqs = 0
        self._waiting: dict[Question, dict[Stream, Open]] = {}
        self._searches: set[asyncio.Task[None]] = set()
        self._streams: dict[Stream, Question] = {}

    @property
    def _kept(self) -> History | RingBuffer:
        """All that is kept of the log, in memory or not."""
        return self._publishing.history or self._publishing.ring

    # --- finding ------------------------------------------------------------------------------------

    def find(self, filter: Filter, recent: Recent) -> Selection | None:
        """What `recent` asks for, from the window; None where the journal has to be searched too."""
        ring = self._publishing.ring
        known_of = (ring, ring.head, ring.floor, self._kept.floor)
        if self._known_of != known_of:
            self._known_of = known_of
            self._known, self._known_seqs = {}, 0
        known = self._known.get((filter, recent))
        if known is None:
            known = self._last(filter, recent.last) if recent.last else self._picked(filter, recent)
            if known is not None and self._known_seqs + known.count < KNOWN_SEQS:
                self._known[filter, recent] = known
                self._known_seqs += known.count + 1
        return known

    async def search(self, filter: Filter, recent: Recent) -> Selection:
        """The same, from the journal too. It is that of the log as it was when this was asked for.

        Raises:
            Unavailable: the journal can't be read now, or a new log began.
        """
        found = self.find(filter, recent)
        if found is not None:
            return found
        if recent.last:
            return await self._search_last(filter, recent.last)
        return await self._search_picked(filter, recent)

    def forget(self) -> None:
        """Let go of what is kept for who asks for the same; once a second."""
        self._known, self._known_seqs = {}, 0

    def _last(self, filter: Filter, count: int) -> Selection | None:
        ring, history = self._publishing.ring, self._publishing.history
        if filter.is_everything:  # wherever they are kept
            cursor = max(ring.head - count, self._kept.floor)
            selection = Selection(cursor, ring.head - cursor, ring.head)
            return self._with_kept_newest(selection, filter, count - selection.count)
        entries, before = ring.before(ring.head + 1, filter, count, max_bytes=NO_LIMIT)
        cursor = entries[0].seq - 1 if entries else ring.head
        is_cut = len(entries) < count and not self._is_searched(ring, before, filter)
        if history and len(entries) < count and (is_cut or ring.has_lost(history.floor, filter)):
            return None
        selection = Selection(cursor, len(entries), ring.head, is_cut)
        return self._with_kept_newest(selection, filter, count - selection.count)

    @staticmethod
    def _is_searched(ring: RingBuffer, before: int, filter: Filter) -> bool:
        """Whether the window has nothing of `filter` below `before`: a search in a long one is bounded."""
        if before <= ring.floor + 1:
            return True
        count = ring.count(ring.floor, filter)
        return count is not None and count == ring.count(before - 1, filter)

    def _picked(self, filter: Filter, recent: Recent) -> Selection | None:
        ring = self._publishing.ring
        picking = Picking(filter, recent.per_topic)
        first = ring.pick(picking)
        if not self._is_enough(ring, picking, first):
            return None
        is_cut = first > ring.floor + 1 and not picking.is_done
        is_cut = is_cut or not self._pick_kept_newest(picking)
        return picking.selection(ring.head, is_cut=is_cut)

    def _is_enough(self, ring: RingBuffer, picking: Picking, first: int) -> bool:
        """Whether what the window has from `first` on is all that is asked for, as far as anybody keeps it.

        Else `picking` knows what of, if anything does.
        """
        history = self._publishing.history
        if picking.is_done or history is None:
            return True
        if first > ring.floor + 1:
            return False
        if not ring.has_lost(history.floor, picking.filter):
            return True
        evicted = ring.evicted_topics(history.floor, picking.filter)
        if evicted is not None:
            picking.narrow(evicted)
        return picking.is_done

    async def _search_last(self, filter: Filter, count: int) -> Selection:
        ring = self._publishing.ring
        head = ring.head
        entries, before = ring.before(head + 1, filter, count, max_bytes=NO_LIMIT)
        found = [entry.seq for entry in entries]
        cursor = found[0] - 1 if found else head
        ends_at = monotonic() + SEARCH_S
        while len(found) < count and before > self._kept.floor + 1:
            if monotonic() >= ends_at:
                return self._last_of(found, cursor, head, is_truncated=True)
            page = await self._look(ring, filter, min(count - len(found), LOOK_EVENTS), before)
            before = page.before
            if page.events:
                found += [event.id.seq for event in page.events]
                cursor = page.events[0].id.seq - 1
        if len(found) < count and self._kept.kept_newest:
            # What left the log since it was found may be among what stays of it.
            found = [seq for seq in found if seq > self._kept.floor]
        selection = self._last_of(found, cursor, head)
        return self._with_kept_newest(selection, filter, count - len(found))

    @staticmethod
    def _last_of(
        found: list[int], cursor: int, head: int, *, is_truncated: bool = False
    ) -> Selection:
        """These seqs as a selection; where they lie far apart each is read for itself, not all that is between again."""
        is_sparse = 0 < len(found) * NEAR < head - cursor
        seqs = array("q", sorted(found)) if is_sparse else None
        return Selection(cursor, len(found), head, is_truncated, seqs)

    def _with_kept_newest(self, selection: Selection, filter: Filter, left: int) -> Selection:
        """`selection`, or what stays below the log and comes before it, where `left` more are asked for."""
        kept = self._kept
        if not kept.kept_newest or left <= 0 or selection.is_truncated:
            return selection
        older = kept.kept_newest.newest(filter, left, max_bytes=NO_LIMIT)
        if not older:
            return selection
        seqs = array("q", [entry.seq for entry in older])
        return Selection(seqs[0] - 1, len(seqs), kept.floor, seqs=seqs)

    def _pick_kept_newest(self, picking: Picking) -> bool:
        """Give `picking` what stays below the log; whether all of it was looked at."""
        newest = self._kept.kept_newest
        return not newest or len(picking.seqs) > MAX_EVENTS or newest.pick(picking)

    async def _search_picked(self, filter: Filter, recent: Recent) -> Selection:
        ring = self._publishing.ring
        head = ring.head
        picking = Picking(filter, recent.per_topic)
        before = ring.pick(picking)
        self._is_enough(ring, picking, before)  # which tells it what is left to look for
        ends_at = monotonic() + SEARCH_S
        while not picking.is_done and before > self._kept.floor + 1:
            if monotonic() >= ends_at:
                return picking.selection(head, is_cut=True)
            page = await self._look(ring, filter, LOOK_EVENTS, before)
            for event in reversed(page.events):
                picking.take(event.id.seq, event.draft.type, event.draft.topics)
            before = page.before
        return picking.selection(head, is_cut=not self._pick_kept_newest(picking))

    async def _look(self, ring: RingBuffer, filter: Filter, count: int, before: int) -> PageBefore:
        page = await self._reads.newest(filter, count, max_bytes=LOOK_BYTES, before=before)
        if self._publishing.ring is not ring or any(e.id.epoch != ring.epoch for e in page.events):
            raise Unavailable("a new log began", code="restart")
        return page

    # --- streams that wait ---------------------------------------------------------------------------

    def add(self, stream: Stream, filter: Filter, recent: Recent, open: Open) -> None:
        """Let `stream` wait for what `recent` asks for; `open` is called then, once.

        It isn't called while the stream's socket has not taken all of what it was sent before.
        """
        question = (filter, recent)
        self._streams[stream] = question
        waiting = self._waiting.get(question)
        if waiting is not None:
            waiting[stream] = open
            return
        self._waiting[question] = {stream: open}
        search = asyncio.ensure_future(self._serve(question))
        self._searches.add(search)
        search.add_done_callback(self._searches.discard)

    def discard(self, stream: Stream) -> None:
        """Forget `stream`, which is over, if it waits."""
        question = self._streams.pop(stream, None)
        if question is not None and question in self._waiting:
            self._waiting[question].pop(stream, None)

    def __contains__(self, stream: object) -> bool:
        """Whether `stream` waits."""
        return stream in self._streams

    def __len__(self) -> int:
        """How many streams wait."""
        return len(self._streams)

    async def stop(self) -> None:
        """Give up what is under way."""
        searches = tuple(self._searches)
        for search in searches:
            search.cancel()
        await asyncio.gather(*searches, return_exceptions=True)

    async def _serve(self, question: Question) -> None:
        found: Selection | Exception
        try:
            found = await self.search(*question)
        except Unavailable as error:
            found = error
        except (
            Exception
        ) as error:  # a bug, of which those that ask for something else must not suffer
            log.exception("a search of the journal failed; its streams are closed, and resume")
            found = error
        # Who comes from now on asks again.
        await self._hand_out(self._waiting.pop(question), found)

    async def _hand_out(self, waiting: dict[Stream, Open], found: Selection | Exception) -> None:
        """Open those that wait still, in turns."""
        turn = Turn()
        while waiting:
            for stream, open in tuple(waiting.items()):
                if stream.state == State.WAITING:
                    del waiting[stream], self._streams[stream]
                    self._open(stream, open, found)
                elif stream not in self._streams:
                    del waiting[stream]
                if turn.is_over:
                    await turn.next()
            if waiting:
                await asyncio.sleep(LOOK_S)

    @staticmethod
    def _open(stream: Stream, open: Open, found: Selection | Exception) -> None:
        try:
            open(found)
        except Exception:  # a bug, of which the other streams must not suffer
            log.exception("a stream failed; it is closed, and resumes")
            stream.close("error")
