"""Where a stream begins: from what a client says it had last, and what the ring still holds.

Loss is told in the stream, because a browser's EventSource reads no response header and the standard
has no signal for "that id is gone".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from tocsin.core.event import MAX_ID_LENGTH, EventId
from tocsin.core.filters import Filter
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


class Resume(msgspec.Struct, frozen=True):
    """Where a stream begins.

    Attributes:
        cursor: the seq it goes on after.
        welcome_id: the id that the welcome bears: a client cut off before its first event comes back
            with it, and loses nothing.
        resumed: whether the client named an id.
        replayed: how many kept events it gets before the live ones; None where nobody counted them.
        gap: what it is told of, or None.
    """

    cursor: int
    welcome_id: str
    resumed: bool = False
    replayed: int | None = 0
    gap: Gap | None = None


def resolve(last_event_ids: str | Sequence[str], ring: RingBuffer, filter: Filter) -> Resume:
    """Where a client that names these ids begins. Never raises: any text is an answer.

    Of several ids, the newest one of this log counts: the commonest polyfill adds its own to the one in
    the page's address, which then is older at each reconnection. If none is of this log, the first counts.
    """
    if not isinstance(last_event_ids, str):
        last_event_ids = _newest(last_event_ids, ring)
    return _resolve(last_event_ids, ring, filter)


def _newest(last_event_ids: Sequence[str], ring: RingBuffer) -> str:
    if not last_event_ids:
        return ""
    parsed = [id for id in map(EventId.parse, last_event_ids) if id is not None]
    known = [id for id in parsed if id.epoch == ring.epoch and id.seq <= ring.head]
    if known:
        return str(max(known))
    return next((id for id in last_event_ids if id), "")


def _resolve(last_event_id: str, ring: RingBuffer, filter: Filter) -> Resume:
    if not last_event_id:
        return Resume(ring.head, str(ring.id_at(ring.head)))
    if last_event_id == EARLIEST:
        return _from(ring.floor, str(ring.id_at(ring.floor)), ring, filter)
    gap = find_gap(last_event_id, ring, filter)
    if gap is not None:
        return _from(ring.floor, str(ring.id_at(ring.floor)), ring, filter, gap)
    requested = EventId.parse(last_event_id)
    assert requested is not None
    # The client's own id, not the floor: it stands for what the client has, whatever was evicted
    # of other topics since.
    return _from(max(requested.seq, ring.floor), str(requested), ring, filter)


def find_gap(last_event_id: str, ring: RingBuffer, filter: Filter) -> Gap | None:
    """What a client at `last_event_id` has missed for good, or None."""
    requested = EventId.parse(last_event_id)
    if requested is None or requested > ring.id_at(ring.head):
        return _gap("unknown", last_event_id, ring)
    if requested.epoch < ring.epoch:
        return _gap("restart", last_event_id, ring)
    if not ring.has_lost(requested.seq, filter):
        return None
    missed = ring.floor - requested.seq if filter.is_everything else None
    return _gap("evicted", last_event_id, ring, missed)


def _gap(reason: Reason, requested: str, ring: RingBuffer, missed: int | None = None) -> Gap:
    oldest = str(ring.id_at(ring.oldest.seq)) if ring.oldest else None
    return Gap(reason, requested[:MAX_ID_LENGTH], oldest, missed)


def _from(
    cursor: int, welcome_id: str, ring: RingBuffer, filter: Filter, gap: Gap | None = None
) -> Resume:
    return Resume(cursor, welcome_id, True, ring.count(cursor, filter), gap)
