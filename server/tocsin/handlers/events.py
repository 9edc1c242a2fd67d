"""``GET /events``: checks and admits the request, then hands the socket over to the hub."""

from __future__ import annotations

import asyncio
from functools import lru_cache

import msgspec

from tocsin.errors import InvalidInput
from tocsin.filters import Filter
from tocsin.handlers.base import Handler, allowed_origin
from tocsin.wire import encode_event, encode_retry

STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    # no-transform: a proxy that compresses would hold events back.
    "Cache-Control": "no-cache, no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx holds every event until the end without it
    "X-Content-Type-Options": "nosniff",
    "Server": "tocsin",
}


class EventsHandler(Handler):
    """Opens streams. Nothing temporary is answered with a status other than 200.

    A browser's EventSource gives up for good on any other status (WHATWG HTML, section 9.2.3), so a
    full or stopping hub answers 200 with the event `busy`, a reconnection time, and the end.
    """

    def get(self) -> None:
        """Open a stream, or say why not."""
        if self.is_own:
            self._listen()
            return
        try:
            filter = Filter.parse(
                self.get_query_arguments("topic"), self.get_query_arguments("type")
            )
        except InvalidInput:
            self.hub.tally.rejected["invalid"] += 1
            raise
        if self.hub.draining or self.hub.is_full:
            self._turn_away("draining" if self.hub.draining else "full")
            return
        chunked = self.request.version != "HTTP/1.0"
        head = _head(chunked, *self._cors())
        last_event_id = self._last_event_id()
        presence = self.query("presence") == "1"
        # From here on there is no handler and no request: both are freed, and the hub owns the socket.
        iostream = self.detach()
        self.hub.subscribe(
            iostream,
            filter,
            last_event_id=last_event_id,
            head=head,
            chunked=chunked,
            presence=presence,
        )

    def _listen(self) -> None:
        """Open a probe, however full the hub is: whether events arrive is another question."""
        chunked = self.request.version != "HTTP/1.0"
        filter = Filter(self.get_query_arguments("topic"))
        head = _head(chunked, *self._cors())
        self.hub.listen(self.detach(), filter, head=head, chunked=chunked)

    def head(self) -> None:
        """The headers of a stream, and no stream."""
        for name, value in STREAM_HEADERS.items():
            self.set_header(name, value)
        self.finish()

    def _last_event_id(self) -> str:
        """What the client had last: the header, which a reconnecting browser keeps up to date, wins."""
        header = self.request.headers.get("Last-Event-ID")
        if header:
            # Browsers send UTF-8, Tornado reads latin-1. Whatever it is, it is compared, not trusted.
            return header.encode("latin-1").decode("utf-8", "replace")
        return self.query("last_event_id") or self.query("lastEventId")

    def _turn_away(self, reason: str) -> None:
        self.hub.tally.rejected[reason] += 1
        retry_ms = self.hub.retry_ms(spread=3.0)
        data = msgspec.json.encode({"reason": reason, "retry": retry_ms})
        head = _head(False, *self._cors())
        iostream = self.detach()
        answer = head + encode_retry(retry_ms) + encode_event("busy", data)
        asyncio.ensure_future(iostream.write(answer)).add_done_callback(lambda _: iostream.close())

    def _cors(self) -> tuple[str | None, bool]:
        origins = self.hub.settings.cors_origin
        return allowed_origin(origins, self.request.headers.get("Origin")), "*" not in origins


@lru_cache(maxsize=64)
def _head(chunked: bool, origin: str | None, vary: bool) -> bytes:
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
