"""What a request for a stream asks for, and the head of its answer."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream

from tocsin.core.filters import Filter
from tocsin.http.base import cors, is_internal, query_value, query_values
from tocsin.hub.hub import Hub

STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    # no-transform: a proxy that compresses would hold events back.
    "Cache-Control": "no-cache, no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx holds every event until the end without it
    "X-Content-Type-Options": "nosniff",
    "Server": "tocsin",
}


class Subscription(NamedTuple):
    """A stream that is asked for; `is_internal`: by the hub itself, for an internal stream."""

    filter: Filter
    last_event_id: str
    presence: bool
    chunked: bool
    head: bytes
    is_internal: bool

    @classmethod
    def read(cls, hub: Hub, request: HTTPServerRequest) -> Subscription:
        """The subscription that `request` asks for.

        Raises:
            InvalidInput: it asks for what can't be.
        """
        own = is_internal(hub, request)
        topics = query_values(request, "topic")
        filter = Filter(topics) if own else Filter.parse(topics, query_values(request, "type"))
        chunked = request.version != "HTTP/1.0"
        return cls(
            filter,
            _last_event_id(request),
            query_value(request, "presence") == "1",
            chunked,
            stream_head(chunked, *cors(hub, request)),
            own,
        )

    def open(self, hub: Hub, iostream: IOStream) -> None:
        """Open it over a detached connection, which the hub owns from here on."""
        if self.is_internal:  # however full the hub is: whether events arrive is another question
            hub.listen(iostream, self.filter, head=self.head, chunked=self.chunked)
            return
        hub.subscribe(
            iostream,
            self.filter,
            last_event_id=self.last_event_id,
            head=self.head,
            chunked=self.chunked,
            presence=self.presence,
        )


def _last_event_id(request: HTTPServerRequest) -> str:
    """What the client had last: the header, which a reconnecting browser keeps up to date, wins."""
    header = request.headers.get("Last-Event-ID")
    if header:
        # Browsers send UTF-8, Tornado reads latin-1. Whatever it is, it is compared, not trusted.
        return header.encode("latin-1").decode("utf-8", "replace")
    return query_value(request, "last_event_id") or query_value(request, "lastEventId")


@lru_cache(maxsize=64)
def stream_head(chunked: bool, origin: str | None, vary: bool) -> bytes:
    """The head of the answer. Made once for all streams alike: half of what opening one would cost."""
    headers = dict(STREAM_HEADERS)
    if origin:
        headers["Access-Control-Allow-Origin"] = origin
    if vary:
        headers["Vary"] = "Origin"
    if chunked:
        headers |= {"Connection": "keep-alive", "Transfer-Encoding": "chunked"}
    else:
        headers["Connection"] = "close"
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode("latin-1")
