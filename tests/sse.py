"""A reference parser of event streams, to hold the hub's bytes against.

Written line by line after WHATWG HTML, section 9.2.6, "Interpreting an event stream"; slow and plain on
purpose, and sharing no code with the encoder.
"""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ServerSentEvent:
    """An event as a page would get it."""

    type: str
    data: str
    last_event_id: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class EventStreamParser:
    """Takes the body in chunks cut anywhere, and gives back the events each chunk completes."""

    def __init__(self) -> None:
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._at_start = True
        self._data: list[str] = []
        self._type = ""
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that are dispatched now that `chunk` is known."""
        self._text += self._decoder.decode(chunk)
        if self._at_start and self._text:
            self._text = self._text.removeprefix("\ufeff")  # one byte order mark, at the start
            self._at_start = False
        events = []
        while (line := self._next_line()) is not None:
            event = self._interpret(line)
            if event:
                events.append(event)
        return events

    def _next_line(self) -> str | None:
        ends = [i for i in (self._text.find("\n"), self._text.find("\r")) if i >= 0]
        if not ends:
            return None
        end = min(ends)
        if self._text[end] == "\r" and end + 1 == len(self._text):
            return None  # a line feed may follow: CRLF is one line end
        after = end + (2 if self._text[end : end + 2] == "\r\n" else 1)
        line, self._text = self._text[:end], self._text[after:]
        return line

    def _interpret(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            return None
        field, _, value = line.partition(":")
        self._process(field, value.removeprefix(" "))
        return None

    def _process(self, field: str, value: str) -> None:
        if field == "event":
            self._type = value
        elif field == "data":
            self._data.append(value)
        elif field == "id" and "\0" not in value:
            self._id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            self.retry_ms = int(value)

    def _dispatch(self) -> ServerSentEvent | None:
        self.last_event_id = self._id
        data, self._data = self._data, []
        type, self._type = self._type, ""
        return ServerSentEvent(type or "message", "\n".join(data), self._id) if data else None
