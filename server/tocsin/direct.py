"""Connections whose requests lie whole in the socket: read at one go, without a reader's machinery.

Tornado reads a request through futures, timeouts and a parser that can resume anywhere. That is more than
half of what it costs to open a stream or to take an event, and needless for the usual one, which arrives
in one segment. A `DirectConnection` looks (MSG_PEEK) at what lies in the socket. If it is one whole plain
request, it is taken, parsed by Tornado's own functions and given to the application by the interface
that Tornado's server uses. Anything else, be it in parts, chunked, old, odd or malformed, stays in
the socket untouched, and the connection is Tornado's from there on: so there is one reader of odd
input, and it isn't ours.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
    parse_request_start_line,
)
from tornado.iostream import IOStream

PEEK_BYTES = 16 * 1024
"""A request that is larger than this isn't read at one go."""

PLAIN = (b"GET /events", b"POST /api/notify")
"""Where it matters. Their answers are small, so that a socket takes them whole."""

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
    if not found or len(head) > max_header_bytes or not data.startswith(PLAIN):
        return None
    first, _, fields = head.decode("latin-1").partition("\r\n")
    if "\n" in first or fields.count("\n") != fields.count("\r\n"):
        return None
    try:
        start_line = parse_request_start_line(first)
        headers = HTTPHeaders.parse(fields)
    except HTTPInputError:
        return None
    length = _body_bytes(start_line, headers)
    if length is None or length > len(rest):
        return None
    return PlainRequest(start_line, headers, rest[:length], len(head) + 4 + length)


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
    """What Tornado asks a connection about the other end."""

    remote_ip: str
    protocol: str = "http"


class Owner(Protocol):
    """Who accepted a connection, and keeps the list of those that wait."""

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> Any:
        """The delegate for the next request."""

    def wait_for(self, connection: DirectConnection) -> None:
        """The connection waits for a request from now on."""

    def stop_waiting_for(self, connection: DirectConnection) -> None:
        """It doesn't any more: a request has begun, or it is over."""

    def hand_over(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Let Tornado serve the connection."""

    def on_over(self) -> None:
        """The connection is closed, or a stream's."""


class DirectConnection(HTTPConnection):
    """One connection, until it is closed, detached or handed over. Its request comes from `stream`.

    Args:
        owner: the listener.
        stream: the connection; nothing was read from it yet.
        address: of the other end.
        max_header_bytes: of a request's head.
    """

    def __init__(
        self, owner: Owner, stream: IOStream, address: tuple[Any, ...], max_header_bytes: int
    ) -> None:
        self.context = Context(address[0] if address else "")
        self._owner = owner
        self._stream = stream
        self._address = address
        self._max_header_bytes = max_header_bytes
        self._loop = asyncio.get_running_loop()
        self._is_watched = False
        self._is_busy = False
        self._closes = False

    def look(self) -> None:
        """Serve the request that lies in the socket, or wait for one."""
        try:
            data = self._stream.socket.recv(PEEK_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            self._wait()
            return
        except OSError:
            data = b""
        if not data:
            self.close()
        elif (request := read_plain(data, self._max_header_bytes)) is None:
            self._hand_over()
        else:
            self._serve(request)

    def _serve(self, request: PlainRequest) -> None:
        delegate: HTTPMessageDelegate = self._owner.start_request(self, self)
        try:
            prepared = delegate.headers_received(request.start_line, request.headers)
        except HTTPInputError:  # its host or its query; it is still in the socket
            self._hand_over()
            return
        self._stream.socket.recv(request.size)
        self._owner.stop_waiting_for(self)
        self._is_busy = True
        if prepared is None:
            delegate.data_received(request.body)
            delegate.finish()
        else:
            asyncio.ensure_future(prepared).add_done_callback(
                partial(self._give_body, delegate, request.body)
            )

    def _give_body(
        self, delegate: HTTPMessageDelegate, body: bytes, prepared: asyncio.Future[None]
    ) -> None:
        if self._is_busy:  # else it was answered before its body was looked at
            delegate.data_received(body)
        if self._is_busy:
            delegate.finish()

    # --- what a handler asks of its connection --------------------------------------------------

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        """Send the answer's head, which states the length of its body, and the body or its beginning."""
        assert isinstance(start_line, ResponseStartLine)
        self._closes = headers.get("Connection", "").lower() == "close"
        lines = [f"HTTP/1.1 {start_line.code} {start_line.reason}"]
        lines += [f"{name}: {value}" for name, value in headers.get_all()]
        return self.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (chunk or b""))

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Send more of the body."""
        if self._stream.writing():
            sent = 0
        else:
            try:
                sent = self._stream.socket.send(chunk)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.close()
                sent = len(chunk)
        if sent < len(chunk):
            return self._stream.write(chunk[sent:])
        written: asyncio.Future[None] = self._loop.create_future()
        written.set_result(None)
        return written

    def finish(self) -> None:
        """The answer is complete: close, or wait for the next request."""
        self._is_busy = False
        if self._stream.closed():
            return
        if self._stream.writing():  # a reader that is slow even for an answer
            self._hand_over()
        elif self._closes:
            self.close()
        else:
            self._wait()

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Not called: while a request is served nobody looks at the socket, and it isn't for long."""

    def set_max_body_size(self, max_body_size: int) -> None:
        """Nothing to do: the body is there already."""

    def detach(self) -> IOStream:
        """Give the connection away; whoever has it closes it."""
        self._is_busy = False
        self._unwatch()
        self._owner.on_over()
        return self._stream

    # --- waiting --------------------------------------------------------------------------------

    def close(self) -> None:
        """Close, whatever is under way."""
        if not self._stream.closed():
            self._is_busy = False
            self._unwatch()
            self._stream.close()
            self._owner.stop_waiting_for(self)
            self._owner.on_over()

    def _wait(self) -> None:
        self._owner.wait_for(self)
        if not self._is_watched:
            self._is_watched = True
            self._loop.add_reader(self._stream.socket, self._on_readable)

    def _on_readable(self) -> None:
        if self._is_busy:  # the next request before the answer to this one: it can wait
            self._unwatch()
        else:
            self.look()

    def _unwatch(self) -> None:
        if self._is_watched:
            self._is_watched = False
            self._loop.remove_reader(self._stream.socket)

    def _hand_over(self) -> None:
        self._unwatch()
        self._owner.stop_waiting_for(self)
        self._owner.hand_over(self._stream, self._address)
