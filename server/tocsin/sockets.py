"""Many sockets on one epoll: what a socket costs that does nothing, and what it costs to find those that do something."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

SOCKETS_A_TURN = 100
"""Sockets seen to before the loop gets a turn, where thousands of clients come, ask or go at once."""

TURN_S = 0.005
"""How long that may take, or longer by one socket."""

log = logging.getLogger("tocsin")


class EndOfTurn:
    """Work that is put off to the end of the loop's turn, so that it is done once for all that came in.

    Inside a turn of `Sockets` it is done at the turn's end, in place: to ask the loop for another turn costs
    as much as a fifth of a POST. Elsewhere the loop is asked.
    """

    def __init__(self) -> None:
        self._is_inside = False
        self._due: list[Callable[[], None]] = []

    def call(self, work: Callable[[], None]) -> None:
        """Do `work` at the end of this turn."""
        if self._is_inside:
            self._due.append(work)
        else:
            asyncio.get_running_loop().call_soon(work)

    def __enter__(self) -> None:
        self._is_inside = True

    def __exit__(self, *_: object) -> None:
        self._is_inside = False
        due, self._due = self._due, []
        for work in due:
            work()


class Watched(Protocol):
    """Who has a socket that is watched."""

    @property
    def socket(self) -> socket.socket:
        """Connected, and non-blocking."""

    def on_ready(self, events: int) -> None:
        """The socket can be read, or takes bytes, or broke: `events` of epoll."""

    def fail(self) -> None:
        """`on_ready` raised: close, whatever is under way."""


class Sockets:
    """Watches many sockets with one epoll, which the loop watches in turn.

    `loop.add_reader` for each would take a key, a handle and a context: 0.6 KiB a client, and half of
    what opening a stream costs. Here a client is one entry of a dictionary. Linux only, as the options of
    the listening sockets are.

    Args:
        end_of_turn: ends with each turn of these sockets.
    """

    def __init__(self, end_of_turn: EndOfTurn | None = None) -> None:
        self._end_of_turn = end_of_turn or EndOfTurn()
        self._epoll: select.epoll | None = None
        self._connections: dict[int, Watched] = {}

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

    def watch(self, connection: Watched) -> None:
        """Tell `connection` when its socket can be read."""
        assert self._epoll, "not started"
        number = connection.socket.fileno()
        self._epoll.register(number, select.EPOLLIN)
        self._connections[number] = connection

    def await_room(self, connection: Watched, wanted: bool) -> None:
        """Tell `connection` also when its socket takes bytes again, or no longer."""
        self.expect(connection, select.EPOLLIN | select.EPOLLOUT if wanted else select.EPOLLIN)

    def expect(self, connection: Watched, events: int) -> None:
        """Tell `connection`, which is watched, of these events of epoll and no others."""
        assert self._epoll, "not started"
        self._epoll.modify(connection.socket.fileno(), events)

    def forget(self, connection: Watched) -> None:
        """Stop watching a socket; to be called before it is closed."""
        number = connection.socket.fileno()
        if self._epoll and self._connections.pop(number, None):
            # Not left to the close: where a fork has a copy of the socket, epoll would go on telling.
            self._epoll.unregister(number)

    def _on_ready(self) -> None:
        with self._end_of_turn:
            self._see_to_ready()

    def _see_to_ready(self) -> None:
        assert self._epoll, "not started"
        # What is left over is told again in the loop's next turn.
        over = perf_counter() + TURN_S
        for number, events in self._epoll.poll(0, SOCKETS_A_TURN):
            connection = self._connections.get(number)
            if connection is None:  # closed meanwhile, by what another one's events led to
                continue
            try:
                connection.on_ready(events)
            except Exception:  # a bug, of which the other connections must not suffer
                log.exception("a connection failed; it is closed")
                connection.fail()
            if perf_counter() > over:
                break
