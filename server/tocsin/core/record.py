"""The bytes that a journal keeps of an event. They hold all that is known of it, and their version first.

A record is an array in MessagePack: version, epoch, seq, time, type, topics, data, source, principal,
traceparent, key, final. A reader looks at the version before anything else, so a file that a newer
Tocsin wrote is refused in words, not misread.

A store that keeps ids, times and a version of its own for many events at once keeps their *contents* alone: arrays
of type, data, topic, source, other topics, principal, traceparent, key, final.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def decode_records(records: bytes, count: int, epoch: int) -> list[Event]:
    """The events of `count` records that stand one behind the other, with ids of `epoch`.

    A record costs a third of what `decode_record` takes.

    Raises:
        RecordError: as there.
    """
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


class Content(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What an event holds beside its id and its time, as it was read: nothing of it is checked but its form."""

    type: str
    data: bytes
    topic: str
    source: str
    more_topics: tuple[str, ...]
    principal: str
    traceparent: str
    key: str
    final: bool

    @property
    def topics(self) -> tuple[str, ...]:
        """All its topics."""
        return (self.topic, *self.more_topics)

    @property
    def draft(self) -> Draft:
        """The draft that it was made of.

        Raises:
            RecordError: it can't have been.
        """
        try:
            return Draft(
                self.type,
                self.data,
                self.topic,
                self.source,
                self.more_topics,
                self.principal,
                self.traceparent,
                self.key,
                self.final,
            )
        except InvalidInput as error:
            raise RecordError(f"not the content of an event: {error}") from None


_decode_contents = msgspec.msgpack.Decoder(list[Content]).decode


def encode_contents(drafts: Sequence[Draft]) -> bytes:
    """The contents of `drafts` one behind the other: in one call, which costs a third of as many records."""
    contents = [
        (
            draft.type,
            draft.data,
            draft.topic,
            draft.source,
            draft.more_topics,
            draft.principal,
            draft.traceparent,
            draft.key,
            draft.final,
        )
        for draft in drafts
    ]
    return _encode(contents)[_array_head(len(contents)) :]


def encode_content(content: Content) -> bytes:
    """The bytes that it was read from, or would be."""
    return _encode(content)


def decode_contents(contents: bytes | None, count: int) -> list[Content]:
    """`count` contents that stand one behind the other; None is none.

    Raises:
        RecordError: they are no contents, or not so many.
    """
    try:
        return _decode_contents(_ARRAY_32 + count.to_bytes(4, "big") + (contents or b""))
    except msgspec.MsgspecError as error:
        raise RecordError(f"not the contents of {count} events: {error}") from None


def _array_head(count: int) -> int:
    """How many bytes an array of `count` elements begins with, before the first of them."""
    return 1 if count < 16 else 3 if count < 65_536 else 5


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
