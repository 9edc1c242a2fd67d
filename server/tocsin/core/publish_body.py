"""What a publisher sends: one event, or a batch of them, read into drafts.

An event is a JSON object with `type`, `message` and, if wanted, `data`, `topic`, `topics` and `final`. A batch is a JSON
array of them, or NDJSON (one a line). A batch is taken whole or not at all.

A body may be hostile or just large, and all streams wait while it is read. So a batch is read in
slices, by a generator that yields between them, and what is too much is refused before objects are
made of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tocsin.core.event import (
    DEFAULT_TOPIC,
    MAX_TOPICS,
    TOPIC_SCHEMA,
    TYPE_SCHEMA,
    Draft,
    InternalEvent,
)
from tocsin.core.idempotency import KEY_SCHEMA, check_key
from tocsin.core.strict_json import (
    DECODE_ERRORS,
    MAX_DEPTH,
    check_names,
    check_numbers,
    count_names,
    decode,
    malformed,
    refusal,
)
from tocsin.core.wire import FRAME_BYTES
from tocsin.errors import InvalidInput

SOURCE = "api"
OWN_SOURCE = "tocsin"

SLICE_BYTES = 32 * 1024
"""How much of a batch is read in one turn of the loop, to the end of an event: 1 to 5 ms."""

Slices = Generator[None, None, Sequence[Draft]]
"""Work that is done in slices: it yields between them, and returns the drafts."""


REQUIRED = ("type", "message")
"""Of an event that is sent as JSON; `_draft` sees to it."""


# What is said of the fields is for their description alone: what may stand in them is checked by `_draft` and by
# `Draft`, in words of their own.
class EventBody(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One event of a batch as it is sent. A misspelt field is refused rather than lost.

    Attributes:
        type: the event type, which clients listen for.
        message: a text for people.
        data: what else belongs to it.
        topic: where it goes; `default` without any topic.
        topics: where it goes too, 20 topics at most with `topic`. It is one event with one id, and a stream that asked
            for several of them gets it once.
        final: whether it ends its topics: nothing is published on them after it. That takes a right of its own.
    """

    type: Annotated[str, Meta(extra_json_schema=TYPE_SCHEMA, examples=["deploy"])] = ""
    message: Annotated[
        str,
        Meta(
            extra_json_schema={"minLength": 1, "maxLength": "max_event_bytes"},
            examples=["Shop 4.2 is out"],
        ),
    ] = ""
    data: Annotated[dict[str, Any], Meta(examples=[{"version": "4.2"}])] = {}
    topic: (
        Annotated[str, Meta(extra_json_schema=TOPIC_SCHEMA, examples=["shop/deploys"])] | UnsetType
    ) = UNSET
    topics: Annotated[
        tuple[Annotated[str, Meta(extra_json_schema=TOPIC_SCHEMA)], ...],
        Meta(
            extra_json_schema={"maxItems": MAX_TOPICS, "uniqueItems": True},
            examples=[["teams/storage", "shop/status"]],
        ),
    ] = ()
    final: bool = False

    @property
    def all_topics(self) -> tuple[str, ...]:
        """What it is published on, in the sender's order: `topic`, then `topics`, which may name it again."""
        if self.topic is UNSET:
            return self.topics or (DEFAULT_TOPIC,)
        if self.topic not in self.topics:
            return (self.topic, *self.topics)
        at = self.topics.index(self.topic)
        return (self.topic, *self.topics[:at], *self.topics[at + 1 :])

    @property
    def names(self) -> int:
        """How many names its text holds at least.

        A text with as many colons has no name twice: that needs no closer look.

        Raises:
            InvalidInput: its data nests too deep.
        """
        names = 2 if self.type and self.message else bool(self.type) + bool(self.message)
        if self.topic is not UNSET:
            names += 1
        if self.topics:
            names += 1
        if self.final:
            names += 1
        if not self.data:  # as most are, and a batch has a thousand
            return names
        if any(isinstance(value, (dict, list)) for value in self.data.values()):
            return names + 1 + count_names(self.data, MAX_DEPTH - 1)
        return names + 1 + len(self.data)


class PublishBody(EventBody, forbid_unknown_fields=True, gc=False):
    """An event that is sent alone: it may bear an idempotency key, which a batch has in its header.

    Attributes:
        key: the idempotency key, as the header `Idempotency-Key`.
    """

    key: Annotated[str, Meta(extra_json_schema=KEY_SCHEMA, examples=["deploy-4.2"])] = ""

    @property
    def names(self) -> int:
        """As for one of a batch, with its key."""
        return super().names + bool(self.key)


class Payload(msgspec.Struct, gc=False):
    """The data of an event that came in by a POST, as clients get it.

    Attributes:
        message: as it was sent.
        data: as it was sent.
        timestamp: when it was accepted, ISO 8601 in UTC.
        source: `api`, or `simulation`.
        topic: the first of its topics.
    """

    message: str
    data: dict[str, Any]
    timestamp: str
    source: str
    topic: str


class PayloadOfSeveral(Payload, gc=False):
    """The data of an event with more topics than one: each reader is told all of them.

    Attributes:
        topics: all of them.
    """

    topics: tuple[str, ...]


_decode = msgspec.json.Decoder(PublishBody).decode
_decode_element = msgspec.json.Decoder(EventBody).decode
_decode_array = msgspec.json.Decoder(list[EventBody]).decode
_encode = msgspec.json.Encoder().encode

AnyBody = TypeVar("AnyBody", bound=EventBody)

_NEL, _LS, _PS = (chr(code).encode() for code in (0x85, 0x2028, 0x2029))
"""Where Python's `str.splitlines` cuts beside CR, LF and what JSON escapes anyway.

Clients that read a stream by it (those on httpx and requests do) would cut an event in two and lose it.
"""

_FIRST_OF_NEL, _FIRST_OF_LS = _NEL[0], _LS[0]
"""Their first bytes, as numbers: `in` finds a number in bytes seven times as fast as two bytes."""

_BLANKS = b" \t\r\n"
_BLANK = re.compile(rb"[ \t\r\n]*+")
_LINE = re.compile(rb"[ \t\r\n]*+([^\n]++)")
_COMMA = re.compile(rb"[ \t\r\n]*+,[ \t\r\n]*+")
_ARRAY = re.compile(rb"[ \t\r\n]*+\[[ \t\r\n]*+")
_TWO_IN_A_LINE = re.compile(rb"\}[ \t\r]*+,[ \t\r]*+\{")
_TOKEN = re.compile(rb'([{\[])|([}\]])|"[^"\\]*+(?:\\.[^"\\]*+)*+"|(")', re.DOTALL)
"""What a structure is made of: an opening bracket, a closing one, a string, one without its end."""


def is_array(body: bytes | bytearray) -> bool:
    """Whether `body`, or its beginning, is that of a JSON array."""
    return body[:1] != b"{" and body[:64].lstrip().startswith(b"[")


def read_event(body: bytes, timestamp: str, *, max_bytes: int) -> Draft:
    """The draft that `body`, one event accepted at `timestamp` (ISO 8601), asks for.

    Args:
        body: the JSON.
        timestamp: when it was accepted.
        max_bytes: what `body` may have, and the event as clients get it: framed, with type and id.
            An idempotency key in it becomes the draft's, and is no part of what clients get.

    Raises:
        InvalidInput: it can't be taken.
    """
    event = _read(body, _decode, max_bytes)
    key = check_key(event.key, "key") if event.key else ""
    return _draft(event, timestamp, max_bytes, key)


def read_event_on(
    topic: str, body: bytes, type: str, timestamp: str, *, max_bytes: int, final: bool = False
) -> Draft:
    """The same where the request names the topic, the type of an event that names none, and whether it is `final`.

    Raises:
        InvalidInput: it can't be taken; the event names another topic.
    """
    event = _read(body, _decode, max_bytes)
    if event.topic is not UNSET and event.topic != topic:
        message = "topic is not the one that the address names"
        raise InvalidInput(message, code="topic_mismatch", field="topic")
    event.topic = topic
    event.type = event.type or type
    event.final = event.final or final
    key = check_key(event.key, "key") if event.key else ""
    return _draft(event, timestamp, max_bytes, key)


def draft_of(
    type: str,
    message: str,
    data: dict[str, Any],
    topic: str,
    timestamp: str,
    *,
    max_bytes: int,
    key: str = "",
    final: bool = False,
) -> Draft:
    """The draft of an event that was sent in another form, as clients get what is posted.

    Raises:
        InvalidInput: it can't be taken.
    """
    event = EventBody(type, message, data, topic, final=final)
    return _draft(event, timestamp, max_bytes, key)


def text_of(message: bytes | str) -> str:
    """A message that was sent as text, without the line ends that a shell puts behind it.

    Raises:
        InvalidInput: it isn't UTF-8.
    """
    if isinstance(message, str):
        return message.rstrip("\r\n")
    try:
        return message.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"the body is not UTF-8 at byte {error.start}", code="invalid_text", status=400
        ) from None


def read_internal(body: bytes, timestamp: str) -> InternalEvent:
    """The internal event that `body`, sent by the hub itself, asks for."""
    event = decode(body, PublishBody)
    topic = event.all_topics[0]
    payload = Payload(event.message, event.data, timestamp, OWN_SOURCE, topic)
    return InternalEvent(event.type, _encode(payload), topic)


def read_batch(
    body: bytes, timestamp: str, *, ndjson: bool, max_bytes: int, max_events: int
) -> Slices:
    """Read the drafts that `body`, a batch, asks for, in its order.

    Args:
        body: a JSON array, or NDJSON where `ndjson` is set; blank lines are nothing.
        timestamp: when it was accepted, ISO 8601.
        ndjson: which of the two it is.
        max_bytes: of one event, as for `read_event`.
        max_events: of the batch.

    Yields:
        None, after some ms of work. A batch that is small yields nothing.

    Returns:
        The drafts, 1 to `max_events`.

    Raises:
        InvalidInput: one of them can't be taken, and so none is; `index` says which, from 0.
    """
    if ndjson:
        return _read_lines(body, timestamp, max_bytes, max_events)
    return _read_array(body, timestamp, max_bytes, max_events)


def _look_closely(text: bytes, names: int) -> None:
    """Refuse names alike in `text`, which holds at least `names` of them."""
    # A name's colon stands behind its quote. Where nothing is between the two, colons in text, such as
    # those of times and addresses, don't count: and most bodies are done with.
    if text.count(b'":') != names or _has_blank_colon(text):
        check_names(text)


def _has_blank_colon(text: bytes) -> bool:
    return b" :" in text or b"\n:" in text or b"\t:" in text or b"\r:" in text


def _read(
    body: bytes, decode: Callable[[bytes], AnyBody], max_bytes: int, offset: int = 0
) -> AnyBody:
    """The event that `body` is, which begins at `offset` of what was sent; errors tell places there.

    Raises:
        InvalidInput: it can't be taken.
    """
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    try:
        event = decode(body)
    except DECODE_ERRORS as error:
        raise refusal(error, body, offset) from None
    colons = body.count(b":")
    # The usual event has the two names that must be there, or a topic too.
    if colons != (2 if event.topic is UNSET else 3) or not event.type or not event.message:
        names = event.names
        if colons != names:
            _look_closely(body, names)
    if event.data:
        check_numbers(body, "data")
    return event


def _draft(event: EventBody, timestamp: str, max_bytes: int, key: str = "") -> Draft:
    if not event.type or not event.message:
        field = "message" if event.type else "type"
        raise InvalidInput(
            f"{field} is missing or empty; type and message are required, not empty",
            code="missing_field",
            field=field,
            status=400,
        )
    topic = DEFAULT_TOPIC if event.topic is UNSET else event.topic
    more_topics: tuple[str, ...] = ()
    payload = Payload(event.message, event.data, timestamp, SOURCE, topic)
    if event.topics:
        topic, *rest = topics = event.all_topics
        more_topics = tuple(rest)
        payload = _payload_of(event, timestamp, topics)
    data = _encode(payload)
    if not data.isascii() and (_FIRST_OF_LS in data or _FIRST_OF_NEL in data):
        data = _escape_separators(data)
    # The id isn't known yet; counted is the longest there can be.
    size = len(data) + len(event.type) + FRAME_BYTES
    if size > max_bytes:
        raise _too_large(max_bytes, size)
    if key or more_topics or event.final:
        return Draft(event.type, data, topic, SOURCE, more_topics, key=key, final=event.final)
    return Draft(event.type, data, topic, SOURCE)


def _payload_of(event: EventBody, timestamp: str, topics: tuple[str, ...]) -> Payload:
    """The data of an event that names its topics in a list, which may be one."""
    if len(topics) == 1:
        return Payload(event.message, event.data, timestamp, SOURCE, topics[0])
    return PayloadOfSeveral(event.message, event.data, timestamp, SOURCE, topics[0], topics)


def _escape_separators(json: bytes) -> bytes:
    return json.replace(_LS, b"\\u2028").replace(_PS, b"\\u2029").replace(_NEL, b"\\u0085")


def _read_lines(body: bytes, timestamp: str, max_bytes: int, max_events: int) -> Slices:
    if body.count(b"\n") + (not body.endswith(b"\n")) > max_events:  # or some of them are blank
        yield from _count_lines(body, max_events)
    drafts: list[Draft] = []
    for start, stop in _line_slices(body):
        if start:
            yield
        text = body[start:stop]
        flat = _read_flat_lines(text, timestamp, max_bytes)
        if flat is not None:
            drafts += flat
            continue
        for line in _LINE.finditer(text.rstrip(_BLANKS)):
            first = start + line.start(1)
            last = first + len(line[1].rstrip(_BLANKS))
            drafts.append(_read_one_of(body, first, last, len(drafts), timestamp, max_bytes))
    if not drafts:
        raise _batch_size(max_events, empty=True)
    return drafts


def _line_slices(body: bytes) -> Iterator[tuple[int, int]]:
    """Where slices of whole lines begin and end."""
    start = 0
    while start < len(body):
        stop = body.find(b"\n", start + SLICE_BYTES) + 1 or len(body)
        yield start, stop
        start = stop


def _count_lines(body: bytes, max_events: int) -> Generator[None, None, None]:
    """Refuse more than `max_events` lines that aren't blank, before anything is read."""
    lines = 0
    for start, stop in _line_slices(body):
        if start:
            yield
        lines += len(_LINE.findall(body[start:stop].rstrip(_BLANKS)))
        if lines > max_events:
            raise _batch_size(max_events)


def _read_flat_lines(text: bytes, timestamp: str, max_bytes: int) -> list[Draft] | None:
    """The drafts of the lines in `text`, at one go; None where there is more to say than that."""
    if len(text) > SLICE_BYTES + max_bytes or _TWO_IN_A_LINE.search(text):
        return None
    lines = _LINE.findall(text.rstrip(_BLANKS))
    drafts = _read_flat(b"[%b]" % b",".join(lines), timestamp, max_bytes)
    # No line holds two events; so if there are as many, none goes on over the end of its line.
    return drafts if drafts is not None and len(drafts) == len(lines) else None


def _read_one_of(
    body: bytes, start: int, stop: int, index: int, timestamp: str, max_bytes: int
) -> Draft:
    """The draft of event `index` of a batch, which lies from `start` to `stop`."""
    try:
        if stop - start > max_bytes:
            raise _too_large(max_bytes)
        event = _read(body[start:stop], _decode_element, max_bytes, start)
        return _draft(event, timestamp, max_bytes)
    except InvalidInput as error:
        raise error.at(index) from None


def _read_array(body: bytes, timestamp: str, max_bytes: int, max_events: int) -> Slices:
    """Read an array in slices of many events, which is three times as fast as one by one.

    Where a slice ends is guessed. If what lies before it reads as a list of events, the guess was
    right: JSON is read from left to right, and read whole it would come to the same place. If it
    doesn't, the slice is read event by event, which finds out where it ends, or what is wrong with it.
    """
    at, end = _end(_ARRAY, body, 0), len(body.rstrip(_BLANKS)) - 1
    if at <= 0 or end < at or body[end] != ord("]"):
        raise malformed("the body is not JSON: an array must end with ']'")
    drafts: list[Draft] = []
    # Such as `{"type":`. So begin, most often, all events of a batch, and nothing that is in them.
    opening = body[at : at + 8]
    while at < end:
        after = _guess(body, at, end, opening, max_bytes)
        text = _as_array(body[at:after], is_last=after == end) if after else b""
        some = _read_flat(text, timestamp, max_bytes)
        if some is None:
            index = len(drafts)
            some, after = _read_closely(body, at, end, index, timestamp, max_bytes, max_events)
        drafts += some
        if len(drafts) > max_events:
            raise _batch_size(max_events)
        at = after
        if at < end:
            yield
    if not drafts:
        raise _batch_size(max_events, empty=True)
    return drafts


def _guess(body: bytes, at: int, end: int, opening: bytes, max_bytes: int) -> int:
    """Where the slice from `at` ends and an event seems to begin, or `end`; 0 where nothing shows it."""
    if end - at <= SLICE_BYTES:
        return end
    beyond = at + SLICE_BYTES + max_bytes
    found = body.find(opening, at + SLICE_BYTES, beyond)
    if found > 0:
        return found
    return end if end < beyond else 0


def _as_array(text: bytes, *, is_last: bool) -> bytes:
    """A slice of an array, as an array; empty where it doesn't end with the comma that must be there."""
    if is_last:
        return b"[%b]" % text
    text = text.rstrip(_BLANKS)
    return b"[%b]" % text[:-1] if text.endswith(b",") else b""


def _read_flat(array: bytes, timestamp: str, max_bytes: int) -> list[Draft] | None:
    """The drafts of the events in `array`, at one go.

    None where anything is wrong with it: one by one tells what it is, and where.
    """
    try:
        events = _decode_array(array)
        names = sum([event.names for event in events])
        if array.count(b":") != names:
            _look_closely(array, names)
        check_numbers(array)
        if len(array) > max_bytes and _largest(array) > max_bytes:
            return None
        return [_draft(event, timestamp, max_bytes) for event in events]
    except (InvalidInput, *DECODE_ERRORS):
        return None


def _largest(array: bytes) -> int:
    """Bytes of the largest element."""
    elements = msgspec.json.decode(array, type=list[msgspec.Raw])
    return max([len(memoryview(element)) for element in elements], default=0)


def _read_closely(
    body: bytes, at: int, end: int, index: int, timestamp: str, max_bytes: int, max_events: int
) -> tuple[list[Draft], int]:
    """The drafts of a slice from `at`, where event `index` begins; and where the next slice begins.

    Raises:
        InvalidInput: one of them can't be taken.
    """
    drafts: list[Draft] = []
    last = at + SLICE_BYTES
    while at < min(end, last) and index + len(drafts) <= max_events:
        stop = _element_end(body, at, end, max_bytes)
        drafts.append(_read_one_of(body, at, stop, index + len(drafts), timestamp, max_bytes))
        at = _end(_BLANK, body, stop)
        if at < end:
            at = _end(_COMMA, body, stop)
            if at < 0 or at == end:
                raise malformed(f"the body is not JSON: no ',' and event at byte {stop}")
    return drafts, at


def _element_end(body: bytes, start: int, end: int, max_bytes: int) -> int:
    """Where the element that begins at `start` ends, or where it is known to be too large.

    A list, a number or a word is cut behind what shows that it is none: who reads it says so.
    """
    beyond = min(end, start + max_bytes + 1)
    if body[start] not in b'{"':
        return min(beyond, start + len("false"))
    depth = 0
    for token in _TOKEN.finditer(body, start, beyond):
        kind = token.lastindex
        if kind == 1:
            depth += 1
        elif kind == 2:
            depth -= 1
        elif kind == 3:
            break
        if depth <= 0:
            return token.end()
    return beyond


def _end(pattern: re.Pattern[bytes], body: bytes, at: int, end: int | None = None) -> int:
    """Where `pattern`, matched at `at`, ends; -1 if it doesn't match."""
    match = pattern.match(body, at, len(body) if end is None else end)
    return match.end() if match else -1


def _too_large(max_bytes: int, framed: int = 0) -> InvalidInput:
    """`framed` is how many bytes it has as clients get it, where those are too many."""
    found = f": it has {framed} as clients get it, with type and id" if framed else ""
    return InvalidInput(
        f"the event is larger than max_event_bytes, {max_bytes} bytes{found}",
        code="too_large",
        status=413,
    )


def _batch_size(max_events: int, *, empty: bool = False) -> InvalidInput:
    return InvalidInput(
        f"a batch is 1 to max_batch_events, {max_events} events, not {0 if empty else 'more'}",
        code="batch_size",
        status=400 if empty else 413,
    )
