"""All that is used of Tornado's insides, in one place: an upgrade of Tornado is a look at this module and its test."""

from __future__ import annotations

import math
import socket
import ssl
import time

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import PeriodicCallback
from tornado.iostream import IOStream, SSLIOStream
from tornado.web import RequestHandler


def iostream_with(
    data: bytes, sock: socket.socket, *, max_buffer_size: int, chunk_size: int
) -> IOStream:
    """An IOStream over `sock` whose next read begins with `data`, which was read from it before."""
    stream = IOStream(sock, max_buffer_size=max_buffer_size, read_chunk_size=chunk_size)
    stream._read_buffer += data
    stream._read_buffer_size += len(data)
    return stream


def secured(
    sock: socket.socket, context: ssl.SSLContext, *, max_buffer_size: int, chunk_size: int
) -> SSLIOStream:
    """An SSLIOStream over `sock`, of which nothing was read; it begins its handshake.

    Raises:
        OSError: the connection is over already.
    """
    wrapped = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    return SSLIOStream(wrapped, max_buffer_size=max_buffer_size, read_chunk_size=chunk_size)


def take_socket(iostream: IOStream) -> socket.socket | None:
    """The socket of a plain IOStream, which is closed for everybody else then, and left to be freed.

    None if it has to stay one: it is TLS, closed, or has bytes unsent, or read and not asked for.
    """
    if isinstance(iostream, SSLIOStream) or iostream.closed() or iostream.writing():
        return None
    if iostream._read_buffer_size:
        return None
    if iostream._state is not None:
        iostream.io_loop.remove_handler(iostream.fileno())
        iostream._state = None
    iostream._closed = True
    taken: socket.socket = iostream.socket
    iostream.socket = None  # type: ignore[assignment]
    return taken


def peer_of(request: HTTPServerRequest) -> str:
    """The address of who sent `request`; `unix` by a Unix socket, where Tornado makes up 0.0.0.0."""
    family = getattr(getattr(request.connection, "context", None), "address_family", None)
    return "unix" if family == socket.AF_UNIX else request.remote_ip or ""


def has_head(connection: HTTP1Connection) -> bool:
    """Whether the head of the request that a server's connection is for has come in."""
    return connection._request_start_line is not None


def end_behind_answer(connection: HTTP1Connection) -> None:
    """Have a server's connection closed when its answer has left: to say so in a header ends nothing.

    What was read of the next request is dropped then: Tornado would serve it, though nobody could be answered.
    """
    stream = connection.stream

    def drop(_: object) -> None:
        stream._read_buffer = bytearray()
        stream._read_buffer_size = 0

    connection._disconnect_on_finish = True
    connection._finish_future.add_done_callback(drop)


def bytes_written(iostream: IOStream) -> int:
    """How many bytes of what was written to `iostream` its socket took."""
    written: int = iostream._total_write_done_index
    return written


class WithoutQuery(RequestHandler):
    """A handler whose requests Tornado's own access log shows without the query, in which tickets stand."""

    def _request_summary(self) -> str:
        request = self.request
        return f"{request.method} {request.path} ({request.remote_ip})"


class SteadyCallback(PeriodicCallback):
    """A PeriodicCallback that goes by the monotonic clock.

    Tornado's goes by the wall clock: when that is set back by an hour, it rests for an hour.
    """

    _due: float | None = None

    def _update_next(self, current_time: float) -> None:
        now, period_s = time.monotonic(), self.callback_time / 1_000
        due = now if self._due is None else self._due
        # One call that took long is followed by the next that is due, not by all that were.
        self._due = due + (math.floor(max(now - due, 0) / period_s) + 1) * period_s
        self._next_timeout = current_time + self._due - now
