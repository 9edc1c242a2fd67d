"""``POST /api/notify``: one event in, one answer that a program can rely on."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import msgspec
from tornado.http1connection import HTTP1Connection
from tornado.web import stream_request_body

from tocsin.errors import InvalidInput, Unavailable
from tocsin.event import Draft
from tocsin.handlers.base import Handler
from tocsin.jsontext import decode

LINGER_BYTES = 1024 * 1024
"""What is read and thrown away of a body that is too large, so that its sender reads the answer."""


class Notice(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request. A misspelt field is refused rather than lost."""

    type: str = ""
    message: str = ""
    data: dict[str, Any] = {}
    topic: str = "default"

    def draft(self, timestamp: str) -> Draft:
        """The event this asks for, accepted at `timestamp`.

        Raises:
            InvalidInput: a field is missing, empty or malformed.
        """
        for field in ("type", "message"):
            if not getattr(self, field):
                raise InvalidInput(
                    f"{field} is missing or empty; type and message are required, not empty",
                    code="missing_field",
                    field=field,
                    status=400,
                )
        payload = {
            "message": self.message,
            "data": self.data,
            "timestamp": timestamp,
            "source": "api",
            "topic": self.topic,
        }
        return Draft(self.type, msgspec.json.encode(payload), self.topic, "api")


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
        media_type, *parameters = self.request.headers.get("Content-Type", "").lower().split(";")
        charset = [p.strip() for p in parameters if p.strip().startswith("charset=")]
        if media_type.strip() != "application/json" or charset not in ([], ["charset=utf-8"]):
            self._reject("unsupported")
            self._refuse_early(
                415, "Content-Type must be application/json, UTF-8", "unsupported_type"
            )
        elif self.request.headers.get("Content-Encoding", "identity") != "identity":
            self._reject("unsupported")
            self._refuse_early(415, "Content-Encoding is not taken here", "unsupported_encoding")
        elif self._announced_bytes > self.max_body_bytes:
            self._refuse_size()

    @property
    def max_body_bytes(self) -> int:
        """The largest body that is taken."""
        return self.hub.settings.max_event_bytes

    def data_received(self, chunk: bytes) -> None:
        """Called by Tornado with each part of the body."""
        self._body += chunk
        if self._answered:
            if len(self._body) > LINGER_BYTES and not self._finished:
                self.finish()  # closes the connection: somebody is still sending
        elif len(self._body) > self.max_body_bytes:
            self._refuse_size()

    async def post(self) -> None:
        """Publish, and answer when the journal has committed."""
        if self._answered:
            self.finish()
            return
        try:
            draft = decode(bytes(self._body), Notice).draft(self.hub.now_iso())
            (receipt,) = await self.hub.publish(draft)
        except InvalidInput:
            self._reject("invalid")
            raise
        except Unavailable:
            self._reject("unavailable")
            raise
        self.answer(
            {
                "success": True,
                "sentTo": receipt.recipients,
                "event": draft.type,
                "id": str(receipt.id),
                "topic": draft.topic,
            }
        )

    @property
    def _announced_bytes(self) -> int:
        """Content-Length, or 0 where it isn't one: Tornado refuses that itself, with 400."""
        text = self.request.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0

    def _refuse_size(self) -> None:
        self._reject("too_large")
        limit = self.max_body_bytes
        message = f"the body is larger than max_event_bytes, {limit} bytes"
        self._refuse_early(413, message, "too_large", limit=limit)

    def _refuse_early(self, status: int, message: str, code: str, **more: object) -> None:
        """Answer before the body is read, and close behind it.

        Closing at once would reset the connection under a client that is still sending, which
        then never reads the answer (RFC 9112, section 9.6). So a body of modest size is read and
        thrown away first; one that waits for `100 Continue`, or is huge, isn't waited for.
        """
        self._answered = True
        connection = cast(HTTP1Connection, self.request.connection)
        announced = self._announced_bytes
        # Or Tornado would add a bare 400 of its own behind this answer.
        connection.set_max_body_size(max(announced, LINGER_BYTES) + 1)
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

    def _reject(self, reason: str) -> None:
        self.hub.tally.publish_rejected[reason] += 1
