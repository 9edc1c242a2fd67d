"""``POST /api/notify``: an event or a batch in, and one answer that a program can rely on."""

from __future__ import annotations

from time import perf_counter
from typing import ClassVar, cast

import msgspec
from tornado.http1connection import HTTP1Connection
from tornado.web import stream_request_body

from tocsin.core.publish_body import is_array
from tocsin.errors import InvalidInput, Unavailable
from tocsin.http.base import Handler
from tocsin.http.publication import JSON, NDJSON, Publication, media_type

LINGER_BYTES = 1024 * 1024
"""What is read and thrown away of a body that is too large, so that its sender reads the answer."""


@stream_request_body
class NotifyHandler(Handler):
    """Publishes. The body is streamed so that one too large is refused before it is read."""

    SUPPORTED_METHODS: ClassVar[tuple[str, ...]] = ("POST", "OPTIONS")  # type: ignore[misc]

    def prepare(self) -> None:
        """Refuse what the headers alone show to be impossible, before the body."""
        self._body = bytearray()
        self._answered = False
        if self.request.method != "POST":
            return
        media = media_type(self.request)
        self._ndjson = media == NDJSON
        if not media:
            self._reject("unsupported")
            message = f"Content-Type must be {JSON} or {NDJSON}, in UTF-8"
            self._refuse_early(415, message, "unsupported_type")
        elif self.request.headers.get("Content-Encoding", "identity") != "identity":
            self._reject("unsupported")
            self._refuse_early(415, "Content-Encoding is not taken here", "unsupported_encoding")
        else:
            self._check_size(self._announced_bytes)
            # All that may be allowed, and what is read of what isn't.
            settings = self.hub.settings
            self._allow(max(settings.max_batch_bytes, settings.max_event_bytes, LINGER_BYTES))

    def data_received(self, chunk: bytes) -> None:
        """Called by Tornado with each part of the body."""
        self._body += chunk
        if not self._answered:
            self._check_size(max(self._announced_bytes, len(self._body)))
        elif len(self._body) > LINGER_BYTES and not self._finished:
            self.finish()  # closes the connection: somebody is still sending

    async def post(self) -> None:
        """Publish, and answer when the journal has committed."""
        if self._answered:
            self.finish()
            return
        read = perf_counter()
        try:
            body = bytes(self._body)
            publication = Publication.read(self.hub, self.request, body, ndjson=self._ndjson)
            answer = await publication.publish(self.hub)
        except InvalidInput as error:
            self._reject("too_large" if error.status == 413 else "invalid")
            raise
        except Unavailable:
            self._reject("unavailable")
            raise
        self.answer(answer)
        if not publication.signal:
            self.hub.counters.publish_s.observe(perf_counter() - read)

    def _check_size(self, size: int) -> None:
        """Refuse a body of `size` bytes as soon as it is known to be too large for what it is.

        A batch may be larger than an event, and only the first byte of an array tells it from one.
        """
        settings = self.hub.settings
        limits = {"max_event_bytes": settings.max_event_bytes}
        limits["max_batch_bytes"] = settings.max_batch_bytes
        if self._ndjson or is_array(self._body):
            name = "max_batch_bytes"
        elif self._body:
            name = "max_event_bytes"
        else:  # not known yet
            name = max(limits, key=lambda name: limits[name])
        limit = limits[name]
        if size > limit:
            self._reject("too_large")
            message = f"the body is larger than {name}, {limit} bytes"
            self._refuse_early(413, message, "too_large", limit=limit)

    @property
    def _announced_bytes(self) -> int:
        """Content-Length, or 0 where it isn't one: Tornado refuses that itself, with 400."""
        text = self.request.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0

    def _refuse_early(self, status: int, message: str, code: str, **more: object) -> None:
        """Answer before the body is read, and close behind it.

        Closing at once would reset the connection under a client that is still sending, which
        then never reads the answer (RFC 9112, section 9.6). So a body of modest size is read and
        thrown away first; one that waits for `100 Continue`, or is huge, isn't waited for.
        """
        self._answered = True
        announced = self._announced_bytes
        self._allow(max(announced, LINGER_BYTES) + 1)  # or Tornado adds a bare 400 behind this
        body = msgspec.json.encode({"error": message, "code": code, **more})
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.set_header("Content-Length", str(len(body)))
        self.set_header("Connection", "close")
        self.write(body)
        if announced > LINGER_BYTES or "Expect" in self.request.headers:
            self.finish()
        else:
            self.flush()

    def _allow(self, body_bytes: int) -> None:
        cast(HTTP1Connection, self.request.connection).set_max_body_size(body_bytes)

    def _reject(self, reason: str) -> None:
        self.hub.counters.publish_rejected[reason] += 1
