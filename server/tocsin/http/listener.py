"""The listener: accepts connections, keeps their number and their times in bounds, and lets Tornado have the odd ones."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Any, cast

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate
from tornado.iostream import SSLIOStream
from tornado.web import Application

from tocsin.access.trusted_proxies import UNIX_PEER
from tocsin.http.edge import Edge
from tocsin.http.fast_lane import ANSWERED_FIRST, FastConnection, State
from tocsin.http.patience import HEAD_S
from tocsin.http.tls import HANDSHAKE_S, Tls
from tocsin.http.tornado_lane import rules
from tocsin.hub.loop_lag import LoopLag
from tocsin.hub.turns import Turn
from tocsin.sockets import EndOfTurn, Sockets
from tocsin.tornado_internals import SteadyCallback, has_head, iostream_with, secured

ACCEPT_AGAIN_S = 0.5
"""How long nothing is accepted where the system has no descriptor or memory left: trying at once would spin."""

COMING_S = 0.25
"""How long, at the end, a request may take to come in on a connection that was accepted, or was sent part of one. To
close at once would reset it, and its client couldn't know whether it was taken."""

LOOK_EVERY_S = 0.01
"""How often it is looked, at the end, whether all answers are out."""

ENDED_IN_TIME = frozenset({State.READING, State.WRITING, State.LEAVING})
"""What a connection may be doing that has its time; what an answer waits for has its own."""

SWEEP_EVERY_S = 1.0
"""How often it is looked whether something has waited too long."""

TORNADO_IDLE_S = 86_400.0
"""Tornado's own limit, which cuts off without a look at what lies in the socket. `end_idle` comes first."""

MAPPED = "::ffff:"

CHUNK_BYTES = 64 * 1024
MAX_BUFFER_BYTES = 1024 * 1024

log = logging.getLogger("tocsin")


class Listener:
    """Connections of one set of sockets.

    Args:
        edge: answers their requests.
        room: how many connections there may still be.
        on_refused: told of each that was closed at once for want of room.
        max_header_bytes: of one request's head.
        keep_alive_s: how long a connection may wait for its next request.
        loop_lag: how late the loop is: what is read then came in before.
        end_of_turn: when what came in during a turn of the loop is seen to, if something waits for that.

    Attributes:
        is_stopping: each connection ends behind the answer that it is due.
    """

    def __init__(
        self,
        edge: Edge,
        room: Callable[[], int],
        on_refused: Callable[[], None],
        *,
        max_header_bytes: int,
        keep_alive_s: float,
        loop_lag: LoopLag,
        end_of_turn: EndOfTurn | None = None,
    ) -> None:
        self.edge = edge
        self.loop_lag = loop_lag
        self.max_header_bytes = max_header_bytes
        self.is_stopping = False
        self._room = room
        self._on_refused = on_refused
        self._keep_alive_s = keep_alive_s
        self.sockets = Sockets(end_of_turn)
        self._listening: dict[socket.socket, Tls | None] = {}
        self._handshakes: set[SSLIOStream] = set()
        self._connections: set[FastConnection] = set()
        self._tornado = TornadoServer(edge, max_header_bytes, keep_alive_s)
        self._sweep = SteadyCallback(self._look, 1000 * SWEEP_EVERY_S)

    @property
    def open(self) -> int:
        """Connections that are no streams."""
        return len(self._connections) + len(self._handshakes) + self._tornado.open

    def add_sockets(self, sockets: Iterable[socket.socket], tls: Tls | None = None) -> None:
        """Accept from `sockets`, which listen, from now on; with `tls` where there is one."""
        if not self._sweep.is_running():
            self.sockets.start()
            self._sweep.start()
        for listening in sockets:
            self._listening[listening] = tls
            self._watch(listening)

    def connect(self) -> socket.socket:
        """A connection of the hub to itself, past the network: its other end is served like any, and is known.

        Raises:
            ConnectionRefusedError: nothing is accepted any more.
        """
        if not self._listening:
            raise ConnectionRefusedError("the listener has stopped")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        connection = FastConnection(self, ours, (), is_internal=True)
        self._connections.add(connection)
        connection.on_ready()
        return theirs

    def stop(self) -> None:
        """Accept nothing any more; what is open goes on."""
        for listening in self._listening:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        self._listening.clear()

    def leave(self) -> None:
        """Accept nothing any more, and end each connection behind its next answer: others accept from the sockets."""
        self.stop()
        self.is_stopping = self.edge.ends_connections = True

    async def close_all_connections(self) -> None:
        """Close what waits, let end what is being answered, and close that too."""
        self.is_stopping = True
        self._sweep.stop()
        for stream in tuple(self._handshakes):
            stream.close()
        loop = asyncio.get_running_loop()
        coming_until = loop.time() + COMING_S
        for connection in tuple(self._connections):
            if connection.state is State.WAITING:
                connection.on_ready()  # a request that lies there is served
            if connection.state not in ANSWERED_FIRST and not _is_coming(connection):
                connection.close()
        try:
            while self._is_answering or (
                loop.time() < coming_until and any(map(_is_coming, self._connections))
            ):
                await asyncio.sleep(LOOK_EVERY_S)
            # Tornado's lane sends an answer some turns of the loop after it was made.
            await asyncio.sleep(LOOK_EVERY_S)
        finally:
            for connection in tuple(self._connections):
                connection.close()
            self.sockets.stop()
            await self._tornado.close_all_connections()

    @property
    def _is_answering(self) -> bool:
        """Whether a request has been taken whose answer isn't out."""
        return self.edge.answering > 0 or any(c.state in ANSWERED_FIRST for c in self._connections)

    # --- accepting ----------------------------------------------------------------------------

    def _watch(self, listening: socket.socket) -> None:
        if listening in self._listening:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        turn = Turn()
        while not turn.is_over:  # the rest is told again in the loop's next turn
            try:
                sock, address = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor, or no memory
                log.warning("connections wait: accepting failed", extra={"error": error.strerror})
                loop = asyncio.get_running_loop()
                loop.remove_reader(listening)
                loop.call_later(ACCEPT_AGAIN_S, self._watch, listening)
                return
            self._take(sock, peer_of(listening, address), self._listening[listening])

    def _take(self, sock: socket.socket, address: tuple[Any, ...], tls: Tls | None) -> None:
        """Serve a connection, or close it at once where there is no room for it."""
        if self._room() <= 0:
            self._on_refused()
            log.warning("connection refused: descriptors run low")
            sock.close()
            return
        sock.setblocking(False)
        if tls:
            self._secure(sock, address, tls)
            return
        connection = FastConnection(self, sock, address)
        self._connections.add(connection)
        connection.on_ready()  # what it asks is mostly there already

    def _secure(self, sock: socket.socket, address: tuple[Any, ...], tls: Tls) -> None:
        """Let Tornado serve a connection when both sides have agreed on its keys; the fast lane knows plain bytes only."""
        try:
            stream = secured(
                sock, tls.context, max_buffer_size=MAX_BUFFER_BYTES, chunk_size=CHUNK_BYTES
            )
        except OSError:  # it was broken off already
            sock.close()
            return
        self._handshakes.add(stream)
        deadline = asyncio.get_running_loop().call_later(HANDSHAKE_S, stream.close)

        def on_agreed(agreed: asyncio.Future[SSLIOStream]) -> None:
            deadline.cancel()
            self._handshakes.discard(stream)
            if agreed.exception() is None and not stream.closed():
                self._tornado.handle_stream(stream, address)

        stream.wait_for_handshake().add_done_callback(on_agreed)

    # --- what a connection asks of its owner ----------------------------------------------------

    def on_over(self, connection: FastConnection) -> None:
        """Forget the connection."""
        self._connections.discard(connection)

    def hand_over(self, sock: socket.socket, address: tuple[Any, ...], data: bytes) -> None:
        """Let Tornado serve it."""
        stream = iostream_with(data, sock, max_buffer_size=MAX_BUFFER_BYTES, chunk_size=CHUNK_BYTES)
        self._tornado.handle_stream(stream, address)

    async def _look(self) -> None:
        """Once a second: end what has waited, or stood still, for too long; in turns, as it may be thousands."""
        turn, now = Turn(), asyncio.get_running_loop().time()
        for connection in tuple(self._connections):
            if connection.state is State.WAITING:
                self._end_idle(connection, now)
            elif connection.state in ENDED_IN_TIME and connection.overdue(now):
                self._end_overdue(connection, now)
            if turn.is_over:
                await turn.next()
        self._tornado.end_idle(now)

    def _end_overdue(self, connection: FastConnection, now: float) -> None:
        """Give up a connection that has done the same for too long."""
        connection.on_ready()  # the hub itself may have stood still: what lies there is read, and what has room is sent
        if connection.state in ENDED_IN_TIME and connection.overdue(now):
            connection.give_up()

    def _end_idle(self, connection: FastConnection, now: float) -> None:
        """Close a connection that has waited for a request for too long."""
        # One that never asked for anything has less time: it holds a descriptor, and who has many of them keeps others out.
        most_s = min(HEAD_S, self._keep_alive_s) if connection.is_new else self._keep_alive_s
        if now - connection.since <= most_s:
            return
        connection.on_ready()  # as above: a request that lies there is served
        if connection.state is State.WAITING and now - connection.since > most_s:
            connection.close()


def peer_of(listening: socket.socket, address: Any) -> tuple[Any, ...]:
    """The address of what `listening` accepted; `UNIX_PEER` where it has none, an IPv4 address as it is written.

    A socket for both versions gives IPv4 addresses as those of IPv6 (RFC 4291, section 2.5.5.2).
    """
    if listening.family == socket.AF_UNIX:
        return (UNIX_PEER,)
    if listening.family == socket.AF_INET6 and address[0].startswith(MAPPED):
        return (address[0].removeprefix(MAPPED), *address[1:])
    return tuple(address)


def _is_coming(connection: FastConnection) -> bool:
    """Whether a request is on its way: the first one of its connection, or one of which a part is here."""
    is_first = connection.state is State.WAITING and connection.is_new
    return is_first or connection.state is State.READING


class NextRequest:
    """The request that a connection of Tornado's is for, since when, and when it was first seen to be overdue."""

    __slots__ = ("connection", "overdue_at", "since")

    def __init__(self, connection: HTTP1Connection) -> None:
        self.connection = connection
        self.since = asyncio.get_running_loop().time()
        self.overdue_at = 0.0


class TornadoServer(HTTPServer):
    """Tornado's server for connections that are handed over, with its limits set."""

    def initialize(  # type: ignore[override]
        self, edge: Edge, max_header_bytes: int, keep_alive_s: float
    ) -> None:
        """Called by Tornado's constructor."""
        self.open = 0
        self._idle_s = max(keep_alive_s, HEAD_S)
        self._next: dict[object, NextRequest] = {}
        super().initialize(
            Application([*rules(edge, others=".*")], log_function=lambda _: None),
            idle_connection_timeout=TORNADO_IDLE_S,
            max_header_size=max_header_bytes,
            max_buffer_size=MAX_BUFFER_BYTES,
            chunk_size=CHUNK_BYTES,
            decompress_request=False,  # a small body that unpacks to a large one
        )

    def handle_stream(self, stream: Any, address: tuple[Any, ...]) -> None:
        """Serve a connection."""
        self.open += 1
        super().handle_stream(stream, address)

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Called by Tornado where a connection begins to wait for a request."""
        self._next[server_conn] = NextRequest(cast(HTTP1Connection, request_conn))
        return super().start_request(server_conn, request_conn)

    def end_idle(self, now: float) -> None:
        """Close what has waited for a head for too long; to be called once a second.

        Twice in a row it has to be so: where the hub itself stood still, what came meanwhile is read first.
        """
        for request in tuple(self._next.values()):
            if has_head(request.connection) or now - request.since <= self._idle_s:
                continue
            if now - request.overdue_at < 2 * SWEEP_EVERY_S:
                request.connection.close()
            request.overdue_at = now

    def on_close(self, server_conn: object) -> None:
        """Called by Tornado when a connection is over, or handed to a stream."""
        self.open -= 1
        self._next.pop(server_conn, None)
        super().on_close(server_conn)
