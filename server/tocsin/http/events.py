"""``GET /events``: checks and admits the request, then hands the socket over to the hub."""

from __future__ import annotations

import asyncio

import msgspec
from tornado.iostream import IOStream

from tocsin.core.wire import encode_event, encode_retry
from tocsin.errors import Busy, InvalidInput
from tocsin.http.base import Handler, cors
from tocsin.http.subscription import STREAM_HEADERS, Subscription, stream_head


class EventsHandler(Handler):
    """Opens streams. Nothing temporary is answered with a status other than 200.

    A browser's EventSource gives up for good on any other status (WHATWG HTML, section 9.2.3), so a
    full or stopping hub answers 200 with the event `busy`, a reconnection time, and the end.
    """

    def get(self) -> None:
        """Open a stream, or say why not."""
        try:
            subscription = Subscription.read(self.hub, self.request)
        except InvalidInput:
            self.hub.counters.rejected["invalid"] += 1
            raise
        # From here on there is no handler and no request: both are freed, and the hub owns the socket.
        iostream = self.detach()
        try:
            subscription.open(self.hub, iostream)
        except Busy as busy:
            self._turn_away(iostream, busy)

    def head(self) -> None:
        """The headers of a stream, and no stream."""
        for name, value in STREAM_HEADERS.items():
            self.set_header(name, value)
        self.finish()

    def _turn_away(self, iostream: IOStream, busy: Busy) -> None:
        data = msgspec.json.encode({"reason": busy.reason, "retry": busy.retry_ms})
        head = stream_head(False, *cors(self.hub, self.request))
        answer = head + encode_retry(busy.retry_ms) + encode_event("busy", data)
        asyncio.ensure_future(iostream.write(answer)).add_done_callback(lambda _: iostream.close())
