"""The connection of one stream: the only owner of its socket.

There are two kinds. A plain connection is a socket: sent to directly, and what it does not take is kept
as one memoryview until it does. A TLS connection has records to make, so all goes through its IOStream.
Neither knows events; both tell their owner (a `Stream`) when what was kept has left, and when the client
is gone or speaks, which it has no reason to: on an event stream only the server does.
"""

from __future__ import annotations

import asyncio
import fcntl
import select
import socket
import struct
from array import array
from typing import Protocol, TypeAlias

from tornado.iostream import IOStream, StreamClosedError

from tocsin.sockets import Sockets
from tocsin.tornado_internals import bytes_written, take_socket

STRAY_BYTES = 4_096
"""How much is read of what a client sends where it has nothing to say."""

SIOCOUTQ = 0x5411
"""Linux's request for how many bytes of a socket the other end did not acknowledge yet."""

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: a close drops what is queued and resets the connection."""


class Owner(Protocol):
    """Whose connection it is."""

    def close(self, reason: str) -> None:
        """Be over, and close the connection."""

    def on_drained(self) -> None:
        """All that was kept has been taken."""

    def on_gone(self) -> None:
        """The client closed, or broke off, or sent something."""


class SocketConnection:
    """A plain connection: a connected, non-blocking socket.

    Args:
        socket: nobody else uses it from here on.
        sockets: watches it.
    """

    __slots__ = ("_left", "_owner", "_rest", "_sockets", "_taken", "socket")

    def __init__(self, socket: socket.socket, sockets: Sockets) -> None:
        self.socket = socket
        self._sockets = sockets
        self._owner: Owner | None = None
        self._rest: memoryview | None = None
        self._taken = 0  # bytes of what was kept that the socket took
        self._left = 0  # of these and of what was sent before, those that left the machine's queue

    @property
    def address(self) -> str:
        """The address at the other end; empty where it has none, or is just gone."""
        return _address(self.socket)

    def open(self, owner: Owner) -> None:
        """Tell `owner` from now on.

        Raises:
            OSError: the socket is closed already.
        """
        self._owner = owner
        self._sockets.watch(self)

    def keep(self, rest: memoryview) -> None:
        """Send `rest`, behind what is kept already, as soon as the socket takes it."""
        if self._rest:
            self._rest = memoryview(b"".join((self._rest, rest)))
            return
        self._rest = rest
        self._left = self._taken - self._queued()
        self._sockets.await_room(self, True)

    def offer(self, payload: bytes) -> int:
        """Bytes of `payload` that the socket takes now; nothing is kept.

        Raises:
            OSError: nobody is at the other end any more.
        """
        try:
            return 0 if self._rest else self.socket.send(payload)
        except BlockingIOError:
            return 0

    def finish(self, last: bytes) -> None:
        """Send `last` behind what is kept; the owner is told when all of it was taken."""
        if self._rest:
            self.keep(memoryview(last))
            return
        self._rest = memoryview(last)
        self._sockets.await_room(self, True)
        self._send_rest(self._rest)

    def has_moved(self) -> bool:
        """Whether bytes left for the client since this was asked, or since there is something kept.

        A socket that takes nothing can still be sending: its queue (SO_SNDBUF) gets shorter before it
        takes more. So what counts is what it took, less what lies in its queue.
        """
        before, self._left = self._left, self._taken - self._queued()
        return self._left > before

    def close(self, *, reset: bool = False) -> None:
        """Close at once. `reset`: the kernel drops its queue too, instead of trying for half a minute."""
        if self.socket.fileno() < 0:
            return
        self._sockets.forget(self)
        if reset or self._rest:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()
        self._rest = self._owner = None

    def fail(self) -> None:
        """Let the owner close, whatever state it is in."""
        if self._owner:
            self._owner.close("error")
        self.close(reset=True)

    def on_ready(self, events: int) -> None:
        """The socket can be read, or takes bytes, or broke: `events` of epoll."""
        assert self._owner
        if events & ~select.EPOLLOUT and self._is_over():
            self._owner.on_gone()
        elif events & select.EPOLLOUT and self._rest:
            self._send_rest(self._rest)

    def _send_rest(self, rest: memoryview) -> None:
        assert self._owner
        try:
            took = self.socket.send(rest)
        except BlockingIOError:
            return
        except OSError:
            self._owner.on_gone()
            return
        self._taken += took
        self._rest = rest[took:] if took < len(rest) else None
        if not self._rest:
            self._sockets.await_room(self, False)
            self._owner.on_drained()

    def _is_over(self) -> bool:
        """Whether the client closed, broke off or sent something; False where there was nothing to read."""
        try:
            self.socket.recv(STRAY_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _queued(self) -> int:
        """Bytes that the kernel still has to get to the client."""
        count = array("i", [0])
        try:
            fcntl.ioctl(self.socket, SIOCOUTQ, count)
        except OSError:
            return 0
        return count[0]


class StreamConnection:
    """A connection by its IOStream, for TLS; and for what was plain and has something unsent.

    Args:
        iostream: nobody else uses it from here on.
    """

    __slots__ = ("_iostream", "_left", "_owner", "socket")

    def __init__(self, iostream: IOStream) -> None:
        self.socket = _NoSocket()
        self._iostream = iostream
        self._owner: Owner | None = None
        self._left = 0

    @property
    def address(self) -> str:
        """The address at the other end; empty where it has none, or is just gone."""
        return _address(self._iostream.socket)

    def open(self, owner: Owner) -> None:
        """Tell `owner` from now on.

        Raises:
            StreamClosedError: it is closed already.
        """
        self._owner = owner
        # A read stays open, or else bytes left in the buffer hide the client's close.
        read = self._iostream.read_bytes(STRAY_BYTES, partial=True)
        asyncio.ensure_future(read).add_done_callback(self._on_read)

    def keep(self, rest: memoryview) -> None:
        """Send `rest`, behind what is kept already, as soon as the connection takes it."""
        try:
            self._iostream.write(rest).add_done_callback(self._on_written)
        except StreamClosedError:  # closed by the client, and its callback hasn't run yet
            if self._owner:
                self._owner.on_gone()

    def offer(self, payload: bytes) -> int:
        """The same; all of it is taken, unless something is still under way."""
        if self._iostream.writing():
            return 0
        self.keep(memoryview(payload))
        return len(payload) if self._owner else 0

    def finish(self, last: bytes) -> None:
        """Send `last` behind what is kept; the owner is told when all of it was taken."""
        self.keep(memoryview(last))

    def has_moved(self) -> bool:
        """Whether bytes were taken since this was asked."""
        before, self._left = self._left, bytes_written(self._iostream)
        return self._left > before

    def close(self, *, reset: bool = False) -> None:
        """Close at once; what is kept is dropped. `reset`: the kernel drops its queue too."""
        self._owner = None
        if self._iostream.closed():
            return
        if reset or self._iostream.writing():
            self._iostream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._iostream.close()

    def _on_written(self, written: asyncio.Future[None]) -> None:
        if self._owner is None:
            written.cancelled() or written.exception()
        elif written.cancelled() or written.exception():
            self._owner.on_gone()
        elif not self._iostream.writing():
            self._owner.on_drained()

    def _on_read(self, read: asyncio.Future[bytes]) -> None:
        # Done means: the client closed (an exception), or it sends where it has nothing to say.
        if not read.cancelled():
            read.exception()
        if self._owner:
            self._owner.on_gone()


def _address(sock: socket.socket | None) -> str:
    # Asked of the system: to keep it would cost each stream 60 bytes.
    try:
        name = sock.getpeername() if sock else ""
    except OSError:
        return ""
    return str(name[0]) if isinstance(name, tuple) else ""


class _NoSocket:
    """Stands for the socket where all goes through the IOStream: it takes nothing."""

    def send(self, payload: bytes, /) -> int:
        return 0


Connection: TypeAlias = SocketConnection | StreamConnection


def connect(given: socket.socket | IOStream, sockets: Sockets) -> Connection:
    """The connection of a stream over `given`, which is the connection's from here on."""
    if isinstance(given, socket.socket):
        return SocketConnection(given, sockets)
    taken = take_socket(given)
    return SocketConnection(taken, sockets) if taken else StreamConnection(given)
