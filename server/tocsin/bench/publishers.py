"""Publishers: kept-alive connections, each of which POSTs when the answer to its last POST is there."""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Sequence

from tocsin.bench.answers import first_answer
from tocsin.bench.errors import BenchError
from tocsin.bench.ledger import Ledger
from tocsin.bench.marks import SMALLEST_MESSAGE_BYTES, numbered, padding
from tocsin.bench.target import Target

_READ_BYTES = 64 * 1024
_CONNECT_S = 5.0
_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET


class Requests:
    """Numbered POSTs, round and round over `topics`, joined from parts that are made once."""

    def __init__(self, target: Target, message_bytes: int, topics: Sequence[str]) -> None:
        pad, hole = padding(message_bytes), numbered(0)
        assert len(hole) == SMALLEST_MESSAGE_BYTES
        self._parts = []
        for topic in topics:
            head, _, tail = target.publish_request(pad + hole, topic).rpartition(hole)
            self._parts.append((head, tail))

    def __getitem__(self, number: int) -> bytes:
        head, tail = self._parts[number % len(self._parts)]
        return head + numbered(number) + tail


class Constant(Requests):
    """The same bytes each time, such as a batch of events; nobody reads them, so nothing is numbered."""

    def __init__(self, request: bytes) -> None:
        self._request = request

    def __getitem__(self, number: int) -> bytes:
        return self._request


class _Publisher:
    """One connection and what it waits for."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.unsent = b""
        self.read = b""
        self.waiting: deque[int] = deque()
        """Numbers that were sent and aren't answered, oldest first."""


class Publishers:
    """The publishing connections of one load.

    Args:
        target: the server.
        epoll: where the connections are registered. Its owner calls `on_ready` with their descriptors.
        ledger: what was sent when, and the answers, are written there.
        requests: the POSTs by number.
        count: how many connections.
    """

    def __init__(
        self, target: Target, epoll: select.epoll, ledger: Ledger, requests: Requests, count: int
    ) -> None:
        self.published = 0
        """POSTs that were sent, those of a warm-up too."""
        self.accepted = 0
        """POSTs that were answered with success."""
        self._family, self._address = target.address()
        self._epoll = epoll
        self._ledger = ledger
        self._requests = requests
        self._publishers: dict[int, _Publisher] = {}
        for _ in range(count):
            self._open()

    @property
    def descriptors(self) -> list[int]:
        """One per connection, to hand to `publish`."""
        return list(self._publishers)

    @property
    def in_flight(self) -> int:
        """POSTs that aren't answered yet."""
        return sum(len(publisher.waiting) for publisher in self._publishers.values())

    def publish(self, fd: int, count: int = 1) -> None:
        """Send the next `count` POSTs on one connection, in one piece."""
        publisher = self._publishers[fd]
        first = self.published
        self.published += count
        pieces = [self._requests[number] for number in range(first, self.published)]
        publisher.waiting.extend(range(first, self.published))
        publisher.unsent += b"".join(pieces)
        self._ledger.sent_ns += [time.perf_counter_ns()] * count
        self._send(publisher)

    def idle(self) -> int:
        """The connection that has waited longest, or for least; -1 if there is none."""
        fd = min(self._publishers, key=lambda each: len(self._publishers[each].waiting), default=-1)
        if fd >= 0:  # the next time it's another one's turn
            self._publishers[fd] = self._publishers.pop(fd)
        return fd

    def on_ready(self, fd: int) -> tuple[int, int]:
        """Read answers, send what is left to send.

        Returns how many POSTs are over, and the descriptor to publish that many new ones on: another
        one, if the server closed this one.
        """
        publisher = self._publishers.get(fd)
        if publisher is None:
            return 0, fd
        if publisher.unsent:
            self._send(publisher)
        try:
            data = publisher.connection.recv(_READ_BYTES)
        except BlockingIOError:
            return 0, fd
        except OSError:
            data = b""
        if not data:
            return self._reopen(publisher)
        publisher.read = publisher.read + data if publisher.read else data
        answered, closes = self._take_answers(publisher)
        if closes:
            lost, fd = self._reopen(publisher)
            return answered + lost, fd
        return answered, fd

    def renew(self) -> None:
        """Replace the connections that the server closed while nothing was asked of them."""
        for fd in self.descriptors:
            self.on_ready(fd)

    def close(self) -> None:
        """Close all connections."""
        for publisher in self._publishers.values():
            publisher.connection.close()
        self._publishers.clear()

    def _open(self) -> int:
        connection = socket.socket(self._family, socket.SOCK_STREAM)
        connection.settimeout(_CONNECT_S)
        try:
            connection.connect(self._address)
        except OSError as error:
            raise BenchError(f"a publisher couldn't connect: {error.strerror or error}") from None
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        self._epoll.register(connection.fileno(), _EVENTS)
        self._publishers[connection.fileno()] = _Publisher(connection)
        return connection.fileno()

    def _reopen(self, publisher: _Publisher) -> tuple[int, int]:
        """Go on with a new connection; what wasn't answered on the old one is an error."""
        lost = len(publisher.waiting)
        if lost:
            self._ledger.errors["POST without an answer"] += lost
        del self._publishers[publisher.connection.fileno()]
        publisher.connection.close()
        return lost, self._open()

    def _send(self, publisher: _Publisher) -> None:
        try:
            sent = publisher.connection.send(publisher.unsent)
        except OSError:
            return  # full for now, or broken: then the next read tells
        publisher.unsent = publisher.unsent[sent:]

    def _take_answers(self, publisher: _Publisher) -> tuple[int, bool]:
        """How many answers are complete, and whether the server closes behind the last."""
        now_ns = time.perf_counter_ns()
        answered = 0
        closes = False
        try:
            while publisher.read and (answer := first_answer(publisher.read)):
                publisher.read = publisher.read[answer.size :]
                number = publisher.waiting.popleft()
                self._ledger.answers_ns.append(now_ns - self._ledger.sent_ns[number])
                if 200 <= answer.status < 300:
                    self.accepted += 1
                else:
                    self._ledger.errors[f"POST answered with status {answer.status}"] += 1
                answered += 1
                closes = answer.closes
        except ValueError as error:
            raise BenchError(str(error)) from None
        return answered, closes
