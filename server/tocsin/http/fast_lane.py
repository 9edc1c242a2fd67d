"""Connections whose requests lie whole in the socket: read and answered at one go.

Tornado reads a request through futures, timeouts and a parser that can resume anywhere, and answers it
through a handler made for it. That is three quarters of what it costs to open a stream or to take an event,
and needless for the usual one, which arrives in one segment and succeeds. A `DirectConnection` looks
(MSG_PEEK) at what lies in the socket. If it is one whole plain request for one of the two busy routes,
parsed by Tornado's own functions, and `PlainAnswers` takes it, it is answered. Anything else, be it in
parts, chunked, old, odd, malformed or refused, stays in the socket untouched, and the connection is
Tornado's from there on: there is one reader of odd input and one that says no, and it isn't this.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPServerRequest,
    RequestStartLine,
    parse_request_start_line,
)
from tornado.iostream import IOStream

from tocsin.http.fast_answers import PlainAnswers
from tocsin.http.publication import Publication

log = logging.getLogger("tocsin.http")

PEEK_BYTES = 16 * 1024
"""A request that is larger than this isn't read at one go."""

PLAIN = (b"GET /events ", b"GET /events?", b"POST /api/notify ")
"""Where it matters."""

_NOT_PLAIN = ("Transfer-Encoding", "Expect", "Upgrade")


class PlainRequest(NamedTuple):
    """A whole request, and how many bytes it has."""

    start_line: RequestStartLine
    headers: HTTPHeaders
    body: bytes
    size: int


def read_plain(data: bytes, max_header_bytes: int) -> PlainRequest | None:
    """The request that `data` begins with; None if it isn't whole, or not a plain one of `PLAIN`.

    What is malformed isn't plain either: who reads it after us says so.
    """
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found or len(head) + 4 > max_header_bytes or not data.startswith(PLAIN):
        return None
    known = _read_head(head)
    if known is None or known.body_bytes > len(rest):
        return None
    size = len(head) + 4 + known.body_bytes
    return PlainRequest(known.start_line, known.headers, rest[: known.body_bytes], size)


class Head(NamedTuple):
    """A plain request's head, and how long a body it announces."""

    start_line: RequestStartLine
    headers: HTTPHeaders
    body_bytes: int


# Cached: a publisher sends the same head again and again, and to know it again costs a fiftieth of
# reading it. Nobody changes the headers of a request.
@lru_cache(maxsize=256)
def _read_head(head: bytes) -> Head | None:
    """The head's parts; None if it isn't a plain one."""
    first, _, fields = head.decode("latin-1").partition("\r\n")
    if "\n" in first or fields.count("\n") != fields.count("\r\n"):
        return None
    try:
        start_line = parse_request_start_line(first)
        headers = HTTPHeaders.parse(fields)
    except HTTPInputError:
        return None
    length = _body_bytes(start_line, headers)
    return None if length is None else Head(start_line, headers, length)


def _body_bytes(start_line: RequestStartLine, headers: HTTPHeaders) -> int | None:
    """The length of a plain request's body (RFC 9112, section 6.3); None if it isn't plain."""
    connection = headers.get("Connection", "keep-alive").lower()
    if start_line.version != "HTTP/1.1" or connection != "keep-alive":
        return None
    if any(name in headers for name in _NOT_PLAIN):
        return None
    length = headers.get("Content-Length", "" if start_line.method == "POST" else "0")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 9 else None


class Context(NamedTuple):
    """What a request asks its connection about the other end."""

    remote_ip: str
    protocol: str = "http"


class Owner(Protocol):
    """Who accepted a connection, and keeps the list of those that wait."""

    def wait_for(self, connection: DirectConnection) -> None:
        """The connection waits for a request from now on; or it is closed, if there will be none."""

    def stop_waiting_for(self, connection: DirectConnection) -> None:
        """It doesn't any more: a request has begun, or it is over."""

    def hand_over(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Let Tornado serve the connection."""

    def on_over(self) -> None:
        """The connection is closed, or a stream's."""


class DirectConnection(HTTPConnection):
    """One connection, until it is closed, a stream's, or handed over.

    Args:
        owner: the listener.
        answers: decides what is taken here.
        stream: the connection; nothing was read from it yet.
        address: of the other end.
        max_header_bytes: of a request's head.
    """

    def __init__(
        self,
        owner: Owner,
        answers: PlainAnswers,
        stream: IOStream,
        address: tuple[Any, ...],
        max_header_bytes: int,
    ) -> None:
        self.context = Context(address[0] if address else "")
        self._owner = owner
        self._answers = answers
        self._stream = stream
        self._address = address
        self._max_header_bytes = max_header_bytes
        self._is_watched = False
        self._request: HTTPServerRequest | None = None
        self._publishing: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Serve the request that lies in the socket, or wait for one."""
        try:
            data = self._stream.socket.recv(PEEK_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            self._wait()
            return
        except OSError:
            data = b""
        try:
            taken = bool(data) and self._serve(data)
        except Exception:  # the request is still there, and would be looked at again for ever
            log.exception("uncaught exception in a plain request")
            data = b""
        if not data:
            self.close()
        elif not taken:
            self._hand_over()

    def close(self) -> None:
        """Close, whatever is under way."""
        if not self._stream.closed():
            self._unwatch()
            self._stream.close()
            self._owner.stop_waiting_for(self)
            self._owner.on_over()

    def _serve(self, data: bytes) -> bool:
        """Take and answer the request that `data` begins with; False leaves it where it is."""
        plain = read_plain(data, self._max_header_bytes)
        if plain is None:
            return False
        try:
            request = self._request_of(plain)
        except HTTPInputError:  # its host or its query
            return False
        if plain.start_line.method == "GET":
            return self._open(request, plain.size)
        publication = self._answers.publication(request, plain.body)
        if publication is None:
            return False
        self._take(plain.size)
        self._publishing = asyncio.ensure_future(self._publish(publication, request))
        return True

    def _request_of(self, plain: PlainRequest) -> HTTPServerRequest:
        """What handlers read requests by; a publisher that sends its last head again gets its last one.

        A tenth of a POST's cost. What was read from a head alike is the very same object.

        Raises:
            HTTPInputError: the host or the query is malformed.
        """
        if self._request is None or self._request.headers is not plain.headers:
            self._request = HTTPServerRequest(
                connection=self, start_line=plain.start_line, headers=plain.headers
            )
        return self._request

    def _open(self, request: HTTPServerRequest, size: int) -> bool:
        subscription = self._answers.subscription(request)
        if subscription is None:
            return False
        self._take(size)
        self._unwatch()
        subscription.open(self._answers.hub, self._stream)
        self._owner.on_over()
        return True

    def _take(self, size: int) -> None:
        self._stream.socket.recv(size)
        self._owner.stop_waiting_for(self)

    async def _publish(self, publication: Publication, request: HTTPServerRequest) -> None:
        try:
            answer = await self._answers.publish(publication, request)
        finally:
            self._publishing = None
        if self._stream.closed():
            return
        try:
            sent = self._stream.socket.send(answer)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        if sent == len(answer):
            self._wait()
        else:  # a reader that is slow even for an answer
            self._stream.write(answer[sent:])
            self._hand_over()

    # --- waiting --------------------------------------------------------------------------------

    def _wait(self) -> None:
        self._owner.wait_for(self)
        if not self._is_watched and not self._stream.closed():
            self._is_watched = True
            asyncio.get_running_loop().add_reader(self._stream.socket, self._on_readable)

    def _on_readable(self) -> None:
        if self._publishing:  # the next request before the answer to this one: it can wait
            self._unwatch()
        else:
            self.look()

    def _unwatch(self) -> None:
        if self._is_watched:
            self._is_watched = False
            asyncio.get_running_loop().remove_reader(self._stream.socket)

    def _hand_over(self) -> None:
        self._unwatch()
        self._owner.stop_waiting_for(self)
        self._owner.hand_over(self._stream, self._address)
