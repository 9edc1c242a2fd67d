"""The bytes that a journal keeps of an event. They hold all that is known of it, and their version first.

A record is an array in MessagePack: version, epoch, seq, time, type, topics, data, source, principal,
traceparent, key, final. A reader looks at the version before anything else, so a file that a newer
Tocsin wrote is refused in words, not misread.

A store that keeps ids, times and a version of its own for many events at once keeps their *contents* alone: of each its
data, and its *attributes*, which many of them may share. Contents are an array of these (type, topic, source, other
topics, principal, traceparent, key, final), each once; of the place of each event's own among them, or 0 where there is
one; and of the data of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

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


_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises where bytes are not what they should be: the second of text, the third of nesting that it skips."""

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
    except (*_UNDECODABLE, InvalidInput) as error:
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
    except (*_UNDECODABLE, InvalidInput) as error:
        raise RecordError(f"not the records of events: {error}") from None


class Attributes(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What an event holds beside its id, its time and its data, as it was read: nothing but its form is checked."""

    type: str
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


class Content(msgspec.Struct, frozen=True, gc=False):
    """What an event holds beside its id and its time, as it was read."""

    attributes: Attributes
    data: bytes

    @property
    def draft(self) -> Draft:
        """The draft that it was made of.

        Raises:
            RecordError: it can't have been.
        """
        its = self.attributes
        try:
            return Draft(
                its.type,
                self.data,
                its.topic,
                its.source,
                its.more_topics,
                its.principal,
                its.traceparent,
                its.key,
                its.final,
            )
        except InvalidInput as error:
            raise RecordError(f"not the content of an event: {error}") from None

    @property
    def bytes(self) -> int:
        """What it counts: its data and attributes of its own, encoded."""
        return len(_encode(self.attributes)) + len(_encode(self.data))


class Contents(NamedTuple):
    """The contents of some events, encoded; what all of them count; and their types and topics, each once."""

    encoded: bytes
    bytes: int
    types: Sequence[str]
    topics: Sequence[str]


class _Attributed(msgspec.Struct, array_like=True, frozen=True, gc=False):
    attributes: list[Attributes]
    places: Literal[0] | list[int]


class _Columns(_Attributed, array_like=True, frozen=True, gc=False):
    data: list[bytes]


_decode_contents = msgspec.msgpack.Decoder(list[_Columns]).decode
_decode_attributed = msgspec.msgpack.Decoder(list[_Attributed]).decode


def encode_contents(drafts: Sequence[Draft]) -> Contents:
    """The contents of `drafts`, of which there is one."""
    attributes = [
        (
            draft.type,
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
    data = _encode([draft.data for draft in drafts])
    count = len(drafts)
    size = len(data) - _array_head(count)
    first = attributes[0]
    if (
        attributes.count(first) == count
    ):  # as most are that come together, and quicker than to tell them apart
        encoded = _encode((attributes[:1], 0, msgspec.Raw(data)))
        size += count * len(_encode(first))
        return Contents(encoded, size, first[:1], (first[1], *first[3]))
    distinct: dict[tuple[Any, ...], int] = {}
    places = [distinct.setdefault(each, len(distinct)) for each in attributes]
    encoded_each = list(map(_encode, distinct))
    sizes = list(map(len, encoded_each))
    return Contents(
        _encode((list(map(msgspec.Raw, encoded_each)), places, msgspec.Raw(data))),
        size + sum([sizes[place] for place in places]),
        list(dict.fromkeys([each[0] for each in distinct])),
        list(dict.fromkeys([topic for each in distinct for topic in (each[1], *each[3])])),
    )


def decode_contents(encoded: bytes | None, counts: Sequence[int]) -> list[list[Content]]:
    """Contents of so many events each, which stand one behind the other; None is none.

    Raises:
        RecordError: they are no contents, or not so many.
    """
    try:
        found = _decode_contents(_array_of(counts, encoded))
    except _UNDECODABLE as error:
        raise RecordError(f"not the contents of events: {error}") from None
    return [_contents(each, count) for each, count in zip(found, counts, strict=True)]


class Shared(NamedTuple):
    """The attributes that some events share, each once, and the place among these of each event's own."""

    attributes: Sequence[Attributes]
    places: Sequence[int]


def decode_attributes(encoded: bytes | None, counts: Sequence[int]) -> list[Shared]:
    """What `decode_contents` would find, without the data of the events, which is passed over.

    Raises:
        RecordError: as there.
    """
    try:
        found = _decode_attributed(_array_of(counts, encoded))
    except _UNDECODABLE as error:
        raise RecordError(f"not the contents of events: {error}") from None
    return [
        Shared(each.attributes, _places(each, count))
        for each, count in zip(found, counts, strict=True)
    ]


def _array_of(counts: Sequence[int], encoded: bytes | None) -> bytes:
    return _ARRAY_32 + len(counts).to_bytes(4, "big") + (encoded or b"")


def _contents(columns: _Columns, count: int) -> list[Content]:
    if len(columns.data) != count:
        raise RecordError(f"not the contents of {count} events, but of {len(columns.data)}")
    attributes = columns.attributes
    places = _places(columns, count)
    return list(map(Content, [attributes[place] for place in places], columns.data))


def _places(columns: _Attributed, count: int) -> list[int]:
    """The place of the attributes of each of `count` events."""
    places = [0] * count if columns.places == 0 else columns.places
    if len(places) != count:
        raise RecordError(f"not the contents of {count} events, but of {len(places)}")
    if places and not 0 <= min(places) <= max(places) < len(columns.attributes):
        raise RecordError("not the contents of events: attributes are missing")
    return places


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
