"""Events as the stream in Redis has them: an id, and the fields `t`, `b` and `e`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tocsin.core.event import Event, EventId
from tocsin.core.record import RecordError, decode_record
from tocsin.eventlog.journal.redis.script import MICROSECOND

_TIME, _RECORD = 1, 5  # places of the values among an entry's fields
_NAMES = [b"t", b"b", b"e"]


class Stored(msgspec.Struct, frozen=True, gc=False):
    """One entry of the stream, not decoded yet. `time` is in microseconds."""

    id: EventId
    time: int
    record: bytes

    def event(self) -> Event:
        """The event.

        Raises:
            RecordError: this version can't read it.
        """
        return Event(self.id, decode_record(self.record).draft, self.time * MICROSECOND)


def read_entries(answer: Any) -> Sequence[Stored]:
    """The entries of an answer to XRANGE, in its order.

    Raises:
        RecordError: one is none of a hub's.
    """
    return [_stored(id, fields) for id, fields in answer]


def _stored(id: bytes, fields: Sequence[bytes]) -> Stored:
    if len(fields) <= _RECORD or fields[_TIME - 1 : _RECORD : 2] != _NAMES:
        raise RecordError(f"entry {id.decode()} of the stream was written by another program")
    epoch, _, seq = id.partition(b"-")
    return Stored(EventId(int(epoch), int(seq)), int(fields[_TIME]), fields[_RECORD])
