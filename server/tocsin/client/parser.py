"""From the bytes of ``text/event-stream`` to events (WHATWG HTML, section 9.2.6). It knows no connection.

Bytes may be cut anywhere. A line that CR ends counts at once: whether LF follows is seen with the next bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from tocsin.client.errors import EventTooLarge
from tocsin.client.event import Event

MAX_EVENT_BYTES = 1024 * 1024
"""Of the data of one event, and of one line: a hub's own limit is 64 KiB by default."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_RETRY_DIGITS = 9  # eleven days; Python refuses to read thousands of digits


class EventStreamParser:
    """Reads one body. A connection that is made anew needs a new one, with the last event ID of the old.

    Attributes:
        last_event_id: as of the last block that is complete. An event cut in two doesn't count.
        retry_ms: the reconnection time that was told last; None if none was.
    """

    def __init__(self, last_event_id: str = "", max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_event_id = last_event_id
        self.retry_ms: int | None = None
        self._max_bytes = max_event_bytes
        self._partial: list[bytes] = []  # joined once: a long line may come byte by byte
        self._partial_bytes = 0
        self._is_first_line = True
        self._ended_with_cr = False
        self._data: list[str] = []
        self._data_bytes = 0
        self._type = ""
        self._id = last_event_id

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that are complete with these bytes, in order. All must be taken before the next bytes are fed.

        Raises:
            EventTooLarge: one is larger than `max_event_bytes`. Those before it have been given; nothing follows.
        """
        if self._ended_with_cr and chunk:
            chunk = chunk.removeprefix(b"\n")  # of CR LF, cut in two
            self._ended_with_cr = False
        for piece in chunk.splitlines(keepends=True):
            line = piece.rstrip(b"\r\n")
            if self._partial_bytes + len(line) > self._max_bytes:
                raise self._too_large("a line")
            if len(line) == len(piece):
                self._partial.append(piece)
                self._partial_bytes += len(piece)
                break
            if self._partial:
                line = b"".join((*self._partial, line))
                self._partial.clear()
                self._partial_bytes = 0
            if (event := self._interpret(line)) is not None:
                yield event
        self._ended_with_cr = chunk.endswith(b"\r")

    def _interpret(self, line: bytes) -> Event | None:
        if self._is_first_line:
            line = line.removeprefix(BYTE_ORDER_MARK)
            self._is_first_line = False
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data_bytes += len(value) + 1
            if self._data_bytes > self._max_bytes + 1:
                raise self._too_large("an event")
            self._data.append(value.decode(errors="replace"))
        elif field == b"event":
            self._type = value.decode(errors="replace")
        elif field == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")
        elif field == b"retry" and value.isdigit():  # of bytes: ASCII digits only
            digits = value.lstrip(b"0") or b"0"
            self.retry_ms = int(digits) if len(digits) <= MAX_RETRY_DIGITS else 10**9
        return None

    def _dispatch(self) -> Event | None:
        self.last_event_id = self._id
        data, self._data, self._data_bytes = self._data, [], 0
        type, self._type = self._type, ""
        return Event(type or "message", "\n".join(data), self._id) if data else None

    def _too_large(self, what: str) -> EventTooLarge:
        return EventTooLarge(f"{what} of the stream is larger than {self._max_bytes} bytes")
