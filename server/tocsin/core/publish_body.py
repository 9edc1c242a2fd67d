"""What a publisher sends: one notice, or a batch of them, read into drafts.

A notice is a JSON object with `type`, `message` and, if wanted, `data` and `topic`. A batch is a JSON
array of them, or NDJSON (one a line). A batch is taken whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tocsin.core.event import Draft, InternalEvent
from tocsin.core.strict_json import check_names, parse
from tocsin.errors import InvalidInput

SOURCE = "api"
OWN_SOURCE = "tocsin"


class Notice(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One notice as it is sent. A misspelt field is refused rather than lost."""

    type: str = ""
    message: str = ""
    data: dict[str, Any] = {}
    topic: str = "default"

    @property
    def names(self) -> int:
        """How many names its text holds at least; 0 where values nest, or it isn't complete.

        A text with as many colons has no name twice and no depth: that needs no closer look.
        """
        if not (self.type and self.message):
            return 0
        names = 2 if self.topic == "default" else 3
        if not self.data:  # as most are, and a batch has a thousand
            return names
        if any(isinstance(value, dict | list) for value in self.data.values()):
            return 0
        return names + 1 + len(self.data)

    def draft(self, timestamp: str) -> Draft:
        """The event this asks for, accepted at `timestamp`.

        Raises:
            InvalidInput: a field is missing, empty or malformed.
        """
        if not self.type or not self.message:
            field = "message" if self.type else "type"
            raise InvalidInput(
                f"{field} is missing or empty; type and message are required, not empty",
                code="missing_field",
                field=field,
                status=400,
            )
        return Draft(self.type, self._payload(timestamp, SOURCE), self.topic, SOURCE)

    def signal(self, timestamp: str) -> InternalEvent:
        """The signal this asks for, where the hub itself sent it."""
        return InternalEvent(self.type, self._payload(timestamp, OWN_SOURCE), self.topic)

    def _payload(self, timestamp: str, source: str) -> bytes:
        return _encode(Payload(self.message, self.data, timestamp, source, self.topic))


class Payload(msgspec.Struct, gc=False):
    """The data of an event that came in as a notice, as clients get it."""

    message: str
    data: dict[str, Any]
    timestamp: str
    source: str
    topic: str


_encode = msgspec.json.Encoder().encode


def is_array(body: bytes | bytearray) -> bool:
    """Whether `body`, or its beginning, is that of a JSON array."""
    return body[:64].lstrip().startswith(b"[")


def read_notice(body: bytes, timestamp: str, *, max_bytes: int) -> Draft:
    """The draft that `body`, one notice, asks for.

    Raises:
        InvalidInput: it can't be taken.
    """
    if len(body) > max_bytes:
        raise InvalidInput(
            f"the event is larger than max_event_bytes, {max_bytes} bytes",
            code="too_large",
            status=413,
        )
    return _read(body).draft(timestamp)


def _read(body: bytes) -> Notice:
    notice = parse(body, Notice)
    if body.count(b":") != notice.names:
        check_names(body)
    return notice


def read_internal(body: bytes, timestamp: str) -> InternalEvent:
    """The signal that `body`, one notice of the hub's own, asks for."""
    return _read(body).signal(timestamp)


def read_batch(
    body: bytes, timestamp: str, *, ndjson: bool, max_bytes: int, max_events: int
) -> Sequence[Draft]:
    """The drafts that `body`, a batch, asks for, in its order.

    Args:
        body: a JSON array, or NDJSON where `ndjson` is set; blank lines are nothing.
        timestamp: when it was accepted, ISO 8601.
        ndjson: which of the two it is.
        max_bytes: of one notice.
        max_events: of the batch.

    Raises:
        InvalidInput: one of them can't be taken, and so none is; `index` says which, from 0.
    """
    if not ndjson and (drafts := _read_flat(body, timestamp, max_bytes, max_events)):
        return drafts
    notices = _lines(body) if ndjson else _elements(body)
    if not 0 < len(notices) <= max_events:
        raise InvalidInput(
            f"a batch is 1 to max_batch_events, {max_events} events, not {len(notices)}",
            code="batch_size",
            status=413 if notices else 400,
        )
    drafts = []  # one by one, to say which one is at fault
    for index, notice in enumerate(notices):
        try:
            drafts.append(read_notice(notice, timestamp, max_bytes=max_bytes))
        except InvalidInput as error:
            raise error.at(index) from None
    return drafts


def _read_flat(
    body: bytes, timestamp: str, max_bytes: int, max_events: int
) -> Sequence[Draft] | None:
    """The drafts of an array at one go, which is three times as fast as one by one.

    None where anything is wrong, or wants a closer look: one by one tells what it is, and where.
    """
    try:
        notices = parse(body, list[Notice])
        if len(notices) > max_events or body.count(b":") != sum([n.names for n in notices]):
            return None
        if len(body) > max_bytes and _largest(body) > max_bytes:
            return None
        return [notice.draft(timestamp) for notice in notices]
    except InvalidInput:
        return None


def _largest(array: bytes) -> int:
    """Bytes of the largest element."""
    return max([len(memoryview(raw)) for raw in parse(array, list[msgspec.Raw])], default=0)


def _lines(body: bytes) -> Sequence[bytes]:
    return [line for line in body.split(b"\n") if line.strip()]


def _elements(body: bytes) -> Sequence[bytes]:
    return [bytes(element) for element in parse(body, list[msgspec.Raw])]
