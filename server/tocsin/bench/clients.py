"""Many open streams, read as cheaply as Python can.

One edge-triggered epoll, one shared buffer, one `recv_into` and one `count` per read: about a
microsecond, most of it the kernel's. No object, coroutine or parser per stream. Edge-triggered, because
a level-triggered epoll looks at each ready socket twice; a read that doesn't fill the buffer has
emptied the socket, so nothing is left behind an edge.
"""

from __future__ import annotations

import itertools
import select
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from tocsin.bench.answers import stream_status
from tocsin.bench.errors import BenchError
from tocsin.bench.ledger import Ledger, Stretch
from tocsin.bench.marks import MARK
from tocsin.bench.target import Target

BUFFER_BYTES = 256 * 1024  # stays in the second-level cache
MAX_READY = 256  # sockets read before publishers get their turn: about 0.3 ms
HANDSHAKES = 400
"""Connections that are under way at once: below 511, the backlog that many servers listen with."""

PER_SOURCE = 10_000
"""Streams from one loopback address: each has 28,000 ports towards one address and port."""

_source_numbers = itertools.count()
"""Loopback addresses that connections came from so far, over all `Clients`. None is used twice in a minute: the closed
connections of an earlier load are in TIME_WAIT, and `connect` would look through their ports, 40 us a stream."""

SAMPLED = 32
"""Streams whose every read is timed, spread evenly over all of them."""

_IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; lets the kernel choose the port at `connect`
_MOD_READ = select.EPOLLIN | select.EPOLLET


class Clients:
    """Open streams, all on one epoll, and how far each of them has read.

    Args:
        target: the server.
        epoll: where the streams are registered; others may register descriptors of their own.
        ledger: what is read when is written there.
    """

    def __init__(self, target: Target, epoll: select.epoll, ledger: Ledger) -> None:
        self.deliveries = 0
        """Events read in all."""
        self.floor = 0
        """Events that every stream has read."""
        self._family, self._address = target.address()
        self._epoll = epoll
        self._ledger = ledger
        self._sockets: dict[int, socket.socket] = {}
        self._receivers: dict[int, Callable[[bytearray], int]] = {}
        self._positions: dict[int, int] = {}
        self._streams_at: defaultdict[int, int] = defaultdict(int)
        self._sampled: frozenset[int] = frozenset()
        self._connected = 0
        self._source_address = ""
        self._witness = -1
        self._buffer = bytearray(BUFFER_BYTES)
        self._idle_ns = 0
        self._idle_since_ns = 0

    @property
    def idle_s(self) -> float:
        """Processor time spent on finding nothing to read."""
        return self._idle_ns / 1e9

    def __len__(self) -> int:
        return len(self._sockets)

    # --- opening ------------------------------------------------------------------------------

    def open(
        self,
        requests: Sequence[bytes],
        *,
        deadline: float,
        replayed: int = 0,
        handshakes: int = HANDSHAKES,
    ) -> None:
        """Open one stream for each request; return when all are answered and have read `replayed` events.

        Args:
            requests: a GET each.
            deadline: when to give up, on the clock of `time.monotonic`.
            replayed: events that each stream gets before this returns; not counted as deliveries.
            handshakes: streams that may be waiting for their answer at once.

        Raises:
            BenchError: a stream was refused, or not all were open in time.
        """
        made: list[_Opening] = []
        try:
            self._open(requests, deadline, replayed, handshakes, made)
        except BaseException:
            for opening in made:
                opening.connection.close()
            raise
        self._take(made)

    def _open(
        self,
        requests: Sequence[bytes],
        deadline: float,
        replayed: int,
        handshakes: int,
        made: list[_Opening],
    ) -> None:
        """Make an opening for each request, and see all of them through."""
        openings: dict[int, _Opening] = {}
        while len(made) < len(requests) or openings:
            while len(openings) < handshakes and len(made) < len(requests):
                made.append(_Opening(self._connect(), requests[len(made)], replayed))
                openings[made[-1].fd] = made[-1]
                made[-1].begin()
                self._epoll.register(made[-1].fd, _MOD_READ | select.EPOLLOUT)
            if time.monotonic() > deadline:
                count = len(made) - len(openings)
                raise BenchError(f"{count} of {len(requests)} streams were open in time")
            for fd, _ in self._epoll.poll(0.1, MAX_READY):
                if fd in openings and openings[fd].step(self._buffer):
                    del openings[fd]

    def _source(self) -> str:
        """The loopback address that the next connection comes from."""
        if self._connected % PER_SOURCE == 0:
            number = next(_source_numbers) % (254 * 254)
            self._source_address = f"127.1.{1 + number // 254}.{1 + number % 254}"
        self._connected += 1
        return self._source_address

    def _connect(self) -> socket.socket:
        connection = socket.socket(self._family, socket.SOCK_STREAM)
        connection.setblocking(False)
        if str(self._address[0]).startswith("127."):
            connection.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            connection.bind((self._source(), 0))
        connection.connect_ex(self._address)
        return connection

    def _take(self, opened: Sequence[_Opening]) -> None:
        """From now on `read` reads them; what came in since is reported, as `modify` looks again."""
        for opening in opened:
            self._sockets[opening.fd] = opening.connection
            # Acknowledge every second event, not each one as it is read: a third of a read's cost.
            opening.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            self._receivers[opening.fd] = opening.connection.recv_into
            self._positions[opening.fd] = self.floor
            self._streams_at[self.floor] += 1
            self._epoll.modify(opening.fd, _MOD_READ)
        descriptors = list(self._sockets)
        if self._witness < 0 and descriptors:
            self._witness = descriptors[0]
        every = max(len(descriptors) // SAMPLED, 1)
        self._sampled = frozenset([self._witness, *descriptors[::every], *descriptors[-1:]])

    # --- reading ------------------------------------------------------------------------------

    def read(self, timeout_s: float) -> None:
        """Read streams that have something, `MAX_READY` at most.

        Waits at most `timeout_s` for the first. The loop below is what the generator's speed is made
        of: hence the local names, and no call that isn't needed. Most streams read the very bytes that
        the one before them read, and stood where it stood: comparing is quicker than counting (40 % of
        a long read), and books are kept once for a run of them (15 % of a short one).
        """
        receivers, positions, sampled = self._receivers, self._positions, self._sampled
        buffer, is_again = self._buffer, self._buffer.startswith
        last_read, last_size, events = b"", 0, 0
        begin = end = run = 0
        ready = self._epoll.poll(timeout_s, MAX_READY)
        self._note_idleness(is_idle=not ready)
        for fd, _ in ready:
            try:
                size = receivers[fd](buffer)
            except (BlockingIOError, KeyError):  # nothing after all, or another's on this epoll
                continue
            except OSError:
                size = 0
            if not size:
                self._move(begin, end, run)
                run = 0
                self._lose(fd)
                continue
            if size != last_size or not is_again(last_read):
                last_read, last_size = bytes(memoryview(buffer)[:size]), size
                events = last_read.count(MARK)
            if fd in sampled:
                self._note(fd, last_read, events)
            if size == BUFFER_BYTES:
                self._epoll.modify(fd, _MOD_READ)  # there may be more: comes again at the next look
            before = positions[fd]
            positions[fd] = after = before + events
            if before != begin or after != end:
                self._move(begin, end, run)
                begin, end, run = before, after, 0
            run += 1
        self._move(begin, end, run)

    def _move(self, begin: int, end: int, streams: int) -> None:
        """Write down that so many streams have read on from one position to another."""
        if begin == end or not streams:
            return
        self.deliveries += (end - begin) * streams
        self._streams_at[begin] -= streams
        self._streams_at[end] += streams
        if begin == self.floor and not self._streams_at[begin]:
            self._raise_floor()

    def _note_idleness(self, *, is_idle: bool) -> None:
        """Keep the books of idle time; a look at the clock only where idleness begins or ends."""
        if is_idle and not self._idle_since_ns:
            self._idle_since_ns = time.process_time_ns()
        elif not is_idle and self._idle_since_ns:
            self._idle_ns += time.process_time_ns() - self._idle_since_ns
            self._idle_since_ns = 0

    def _note(self, fd: int, read: bytes, events: int) -> None:
        if fd == self._witness:
            self._ledger.trail.feed(read)
        if events:
            position = self._positions[fd]
            self._ledger.sampled.append(
                Stretch(position, position + events, time.perf_counter_ns())
            )

    def _raise_floor(self) -> None:
        """The last stream has left the lowest position: move up to the one that is lowest now."""
        at_ns = time.perf_counter_ns()
        first = self.floor
        while not self._streams_at[self.floor] and self._sockets:
            del self._streams_at[self.floor]
            self.floor += 1
        self._ledger.everywhere.append(Stretch(first, self.floor, at_ns))

    def _lose(self, fd: int) -> None:
        """The server closed a stream: an error, and one less to wait for."""
        self._ledger.errors["stream closed by the server"] += 1
        del self._receivers[fd]
        self._sockets.pop(fd).close()
        position = self._positions[fd]
        self._streams_at[position] -= 1
        if position == self.floor and not self._streams_at[position]:
            self._raise_floor()

    def close(self) -> None:
        """Close all streams."""
        for connection in self._sockets.values():
            connection.close()
        self._sockets.clear()
        self._receivers.clear()


class _Opening:
    """A stream on its way: connecting, then waiting for the answer's head, then for its replay."""

    def __init__(self, connection: socket.socket, request: bytes, replayed: int) -> None:
        self.connection = connection
        self.fd = connection.fileno()
        self._request = request
        self._replayed = replayed
        self._head = b""
        self._answered = False

    def begin(self) -> None:
        """Send the request at once where the connection is made already, as it mostly is on one machine.

        Raises:
            BenchError: refused.
        """
        try:
            self._request = self._request[self.connection.send(self._request) :]
        except BlockingIOError:  # not yet: `step` sends it
            return
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BenchError(f"a stream couldn't be opened: {reason}") from None

    def step(self, buffer: bytearray) -> bool:
        """Do what can be done now; True once the stream is open and has read its replay.

        Raises:
            BenchError: refused.
        """
        try:
            if self._request:
                self._send()
            while (size := self.connection.recv_into(buffer)) > 0:
                self._take(buffer, size)
        except BlockingIOError:
            return self._answered and self._replayed <= 0
        except (OSError, ValueError) as error:
            raise BenchError(f"a stream couldn't be opened: {error}") from None
        raise BenchError("a stream was closed as soon as it was opened")

    def _send(self) -> None:
        error = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "connection refused")
        self.connection.send(self._request)
        self._request = b""

    def _take(self, buffer: bytearray, size: int) -> None:
        self._replayed -= buffer.count(MARK, 0, size)
        if self._answered:
            return
        self._head += buffer[:size]
        status = stream_status(self._head)
        if status not in (None, 200):
            raise BenchError(f"a stream was answered with status {status}")
        self._answered = status == 200


def open_silent(target: Target, request: bytes, count: int) -> list[Any]:
    """Open streams that nobody ever reads, each with the smallest receive buffer there is."""
    family, address = target.address()
    silent = []
    for _ in range(count):
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        connection.connect(address)
        connection.sendall(request)
        silent.append(connection)
    return silent
