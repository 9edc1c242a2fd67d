"""The bytes that a journal keeps of an event. They hold all that is known of it, and their version first.

A record is an array in MessagePack: version, epoch, seq, time, type, topics, data, source, principal,
traceparent, key, final. A reader looks at the version before anything else, so a file that a newer
Tocsin wrote is refused in words, not misread.
"""

from __future__ import annotations

import msgspec

from tocsin.core.event import RECORD_VERSION, Draft, Event, EventId
from tocsin.errors import InvalidInput


class RecordError(ValueError):
    """Bytes that are no record this version can read. The message says why."""


class _Version(msgspec.Struct, array_like=True):
    """The head of every version's record; what follows is ignored."""

    version: int


class _Record(msgspec.Struct, array_like=True, frozen=True):
    version: int
    epoch: int
    seq: int
    time: float
    type: str
    topics: tuple[str, ...]
    data: bytes
    source: str
    principal: str
    traceparent: str
    key: str
    final: bool


_encode = msgspec.msgpack.Encoder().encode
_decode_version = msgspec.msgpack.Decoder(_Version).decode
_decode = msgspec.msgpack.Decoder(_Record).decode
_decode_all = msgspec.msgpack.Decoder(list[_Record]).decode
_ARRAY_32 = b"\xdd"
"""What an array of up to 2**32 elements begins with, before their number."""


def encode_record(event: Event) -> bytes:
    """The record of `event`.

    A store that gives ids itself encodes with an id of its choice, and puts the true one in place after
    decoding (`msgspec.structs.replace`).
    """
    id, draft = event.id, event.draft
    # A tuple is encoded as `_Record` is, and costs a quarter less.
    return _encode(
        (
            RECORD_VERSION,
            id.epoch,
            id.seq,
            event.time,
            draft.type,
            draft.topics,
            draft.data,
            draft.source,
            draft.principal,
            draft.traceparent,
            draft.key,
            draft.final,
        )
    )


RENAMED = {"end": "end-"}
"""Types that publishers could use before the hub had a meaning for them, as they are read from older records."""


def decode_record(record: bytes) -> Event:
    """The event that `record` holds.

    Raises:
        RecordError: its version isn't known, or it is no record.
    """
    try:
        version = _decode_version(record).version
        if version != RECORD_VERSION:
            raise RecordError(
                f"a record of version {version}; this Tocsin reads version {RECORD_VERSION}"
            )
        return _event(_decode(record))
    except (msgspec.MsgspecError, InvalidInput) as error:
        raise RecordError(f"not the record of an event: {error}") from None


def decode_records(records: bytes | None, count: int, epoch: int) -> list[Event]:
    """The events of `count` records that stand one behind the other, with ids of `epoch`; None is none.

    A record costs a third of what `decode_record` takes.

    Raises:
        RecordError: as there.
    """
    if not records:
        return []
    try:
        found = _decode_all(_ARRAY_32 + count.to_bytes(4, "big") + records)
        for record in found:
            if record.version != RECORD_VERSION:
                raise RecordError(
                    f"a record of version {record.version}; this Tocsin reads version {RECORD_VERSION}"
                )
        return [_event(record, epoch) for record in found]
    except (msgspec.MsgspecError, InvalidInput) as error:
        raise RecordError(f"not the records of events: {error}") from None


def _event(record: _Record, epoch: int | None = None) -> Event:
    if not record.topics:
        raise RecordError("not the record of an event: it has no topic")
    topic, *more_topics = record.topics
    draft = Draft(
        RENAMED.get(record.type, record.type),
        record.data,
        topic,
        record.source,
        tuple(more_topics),
        record.principal,
        record.traceparent,
        record.key,
        record.final,
    )
    id = EventId(record.epoch if epoch is None else epoch, record.seq)
    return Event(id, draft, record.time)
