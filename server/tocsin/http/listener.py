"""The listening sockets, and the HTTP server behind them, with its limits set."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterable
from time import monotonic
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets
from tornado.web import Application

from tocsin.errors import PortTaken, SettingsError
from tocsin.http.fast_answers import PlainAnswers
from tocsin.http.fast_lane import DirectConnection
from tocsin.hub.hub import Hub

BACKLOG = 4_096  # thousands of clients come back at once after a restart

SEND_BUFFER_BYTES = 128 * 1024
"""The kernel's share of a slow client. Doubled by Linux; enough for 2.5 MB/s at 100 ms of distance."""

DEAD_PEER_S = 20.0
"""How long sent bytes may go unacknowledged: with heartbeats, when a vanished client is noticed."""

GRACE_S = 5.0
"""How much longer it is than what a slow client has: Linux counts a full receive buffer as unacknowledged."""

KEEPALIVE_S = 60

LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a listener on all addresses is met by its own machine."""

HTTP_LIMITS: dict[str, Any] = {
    "idle_connection_timeout": 10,
    "body_timeout": 10,
    "max_header_size": 8 * 1024,
    "max_buffer_size": 1024 * 1024,
    "chunk_size": 64 * 1024,  # a batch comes in two or three reads rather than in ten
    "decompress_request": False,  # a small body that unpacks to a large one
}

log = logging.getLogger("tocsin")


class Listener(HTTPServer):
    """Tornado's server with its limits set, a lane for plain requests, and a guard of its descriptors."""

    def initialize(  # type: ignore[override]
        self, app: Application, hub: Hub, descriptor_limit: int, answers: PlainAnswers
    ) -> None:
        """Called by Tornado's constructor."""
        self._hub = hub
        self._answers = answers
        self._descriptor_limit = descriptor_limit
        self._open_requests = 0
        self._waiting: dict[DirectConnection, float] = {}  # since when, the longest first
        self._sweep = PeriodicCallback(self._close_idle, 1000)
        super().initialize(app, max_body_size=hub.settings.max_event_bytes, **HTTP_LIMITS)

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Start accepting."""
        self._sweep.start()
        super().add_sockets(sockets)

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Take a connection, or close it at once where descriptors run low.

        Without the guard an accept that fails for want of a descriptor is tried again for ever: a
        loop at 100 % that logs each turn.
        """
        if self._open_requests + len(self._hub.streams) >= self._descriptor_limit:
            self._hub.counters.rejected["full"] += 1
            log.warning("connection refused: descriptors run low")
            stream.close()
            return
        self._open_requests += 1
        limit = HTTP_LIMITS["max_header_size"]
        DirectConnection(self, self._answers, stream, address, limit).look()

    def on_close(self, server_conn: object) -> None:
        """Called by Tornado when a connection is over, or handed to a stream."""
        self._open_requests -= 1
        super().on_close(server_conn)

    async def close_all_connections(self) -> None:
        """Close what is left, after `stop`."""
        self._sweep.stop()
        for connection in tuple(self._waiting):
            connection.close()
        await super().close_all_connections()

    # --- what a direct connection asks of its owner ---------------------------------------------

    def wait_for(self, connection: DirectConnection) -> None:
        """Close it if nothing comes for as long as Tornado would wait, or if the end has come."""
        self._waiting.pop(connection, None)
        if not self._sweep.is_running():
            connection.close()
            return
        self._waiting[connection] = monotonic()

    def stop_waiting_for(self, connection: DirectConnection) -> None:
        """Its request is there, or it is over."""
        self._waiting.pop(connection, None)

    def hand_over(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Let Tornado serve it."""
        super().handle_stream(stream, address)

    def on_over(self) -> None:
        """A direct connection is closed, or a stream's."""
        self._open_requests -= 1

    def _close_idle(self) -> None:
        limit = monotonic() - HTTP_LIMITS["idle_connection_timeout"]
        for connection, since in tuple(self._waiting.items()):
            if since > limit:
                break
            connection.close()


def listening_sockets(
    host: str, port: int, setting: str = "", dead_peer_s: float = DEAD_PEER_S
) -> list[socket.socket]:
    """Sockets that listen on `host`; what they accept inherits their options, at no cost each.

    Args:
        host: a name or an address; empty is all of this machine's.
        port: 0 takes a free one.
        setting: that holds both, for the errors; or else `host` and `port` do.
        dead_peer_s: how long sent bytes may go unacknowledged.

    Raises:
        SettingsError: `host` is no address of this machine.
        PortTaken: the port is taken, or not for this user.
    """
    try:
        sockets = bind_sockets(port, host, backlog=BACKLOG)
    except OSError as error:
        if not isinstance(error, socket.gaierror) and error.errno != errno.EADDRNOTAVAIL:
            reason = error.strerror or str(error)
            raise PortTaken(f"{setting or 'port'}: {port} on {host}: {reason}") from None
        raise SettingsError(
            f"{setting or 'host'}: {host!r}: allowed: an address of this machine ({error})"
        ) from None
    for listening in sockets:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(dead_peer_s * 1000))
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sockets
