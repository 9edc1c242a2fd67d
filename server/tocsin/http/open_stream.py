"""A stream that a request asks for, and the head of its answer."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from tornado.iostream import IOStream

from tocsin.access import audit
from tocsin.access.principal import Principal
from tocsin.core.filters import Filter
from tocsin.errors import Busy
from tocsin.eventlog.recent import Recent
from tocsin.http.answer import Answer, ClosingStream, Pairs, of_error
from tocsin.http.http1 import date, encode_answer, encode_fields
from tocsin.hub.hub import Hub
from tocsin.hub.stream import Stream
from tocsin.hub.welcome import encode_busy

EVENT_STREAM = "text/event-stream"

STREAM_FIELDS = {
    "Content-Type": f"{EVENT_STREAM}; charset=utf-8",
    # no-transform: a proxy that compresses would hold events back.
    "Cache-Control": "no-cache, no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx holds every event until the end without it
}


EVENT_STREAMS = frozenset({EVENT_STREAM, "text/*", "*/*"})
"""Media ranges that an event stream is of."""

_NONE = re.compile(r"(?:^|;)\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)")
"""The weight that says: not this one."""


class OpenStream(msgspec.Struct, frozen=True, gc=False):
    """A stream to be opened over the connection that the request came by.

    Attributes:
        hub: opens it.
        filter: what it gets.
        last_event_ids: as the client sent them, in all the places where it may.
        presence: whether it also gets `presence` events.
        ignored: parameters that mean nothing here, which the welcome names.
        chunked: whether the body is; HTTP/1.0 has none of that.
        of_every_answer: header fields.
        second: the Unix time, for `Date`.
        is_internal: asked for by the hub itself.
        reader: who asks; None where everybody may do everything.
        peer: the client's address.
        is_for_events: whether the client takes an event stream: else it is told by a status that there is none now.
        recent: what it gets first; None is nothing.
        agent: what the client says that it is.
    """

    hub: Hub
    filter: Filter
    last_event_ids: Sequence[str]
    presence: bool
    ignored: tuple[str, ...]
    chunked: bool
    of_every_answer: Pairs
    second: int
    is_internal: bool = False
    reader: Principal | None = None
    peer: str = ""
    is_for_events: bool = True
    recent: Recent | None = None
    agent: str = ""

    def open(self, connection: socket.socket | IOStream) -> Stream | ClosingStream:
        """Open it over `connection`, which the hub owns from here on.

        Where the hub takes no more streams, `connection` is still the caller's, and what it should send is
        returned: `come_back`. Only a client whose `Accept` names no event stream is told 503. A client that has
        all that ever comes is told 204: a browser's EventSource takes it for its end (WHATWG HTML, section 9.2.3).
        """
        head = stream_head(self.chunked, self.of_every_answer, self.second)
        if self.is_internal:  # however full the hub is: whether events arrive is another question
            return self.hub.listen(connection, self.filter, head=head, chunked=self.chunked)
        if self.hub.has_all(self.filter, self.last_event_ids):
            self.hub.counters.rejected["ended"] += 1
            return self._refusal(Answer(204, content_type=""))
        try:
            stream = self.hub.subscribe(
                connection,
                self.filter,
                last_event_id=self.last_event_ids,
                head=head,
                chunked=self.chunked,
                presence=self.presence,
                ignored=self.ignored,
                address=self.peer,
                reader=self.reader,
                recent=self.recent,
                agent=self.agent,
            )
        except Busy as busy:
            if not self.is_for_events:
                return self._refusal(of_error(busy))
            return come_back(busy.reason, busy.retry_ms, self.of_every_answer, self.second)
        if audit.is_on():
            name = self.reader.name if self.reader else ""
            audit.note_stream(name, self.peer, stream.number, self.filter.patterns)
        return stream

    def _refusal(self, answer: Answer) -> ClosingStream:
        """`answer`, and the end of the connection."""
        data = encode_answer(answer, self.second, self.of_every_answer, False, False)
        return ClosingStream(data)


def come_back(reason: str, retry_ms: int, of_every_answer: Pairs, second: int) -> ClosingStream:
    """What an event source is told that gets no stream now: the event `busy`, a reconnection time, and the end.

    With the status 200 all the same: a browser's EventSource gives up for good on any other (WHATWG HTML,
    section 9.2.3).
    """
    head = stream_head(False, of_every_answer, second)
    return ClosingStream(head, encode_busy(reason, retry_ms))


@lru_cache(maxsize=64)
def takes_events(accept: str) -> bool:
    """Whether a header `Accept` has room for an event stream; none at all has (RFC 9110, section 12.5.1)."""
    ranges = [part.partition(";") for part in accept.lower().split(",")]
    taken = [name.strip() for name, _, parameters in ranges if not _NONE.search(parameters)]
    return not accept.strip() or any(name in EVENT_STREAMS for name in taken)


# Cached: all streams that open within a second have the same head, and making one is half of what opening costs.
@lru_cache(maxsize=64)
def stream_head(chunked: bool, of_every_answer: Pairs, second: int) -> bytes:
    """The head of a stream's answer, up to the body."""
    fields = dict(of_every_answer) | STREAM_FIELDS | {"Date": date(second)}
    if chunked:
        fields |= {"Connection": "keep-alive", "Transfer-Encoding": "chunked"}
    else:
        fields["Connection"] = "close"
    return encode_fields(200, fields) + b"\r\n"
