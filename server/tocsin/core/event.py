"""The nouns of the log: event ids, drafts and events. They are valid from the moment they exist.

A *draft* is what a publisher hands in; the journal gives it an id and it becomes an *event*.
This module knows no clock, no socket and no encoding.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import repeat
from typing import NamedTuple

import msgspec

from tocsin.errors import InvalidInput

MAX_ID_LENGTH = 128
MAX_TYPE_LENGTH = 64
MAX_TOPIC_LENGTH = 256
MAX_TOPICS = 20
DEFAULT_TOPIC = "default"
"""Of an event whose publisher names none."""

MAX_LABEL_LENGTH = 256
"""Of `principal`, `traceparent` and `key`, in characters."""

RECORD_VERSION = 1
"""Of the record that a journal keeps of an event; see `tocsin.core.record`."""

RESERVED_TYPES = frozenset({"open", "error", "connection", "gap", "busy", "presence", "end"})
"""Event types nobody may publish: `open` and `error` would fire a browser's own EventSource handlers,
the others are the hub's (a forged `gap` would tell a client of a loss that never was)."""

# ASCII only, and matched with fullmatch: `$` would let a trailing newline through, and a newline in
# a type is a forged field in the event stream (CWE-93).
_ID = re.compile(r"([0-9]{1,15})-([0-9]{1,15})")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_TOPIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@~-]{0,255}")


RESERVED_TOPICS = "tocsin/"
"""Topics that begin so are the hub's own: only the hub publishes on them and listens to them."""

ID_SCHEMA = {"title": "event ID", "type": "string", "pattern": f"^{_ID.pattern}$"}
TYPE_SCHEMA = {
    "title": "event type",
    "type": "string",
    "pattern": f"^{_TYPE.pattern}$",
    "not": {"enum": sorted(RESERVED_TYPES)},
}
TOPIC_SCHEMA = {
    "title": "topic",
    "type": "string",
    "pattern": f"^(?!{RESERVED_TOPICS}){_TOPIC.pattern}$",
}
"""What `check_type` and `check_topic` take, as JSON Schema."""


class EventId(NamedTuple):
    """An event's place in the log, written ``<epoch>-<seq>``; ids order as pairs of numbers.

    `epoch` is the millisecond (Unix time) at which the log was created; `seq` counts from 1 without
    holes. So an id from before a restart is older than every id of the new log, and inside one
    epoch the number of events between two ids is a subtraction.
    """

    epoch: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> EventId | None:
        """The id that `text` spells, or None if it spells none. Never raises: ids come from clients."""
        match = _ID.fullmatch(text)
        return cls(int(match[1]), int(match[2])) if match else None

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"


def ids_from(epoch: int, first: int, count: int) -> list[EventId]:
    """The ids of `count` places from `first` on."""
    return ids_of(epoch, range(first, first + count))


def ids_of(epoch: int, seqs: Sequence[int]) -> list[EventId]:
    """The ids of these places; made by the tuple's own constructor, which costs half."""
    return list(map(_new_id, zip(repeat(epoch, len(seqs)), seqs, strict=True)))


def id_texts(ids: Sequence[EventId]) -> list[str]:
    """`ids`, all of one epoch, as texts: each costs a third of what `str` does."""
    if not ids:
        return []
    before_seq = f"{ids[0].epoch}-"
    return [f"{before_seq}{seq}" for _, seq in ids]


_new_id = partial(tuple.__new__, EventId)


# Cached: a hub sees few types and topics again and again, and a look is a tenth of a check. What is
# refused isn't kept, so nobody fills the cache with what could never be published.
@lru_cache(maxsize=4_096)
def check_type(value: str, field: str = "type") -> str:
    """Return the event type `value`, or raise `InvalidInput` that names `field` and the rule."""
    if not _TYPE.fullmatch(value):
        raise InvalidInput(
            f"{field} must be a letter and up to {MAX_TYPE_LENGTH - 1} letters, digits, '.', '_' or '-'",
            code="invalid_type",
            field=field,
        )
    if value in RESERVED_TYPES:
        raise InvalidInput(
            f"{field} {value!r} is reserved: the hub or the browser uses it",
            code="reserved_type",
            field=field,
        )
    return value


@lru_cache(maxsize=4_096)
def check_topic(value: str, field: str = "topic") -> str:
    """Return the topic `value`, or raise `InvalidInput` that names `field` and the rule."""
    if not _TOPIC.fullmatch(value):
        raise InvalidInput(
            f"{field} must be 1 to {MAX_TOPIC_LENGTH} ASCII letters, digits or . _ : / @ ~ -,"
            " and begin with a letter or digit",
            code="invalid_topic",
            field=field,
        )
    if is_reserved(value):
        raise InvalidInput(
            f"{field} {value!r} is reserved: topics that begin with {RESERVED_TOPICS} are the hub's own",
            code="reserved_topic",
            field=field,
        )
    return value


def is_reserved(topic: str) -> bool:
    """Whether `topic` is one of the hub's own."""
    return topic.startswith(RESERVED_TOPICS)


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An event that has no id yet.

    Attributes:
        type: the event's type.
        data: the event's data, UTF-8; a line break in it becomes several `data:` lines.
        topic: the first of its topics.
        source: who made it (``api``, ``simulation``): a short word, a metric's label.
        more_topics: its other topics, in the publisher's order, each once.
        principal: who published it, as the hub knows them; empty if nobody said.
        traceparent: the trace it belongs to (W3C Trace Context), as it was sent; empty if none.
        key: the publisher's idempotency key; empty if none.
        final: whether it ends its topics: nothing is published on them after it.
        received: Unix time at which the hub had it, in seconds, by which its delivery is timed; 0 where that isn't
            known. No part of its record.

    Raises:
        InvalidInput: the type or a topic is malformed or reserved, a topic stands there twice, there are
            more than `MAX_TOPICS`, or a label is longer than `MAX_LABEL_LENGTH`.
    """

    type: str
    data: bytes
    topic: str = DEFAULT_TOPIC
    source: str = "api"
    more_topics: tuple[str, ...] = ()
    principal: str = ""
    traceparent: str = ""
    key: str = ""
    final: bool = False
    received: float = 0.0

    def __post_init__(self) -> None:
        check_type(self.type)
        check_topic(self.topic)
        if self.more_topics:
            _check_topics(self.topics)
        if self.principal or self.traceparent or self.key:
            _check_labels(self)

    @property
    def topics(self) -> tuple[str, ...]:
        """All its topics, 1 to `MAX_TOPICS`, each once."""
        return (self.topic, *self.more_topics)


def _check_topics(topics: tuple[str, ...]) -> None:
    if len(topics) > MAX_TOPICS:
        raise InvalidInput(
            f"an event has at most {MAX_TOPICS} topics, not {len(topics)}",
            code="too_many_topics",
            field="topics",
        )
    for topic in topics[1:]:
        check_topic(topic, "topics")
    if len(set(topics)) < len(topics):
        raise InvalidInput("topics holds a topic twice", code="repeated_topic", field="topics")


def _check_labels(draft: Draft) -> None:
    for field in ("principal", "traceparent", "key"):
        length = len(getattr(draft, field))
        if length > MAX_LABEL_LENGTH:
            raise InvalidInput(
                f"{field} has at most {MAX_LABEL_LENGTH} characters, not {length}",
                code="invalid_" + field,
                field=field,
            )


class InternalEvent(msgspec.Struct, frozen=True, gc=False):
    """What the hub says to itself, on a reserved topic: sent to who listens now, never part of the log.

    Raises:
        ValueError: the topic isn't reserved; only drafts may go to everybody.
    """

    type: str
    data: bytes
    topic: str

    def __post_init__(self) -> None:
        if not is_reserved(self.topic):
            raise ValueError(f"a signal on {self.topic!r}")


class Event(msgspec.Struct, frozen=True, gc=False):
    """A draft that the journal has committed: it has its id, and `time` (Unix seconds)."""

    id: EventId
    draft: Draft
    time: float
