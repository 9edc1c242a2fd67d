"""The connection of one stream: the only owner of its socket.

There are two kinds. A plain connection is a socket: sent to directly, and what it does not take is kept
as one memoryview until it does. A TLS connection has records to make, so all goes through its IOStream.
Neither knows events; both tell their owner (a `Stream`) when what was kept has left, and when the client
is gone or speaks, which it has no reason to: on an event stream only the server does.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import select
import socket
import struct
from array import array
from typing import Protocol, TypeAlias

from tornado.iostream import IOStream, StreamClosedError

from tocsin.tornado_internals import bytes_written, take_socket

STRAY_BYTES = 4_096
"""How much is read of what a client sends where it has nothing to say."""

SOCKETS_A_TURN = 250
"""Sockets seen to before the loop gets a turn, where thousands of clients go at once."""

SIOCOUTQ = 0x5411
"""Linux's request for how many bytes of a socket the other end did not acknowledge yet."""

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: a close drops what is queued and resets the connection."""

log = logging.getLogger("tocsin")


class Owner(Protocol):
    """Whose connection it is."""

    def close(self, reason: str) -> None:
        """Be over, and close the connection."""

    def on_drained(self) -> None:
        """All that was kept has been taken."""

    def on_gone(self) -> None:
        """The client closed, or broke off, or sent something."""


class Sockets:
    """Watches the sockets of all streams with one epoll, which the loop watches in turn.

    `loop.add_reader` for each would take a key, a handle and a context: 0.6 KiB a client, and half of
    what opening a stream costs. Here a client is one entry of a dictionary. Linux only, as the options of
    the listening sockets are.
    """

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._connections: dict[int, SocketConnection] = {}

    def start(self) -> None:
        """Watch, on the running loop."""
        self._epoll = select.epoll()
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._on_ready)

    def stop(self) -> None:
        """Stop watching, after all connections were closed."""
        if self._epoll:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def watch(self, connection: SocketConnection) -> None:
        """Tell `connection` when its socket can be read."""
        assert self._epoll, "not started"
        number = connection.socket.fileno()
        self._epoll.register(number, select.EPOLLIN)
        self._connections[number] = connection

    def await_room(self, connection: SocketConnection, wanted: bool) -> None:
        """Tell `connection` also when its socket takes bytes again, or no longer."""
        assert self._epoll, "not started"
        events = select.EPOLLIN | select.EPOLLOUT if wanted else select.EPOLLIN
        self._epoll.modify(connection.socket.fileno(), events)

    def forget(self, connection: SocketConnection) -> None:
        """Stop watching a socket; to be called before it is closed."""
        number = connection.socket.fileno()
        if self._epoll and self._connections.pop(number, None):
            # Not left to the close: where a fork has a copy of the socket, epoll would go on telling.
            self._epoll.unregister(number)

    def _on_ready(self) -> None:
        assert self._epoll, "not started"
        # What is left over is told again in the loop's next turn.
        for number, events in self._epoll.poll(0, SOCKETS_A_TURN):
            connection = self._connections.get(number)
            if connection is None:  # closed meanwhile, by what another one's events led to
                continue
            try:
                connection.on_ready(events)
            except Exception:  # a bug, of which the other connections must not suffer
                log.exception("a connection failed; it is closed")
                connection.fail()


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
