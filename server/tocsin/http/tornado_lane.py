"""The other lane: Tornado reads what is odd in HTTP, and serves who mounts the hub into an application of their own.

One `RequestHandler` for all routes. It asks the same `Edge` as the fast lane, and sends what it is given.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from http.client import responses
from types import TracebackType
from typing import Any, ClassVar, cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream, StreamClosedError
from tornado.routing import Rule
from tornado.web import HTTPError, stream_request_body, url

from tocsin.http.answer import Answer, ClosingStream, of_error, refusal
from tocsin.http.edge import Edge, not_allowed
from tocsin.http.http1 import date
from tocsin.http.later import Later
from tocsin.http.open_stream import OpenStream
from tocsin.http.patience import BEGINNING_BYTES, LEAVING_BYTES, answer_time_s, body_time_s
from tocsin.http.request import Request, joined, media_type
from tocsin.http.routes.base import closing
from tocsin.tornado_internals import WithoutQuery, bytes_written, end_behind_answer, peer_of

log = logging.getLogger("tocsin.http")

MAX_BODY_BYTES = 2**40
"""Tornado's own limit, which it answers with a bare 400. The edge's are lower, and come first."""

LOOK_EVERY_S = 1.0

ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*(.*)")
"""RFC 9112, section 3.2.2, without the query. The authority is nothing to us, so it isn't read."""


def rules(edge: Edge, others: str = "") -> Sequence[Rule]:
    """The routes of `edge` for a Tornado application; `others` is a pattern of paths that the edge answers besides."""
    behind = [re.escape(prefix) + ".*" for prefix in edge.prefixes]
    patterns = [*map(re.escape, edge.routes), *behind, *([others] if others else [])]
    return [url(pattern, EdgeHandler, {"edge": edge}) for pattern in patterns]


@stream_request_body
class EdgeHandler(WithoutQuery):
    """Asks the edge. The body is streamed, so that one too large is refused before it is read."""

    SUPPORTED_METHODS: ClassVar[tuple[str, ...]] = (  # type: ignore[misc]
        *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
    )

    def initialize(self, edge: Edge) -> None:
        """Called by Tornado for each request, with the route's arguments."""
        self._edge = edge
        self._head = request_of(self.request, edge)
        self._body = bytearray()
        self._counted = 0  # bytes of it in the budget of bodies
        self._thrown_away = 0  # bytes of one that is refused: in no budget
        self._is_refused = False
        self._is_over = False
        self._status = 0  # of the answer, until it is noted
        self._told = b""  # its body
        self._noted = (
            self._head
        )  # the request as the log shows it: with its principal, as soon as that is known
        self._began = time.perf_counter()
        self._deadline: asyncio.TimerHandle | None = None
        self._later: Later | None = None  # whose answer need not be made if the client leaves

    # --- reading ------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Refuse what the head alone shows to be impossible, before the body."""
        self._connection.set_max_body_size(MAX_BODY_BYTES)
        self._check(self._head.announced_bytes)
        if not self._is_refused:
            self._look_later(time.monotonic())

    def data_received(self, chunk: bytes) -> None:
        """Called by Tornado with each part of the body."""
        if self._is_refused:
            self._thrown_away += len(chunk)
            if self._thrown_away > LEAVING_BYTES and not self._is_over:
                self.finish()  # closes the connection: somebody is still sending
            return
        self._body += chunk
        bodies = self._edge.bodies
        if bodies.take(len(chunk)):
            self._counted += len(chunk)
            self._check(max(self._head.announced_bytes, len(self._body)))
        else:
            message = f"bodies of {bodies.limit} bytes are coming in already"
            self._refuse(refusal(503, message, "busy", headers=(("Retry-After", "1"),)))

    def _check(self, body_bytes: int) -> None:
        """Refuse the body where the edge does."""
        if body_bytes or self.request.method == "POST":
            beginning = bytes(self._body[:BEGINNING_BYTES])
            refused = self._edge.refuse(self._head, body_bytes, beginning)
            if refused:
                self._refuse(refused)

    def _look_later(self, since: float, *, was_overdue: bool = False) -> None:
        """End a body that comes in too slowly; Tornado would end it without a word.

        Twice in a row it has to be so: where the hub itself stood still, what came meanwhile is read first.
        """

        def look() -> None:
            is_overdue = time.monotonic() - since > body_time_s(len(self._body))
            if not is_overdue or not was_overdue:
                self._look_later(since, was_overdue=is_overdue)
            elif not self._is_refused:
                self._refuse(refusal(408, "the request did not come in in time", "timeout"))
                if not self._is_over:
                    self.finish()

        self._deadline = asyncio.get_running_loop().call_later(LOOK_EVERY_S, look)

    def _refuse(self, answer: Answer) -> None:
        """Answer before the body is read, and close behind it.

        Closing at once would reset the connection under a client that is still sending, which then never reads the
        answer (RFC 9112, section 9.6). So a body of modest size is read and thrown away first; one that waits for
        `100 Continue`, or is huge, isn't waited for.
        """
        self._let_go()
        self._is_refused = True
        self._put(closing(answer))
        if self._head.announced_bytes > LEAVING_BYTES or "expect" in self._head.headers:
            self.finish()
        else:
            self.flush()
            self._note()  # now: the client may leave before the rest is read

    # --- answering ----------------------------------------------------------------------------

    async def _answer(self, *path: str) -> None:
        """Answer, now that the body is there."""
        if self._is_refused:
            self.finish()
            return
        request = self._noted = request_of(self.request, self._edge, bytes(self._body))
        self._let_go()
        self._began = time.perf_counter()
        result = self._edge.answer(request)
        if isinstance(result, Later):
            self._later = result
            result = await result.result()
            self._later = None
        if isinstance(result, Answer):
            self._put(result)
            self._send(len(result.body))
        elif not self._connection.stream.closed():
            self._hand_over(result)

    get = head = post = put = patch = delete = options = _answer

    def _put(self, answer: Answer) -> None:
        """Set status, fields and body of the answer, in the order of the other lane."""
        self._status = answer.status
        self._told = answer.body
        self.clear()
        for name in ("Server", "Content-Type", "Date"):  # Tornado's own
            self.clear_header(name)
        self.set_status(answer.status)
        for name, value in answer.fields(self._edge.of_every_answer(self._head)).items():
            self.set_header(name, value)
        self.set_header("Date", date(int(time.time())))
        if answer.status not in (204, 304):
            self.set_header("Content-Length", str(len(answer.body)))
            self.write(answer.body)
        if answer.closes or self._edge.ends_connections or asks_to_close(self._head):
            self.set_header("Connection", "close")
            end_behind_answer(self._connection)

    def _send(self, size: int) -> None:
        """Send the answer, whose body has `size` bytes."""
        stream = self._connection.stream
        sending = self.finish()
        if not sending.done():
            self._edge.answers.add(size)
            self._sending = asyncio.ensure_future(self._see_sent(stream, sending, size))

    async def _see_sent(self, stream: IOStream, sending: asyncio.Future[None], size: int) -> None:
        """Wait until the answer, of `size` bytes, has left; one that is taken too slowly is cut."""
        began, before = time.monotonic(), bytes_written(stream)
        while not sending.done():
            if time.monotonic() - began > answer_time_s(bytes_written(stream) - before):
                stream.close()
                break
            await asyncio.wait({sending}, timeout=LOOK_EVERY_S)
        self._edge.answers.give_back(size)

    def _hand_over(self, result: OpenStream | ClosingStream) -> None:
        """Give the connection to the hub, or to the few bytes that are its last."""
        iostream = self.detach()
        if isinstance(result, OpenStream):
            opened = result.open(iostream)
            if not isinstance(opened, ClosingStream):
                return
            result = opened
        write_last(iostream, result)

    def on_finish(self) -> None:
        """Called by Tornado when the answer is on its way."""
        self._is_over = True
        self._let_go()
        self._note()

    def _note(self) -> None:
        """Count and log the answer, once."""
        if self._status:
            duration_s = time.perf_counter() - self._began
            self._edge.note(self._noted, self._status, duration_s, "tornado", self._told)
            self._status = 0

    def on_connection_close(self) -> None:
        """Called by Tornado where the client left; its own part ends the wait for the body."""
        super().on_connection_close()
        if self._later:
            self._later.leave()
        self._let_go()

    def _let_go(self) -> None:
        """Hold nothing of the body any more."""
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
        self._edge.bodies.give_back(self._counted)
        self._counted = 0
        self._body = bytearray()

    @property
    def _connection(self) -> HTTP1Connection:
        return cast(HTTP1Connection, self.request.connection)

    # --- what Tornado would say itself ----------------------------------------------------------

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """What Tornado refuses: a method that nobody knows, a path that isn't UTF-8."""
        if status_code == 405:
            methods = self._edge.route(self._head.path).methods
            self._put(not_allowed(str(self.request.method), methods))
        elif status_code < 500:
            self._put(refusal(status_code, responses.get(status_code, "refused"), "bad_request"))
        else:
            self._put(of_error(RuntimeError()))
        self.finish()

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log a bug. Tornado would log the address with its query, which may hold a ticket."""
        if not isinstance(value, HTTPError):
            log.error(
                "uncaught exception in %s %s",
                self._head.method,
                self._head.path,
                exc_info=(typ, value, tb) if typ and value else None,
            )

    def compute_etag(self) -> str | None:
        """None: answers of the API are not worth hashing, and the page's have one."""
        return None


def request_of(request: HTTPServerRequest, edge: Edge, body: bytes = b"") -> Request:
    """What Tornado read, as the edge takes it."""
    path, query = request.path, request.query
    absolute = ABSOLUTE_FORM.fullmatch(path)
    if absolute:
        path = absolute[1] or "/"
    headers = joined(request.headers.get_all())
    return Request(
        str(request.method),
        path,
        query,
        headers,
        body,
        edge.client(peer_of(request), headers),
        media_type(headers.get("content-type", "")),
        request.version,
    )


def asks_to_close(request: Request) -> bool:
    """Whether nothing is taken behind `request` (RFC 9112, section 9.3); Tornado overlooks `close` in a list."""
    options = request.headers.get("connection", "").lower().split(",")
    return request.version == "HTTP/1.0" or "close" in [option.strip() for option in options]


def write_last(iostream: IOStream, stream: ClosingStream) -> None:
    """Send `stream`, and close."""
    try:
        sending = iostream.write(stream.head + stream.body)
    except StreamClosedError:
        return
    asyncio.ensure_future(sending).add_done_callback(lambda _: iostream.close())
