"""Where a stream begins: from what a client says it had last, and what the log still keeps.

What left the window in memory may be kept by the journal, which has a `History` then: that is no gap.
Loss is told in the stream, because a browser's EventSource reads no response header and the standard
has no signal for "that id is gone".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal

import msgspec

from tocsin.core.event import MAX_ID_LENGTH, EventId
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.eventlog.journal import History
from tocsin.eventlog.recent import Selection
from tocsin.eventlog.ring import RingBuffer

EARLIEST = "earliest"
"""The last event id of a client that wants everything kept; no event bears it."""

Reason = Literal["evicted", "restart", "unknown"]


class Gap(msgspec.Struct, frozen=True):
    """Events that a client will not get, as it is told.

    Attributes:
        reason: ``evicted`` (left the history), ``restart`` (of an earlier log), ``unknown`` (an id
            this log never gave).
        requested: the id the client named, shortened if need be.
        oldest: the id of the oldest event kept, or None.
        missed: how many, or None where that can't be known.
    """

    reason: Reason
    requested: str
    oldest: str | None
    missed: int | None

    def without_counts(self) -> Gap:
        """The same for who may not read every topic: nothing tells of events that are not theirs."""
        return Gap(self.reason, self.requested, None, None)


class Resume(msgspec.Struct, frozen=True):
    """Where a stream begins.

    Attributes:
        cursor: the seq it goes on after.
        welcome_id: the id that the welcome bears: a client cut off before its first event comes back
            with it, and loses nothing.
        resumed: whether the client named an id.
        replayed: how many kept events it gets before the live ones; None where nobody counted them.
        gap: what it is told of, or None.
        selection: what it gets first, where that is not all that follows its cursor.
        is_truncated: whether it asked for more recent events than it gets.
    """

    cursor: int
    welcome_id: str
    resumed: bool = False
    replayed: int | None = 0
    gap: Gap | None = None
    selection: Selection | None = None
    is_truncated: bool = False

    @property
    def begins_anew(self) -> bool:
        """Whether the client has nothing of this log, and so gets the recent events that it asked for."""
        return not self.resumed or (self.gap is not None and self.gap.reason == "restart")

    def with_recent(self, selection: Selection, ring: RingBuffer, later: int | None) -> Resume:
        """Where it begins with these; `later` is how many events came after them, None if nobody counted."""
        cursor = selection.cursor
        replayed = None if later is None else selection.count + later
        is_picked = selection.seqs is not None and selection.count > 0
        return Resume(
            cursor,
            str(ring.id_at(cursor)),
            self.resumed,
            replayed,
            self.gap,
            selection if is_picked else None,
            selection.is_truncated,
        )


def resolve(
    last_event_ids: str | Sequence[str],
    ring: RingBuffer,
    filter: Filter,
    history: History | None = None,
) -> Resume:
    """Where a client that names these ids begins. Never raises: any text is an answer.

    Of several ids, the newest one of this log counts: the commonest polyfill adds its own to the one in
    the page's address, which then is older at each reconnection. If none is of this log, the first counts.

    Args:
        last_event_ids: as the client sent them, whatever they hold.
        ring: the window over the log.
        filter: what the client gets.
        history: what the journal keeps behind the window; None where the window is all there is.
    """
    if not isinstance(last_event_ids, str):
        last_event_ids = _newest(last_event_ids, ring)
    if not last_event_ids:
        return Resume(ring.head, str(ring.id_at(ring.head)))
    kept = history or ring
    if last_event_ids == EARLIEST:
        return _from_oldest(0, ring, filter, kept)
    gap = find_gap(last_event_ids, ring, filter, history)
    if gap is not None:
        requested = EventId.parse(last_event_ids) if gap.reason == "evicted" else None
        return _from_oldest(requested.seq if requested else 0, ring, filter, kept, gap)
    requested = EventId.parse(last_event_ids)
    assert requested is not None
    # The client's own id, not the floor: it stands for what the client has, whatever was evicted
    # of other topics since.
    cursor = requested.seq
    floor = min(
        kept.floor, ring.floor
    )  # the window may have what the history counts as gone already
    if cursor < floor and not _is_any_kept(cursor, filter, kept):
        cursor = floor
    return Resume(cursor, str(requested), True, count_after(cursor, ring, filter, kept))


def from_start(ring: RingBuffer, filter: Filter, history: History | None = None) -> Resume:
    """Where a client begins that names no id, and gets everything kept: of topics of which nothing more comes."""
    resume = _from_oldest(0, ring, filter, history or ring)
    return msgspec.structs.replace(resume, resumed=False)


def known_id(last_event_ids: str | Sequence[str], ring: RingBuffer) -> EventId | None:
    """The newest of these ids that this log has given; None where it gave none of them."""
    if isinstance(last_event_ids, str):
        last_event_ids = (last_event_ids,)
    parsed = [id for id in map(EventId.parse, last_event_ids) if id is not None]
    known = [id for id in parsed if id.epoch == ring.epoch and id.seq <= ring.head]
    return max(known, default=None)


def id_ahead(last_event_ids: str | Sequence[str], ring: RingBuffer) -> EventId | None:
    """The newest of these ids, if this process has not come to it; else None.

    Where several processes share a log, another one may have sent it.
    """
    if isinstance(last_event_ids, str):
        last_event_ids = (last_event_ids,)
    parsed = [id for id in map(EventId.parse, last_event_ids) if id is not None]
    newest = max(parsed, default=None)
    return newest if newest and newest > ring.id_at(ring.head) else None


def find_gap(
    last_event_id: str, ring: RingBuffer, filter: Filter, history: History | None = None
) -> Gap | None:
    """What a client at `last_event_id` has missed for good, or None."""
    requested = EventId.parse(last_event_id)
    kept = history or ring
    missed: int | None = None
    reason: Reason
    if requested is None or requested > ring.id_at(ring.head):
        reason = "unknown"
    elif requested.epoch < ring.epoch:
        reason = "restart"
    elif ring.has_lost(requested.seq, filter) and kept.has_lost(requested.seq, filter):
        reason = "evicted"
        missed = _missed(requested.seq, kept) if filter.is_everything else None
    else:
        return None
    oldest = oldest_kept(ring, history)
    return Gap(
        reason,
        last_event_id[:MAX_ID_LENGTH],
        None if oldest is None else str(ring.id_at(oldest)),
        missed,
    )


def oldest_kept(ring: RingBuffer, history: History | None = None) -> int | None:
    """The seq of the oldest event kept; None where none is."""
    kept = history or ring
    oldest = kept.kept_newest.oldest if kept.kept_newest else None
    if oldest is not None:
        return oldest
    return kept.floor + 1 if kept.floor < ring.head else None


def _missed(cursor: int, kept: History | RingBuffer) -> int:
    """How many events after `cursor` are gone."""
    staying = kept.kept_newest.count(cursor, EVERYTHING) if kept.kept_newest else 0
    return kept.floor - cursor - (staying or 0)


def _newest(last_event_ids: Sequence[str], ring: RingBuffer) -> str:
    if not last_event_ids:
        return ""
    known = known_id(last_event_ids, ring)
    if known:
        return str(known)
    return next((id for id in last_event_ids if id), "")


def _is_any_kept(cursor: int, filter: Filter, kept: History | RingBuffer) -> bool:
    """Whether something after `cursor` stays that has left the history otherwise; in doubt it does."""
    newest = kept.kept_newest
    return newest is not None and newest.clear_to(cursor, filter, kept.floor) < kept.floor


def _from_oldest(
    cursor: int,
    ring: RingBuffer,
    filter: Filter,
    kept: History | RingBuffer,
    gap: Gap | None = None,
) -> Resume:
    """Just before the oldest event after `cursor` that is kept, where others that followed `cursor` are gone."""
    newest, selection, count = kept.kept_newest, None, 0
    if newest and _is_any_kept(cursor, filter, kept):
        # What lies between these is gone, and the client is told so or knows of nothing. Of what is gone from here on
        # it would not know: so it is put down which events it is to get.
        selection = newest.selection(filter, kept.floor)
        seqs = selection.seqs or ()
        first = bisect_right(seqs, cursor)
        count = len(seqs) - first
        cursor = seqs[first] - 1 if count else kept.floor
    else:
        cursor = kept.floor
    above = count_after(max(cursor, kept.floor), ring, filter, kept)
    return Resume(
        cursor,
        str(ring.id_at(cursor)),
        True,
        None if above is None else count + above,
        gap,
        selection if count else None,
    )


def count_after(
    cursor: int, ring: RingBuffer, filter: Filter, kept: History | RingBuffer
) -> int | None:
    """How many events follow `cursor`; None where that is too much work, as what the journal has of them is."""
    if cursor < kept.floor and kept.kept_newest:
        below = kept.kept_newest.count(cursor, filter)
        above = count_after(kept.floor, ring, filter, kept)
        return None if below is None or above is None else below + above
    if filter.is_everything:
        return ring.head - cursor
    return None if ring.has_lost(cursor, filter) else ring.count(cursor, filter)
