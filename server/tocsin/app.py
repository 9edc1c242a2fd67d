"""The only place that wires: routes, the listening socket, start, and drain."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets
from tornado.routing import Rule
from tornado.web import Application, url

from tocsin.errors import SettingsError
from tocsin.handlers.base import NotFound
from tocsin.handlers.events import EventsHandler
from tocsin.handlers.health import HealthHandler, ReadyHandler, StatsHandler
from tocsin.handlers.history import HistoryHandler
from tocsin.handlers.metrics import MetricsHandler
from tocsin.handlers.notify import NotifyHandler
from tocsin.handlers.pages import FRONTEND, PagesHandler
from tocsin.hub import Hub
from tocsin.journal import open_journal
from tocsin.metrics import make_registry
from tocsin.requests import AccessLog
from tocsin.settings import RESERVED_DESCRIPTORS, Settings
from tocsin.simulator import Simulator

BACKLOG = 4_096  # thousands of clients come back at once after a restart

SEND_BUFFER_BYTES = 128 * 1024
"""The kernel's share of a slow client. Doubled by Linux; enough for 2.5 MB/s at 100 ms of distance."""

DEAD_PEER_MS = 20_000
"""How long sent bytes may go unacknowledged: with heartbeats, when a vanished client is noticed."""

KEEPALIVE_S = 60

log = logging.getLogger("tocsin")


def routes(hub: Hub, access_log: AccessLog | None = None) -> list[Rule]:
    """The hub's routes, to mount into any Tornado application; `hub` is started by the caller."""
    of_hub: dict[str, Any] = {"hub": hub}
    registry = make_registry(hub, (access_log or AccessLog()).counts)
    return [
        url(r"/events", EventsHandler, of_hub),
        url(r"/api/notify", NotifyHandler, of_hub),
        url(r"/api/history", HistoryHandler, of_hub),
        url(r"/api/stats", StatsHandler, of_hub),
        url(r"/healthz", HealthHandler, of_hub),
        url(r"/readyz", ReadyHandler, of_hub),
        url(r"/metrics", MetricsHandler, of_hub | {"registry": registry}),
        url(
            r"/([A-Za-z0-9._/-]*)",
            PagesHandler,
            of_hub | {"path": str(FRONTEND), "default_filename": "index.html"},
        ),
    ]


class Listener(HTTPServer):
    """Tornado's server with its limits set, and a guard against running out of descriptors."""

    def initialize(self, hub: Hub, descriptor_limit: int) -> None:  # type: ignore[override]
        """Called by Tornado's constructor."""
        access_log = AccessLog()
        app = Application(
            routes(hub, access_log),
            default_handler_class=NotFound,
            default_handler_args={"hub": hub},
            log_function=access_log,
            static_hash_cache=False,  # a changed file is served as such; hashing one takes 50 us
        )
        self._hub = hub
        self._descriptor_limit = descriptor_limit
        self._open_requests = 0
        super().initialize(
            app,
            idle_connection_timeout=10,
            body_timeout=10,
            max_header_size=8 * 1024,
            max_body_size=hub.settings.max_event_bytes,
            max_buffer_size=1024 * 1024,
            chunk_size=16 * 1024,
            decompress_request=False,  # a small body that unpacks to a large one
        )

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Take a connection, or close it at once where descriptors run low.

        Without the guard an accept that fails for want of a descriptor is tried again for ever: a
        loop at 100 % that logs each turn.
        """
        if self._open_requests + len(self._hub.streams) >= self._descriptor_limit:
            self._hub.tally.rejected["full"] += 1
            log.warning("connection refused: descriptors run low")
            stream.close()
            return
        self._open_requests += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        """Called by Tornado when a connection is over, or handed to a stream."""
        self._open_requests -= 1
        super().on_close(server_conn)


class Server:
    """A hub and its listener, from start to drain."""

    def __init__(self, settings: Settings) -> None:
        self.hub = Hub(settings, open_journal(settings.journal))
        self._settings = settings
        self._listener = Listener(self.hub, self.hub.clients_limit + RESERVED_DESCRIPTORS // 2)
        self._simulator = Simulator(self.hub, settings.simulate) if settings.simulate else None
        self.port = 0

    async def start(self) -> None:
        """Open the journal, then the port.

        Raises:
            SettingsError: the host or the journal can't be had.
            OSError: the port is taken, or not for this user.
        """
        await self.hub.start()
        sockets = listening_sockets(self._settings.host, self._settings.port)
        self.port = sockets[0].getsockname()[1]
        self._listener.add_sockets(sockets)
        if self._simulator:
            self._simulator.start()

    async def stop(self) -> None:
        """Stop accepting, end the streams, finish what is being published; bounded in time."""
        self._listener.stop()
        if self._simulator:
            self._simulator.stop()
        await self.hub.stop()
        try:
            await asyncio.wait_for(self._listener.close_all_connections(), 1.0)
        except TimeoutError:
            log.warning("connections cut", extra={"after_s": 1.0})


def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on `host`; what they accept inherits their options, at no cost each.

    Raises:
        SettingsError: `host` is no address of this machine.
        OSError: the port is taken, or not for this user.
    """
    try:
        sockets = bind_sockets(port, host, backlog=BACKLOG)
    except OSError as error:
        if not isinstance(error, socket.gaierror) and error.errno != errno.EADDRNOTAVAIL:
            raise
        raise SettingsError(
            f"host: {host!r}: allowed: an address of this machine ({error})"
        ) from None
    for listening in sockets:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sockets


async def serve(settings: Settings) -> None:
    """Run a hub until SIGTERM or SIGINT; a second signal ends it at once."""
    server = Server(settings)
    await server.start()
    address = f"http://{_shown(settings.host)}:{server.port}"
    print(_greeting(address), flush=True)
    log.info("started", extra={"address": address, "clients_limit": server.hub.clients_limit})
    await _signal()
    log.info("draining", extra={"clients": len(server.hub.streams)})
    stopping = asyncio.ensure_future(server.stop())
    await asyncio.wait({stopping, asyncio.ensure_future(_signal())}, return_when="FIRST_COMPLETED")
    log.info("stopped", extra={"clients": len(server.hub.streams)})


async def _signal() -> None:
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, arrived.set)
    await arrived.wait()


def _shown(host: str) -> str:
    if host in ("0.0.0.0", "::", "127.0.0.1"):
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _greeting(address: str) -> str:
    return (
        f"Tocsin listens at {address}\n"
        f"Publish:  curl -X POST {address}/api/notify"
        """ -H "Content-Type: application/json" -d '{"type": "system_alert", "message": "Bonjour"}'"""
    )
