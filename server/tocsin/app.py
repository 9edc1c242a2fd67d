"""The only place that wires: routes, the listening socket, start, and drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from contextlib import AsyncExitStack
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.routing import Rule
from tornado.web import Application, url

from tocsin.eventlog.journal import open_journal
from tocsin.http.access_log import AccessLog
from tocsin.http.base import NotFound
from tocsin.http.events import EventsHandler
from tocsin.http.fast_answers import PlainAnswers
from tocsin.http.health import HealthHandler, ReadyHandler, StatsHandler
from tocsin.http.history import HistoryHandler
from tocsin.http.listener import (
    DEAD_PEER_S,
    GRACE_S,
    HTTP_LIMITS,
    LOOPBACK,
    Listener,
    listening_sockets,
)
from tocsin.http.metrics import MetricsHandler
from tocsin.http.notify import NotifyHandler
from tocsin.http.pages import FRONTEND, PagesHandler
from tocsin.hub.hub import Hub
from tocsin.ops.canary import Canary
from tocsin.ops.metrics import make_registry
from tocsin.ops.simulator import Simulator
from tocsin.settings import RESERVED_DESCRIPTORS, Settings

log = logging.getLogger("tocsin")


def routes(hub: Hub, access_log: AccessLog | None = None) -> list[Rule]:
    """The hub's routes, to mount into any Tornado application; `hub` is started by the caller."""
    return [*metrics_routes(hub, access_log or AccessLog()), *event_routes(hub)]


def metrics_routes(hub: Hub, access_log: AccessLog) -> list[Rule]:
    """The route of the metrics, which also show what `access_log` counts."""
    registry = make_registry(hub, access_log.counts)
    return [url(r"/metrics", MetricsHandler, {"hub": hub, "registry": registry})]


def event_routes(hub: Hub) -> list[Rule]:
    """All routes but that of the metrics."""
    of_hub: dict[str, Any] = {"hub": hub}
    return [
        url(r"/events", EventsHandler, of_hub),
        url(r"/api/notify", NotifyHandler, of_hub),
        url(r"/api/history", HistoryHandler, of_hub),
        url(r"/api/stats", StatsHandler, of_hub),
        url(r"/healthz", HealthHandler, of_hub),
        url(r"/readyz", ReadyHandler, of_hub),
        url(
            r"/([A-Za-z0-9._/-]*)",
            PagesHandler,
            of_hub | {"path": str(FRONTEND), "default_filename": "index.html"},
        ),
    ]


def application(hub: Hub, rules: list[Rule], access_log: AccessLog) -> Application:
    """An application of `rules` that answers and counts everything else too."""
    return Application(
        rules,
        default_handler_class=NotFound,
        default_handler_args={"hub": hub},
        log_function=access_log,
        static_hash_cache=False,  # a changed file is served as such; hashing one takes 50 us
    )


class Server:
    """A hub, its listeners, its simulator and its canary, from start to drain."""

    def __init__(self, settings: Settings) -> None:
        self.hub = hub = Hub(settings, open_journal(settings.journal))
        self._settings = settings
        access_log = AccessLog()
        rules = event_routes(hub) if settings.metrics_address else routes(hub, access_log)
        app = application(hub, rules, access_log)
        limit = hub.clients_limit + RESERVED_DESCRIPTORS // 2
        self._listener = Listener(app, hub, limit, PlainAnswers(hub, access_log))
        app = application(hub, metrics_routes(hub, access_log), access_log)
        self._metrics_listener = HTTPServer(app, max_body_size=1024, **HTTP_LIMITS)
        self._simulator = Simulator(hub, settings.simulate) if settings.simulate else None
        self._canary: Canary | None = None
        self.port = 0
        self.metrics_port = 0

    async def start(self) -> None:
        """Open the journal, then the ports. Where that fails, nothing stays open.

        Raises:
            SettingsError: a host or the journal can't be had.
            PortTaken: a port can't.
        """
        await self.hub.start()
        try:
            self._listen()
        except BaseException:
            await self.stop()
            raise

    def _listen(self) -> None:
        self._listen_for_metrics()
        settings = self._settings
        dead_peer_s = max(DEAD_PEER_S, settings.slow_client_timeout + GRACE_S)
        sockets = listening_sockets(settings.host, settings.port, dead_peer_s=dead_peer_s)
        host, self.port = sockets[0].getsockname()[:2]
        self._listener.add_sockets(sockets)
        if self._simulator:
            self._simulator.start()
        if self._settings.canary:
            address = (LOOPBACK.get(host, host), self.port)
            self._canary = Canary(self.hub, address, self._settings.canary)
            self._canary.start()

    def _listen_for_metrics(self) -> None:
        if not self._settings.metrics_address:
            return
        sockets = listening_sockets(*self._settings.metrics_address, setting="metrics_listen")
        self.metrics_port = sockets[0].getsockname()[1]
        self._metrics_listener.add_sockets(sockets)

    async def stop(self) -> None:
        """Stop accepting, end the streams, finish what is being published; bounded in time.

        The canary is the first to stop, or it would cry over a hub that only ends; the metrics are
        the last.
        """
        async with AsyncExitStack() as steps:  # from the last to the first, though one may fail
            steps.push_async_callback(self._metrics_listener.close_all_connections)
            steps.callback(self._metrics_listener.stop)
            steps.push_async_callback(self._close_connections)
            steps.push_async_callback(self.hub.stop)
            if self._simulator:
                steps.callback(self._simulator.stop)
            steps.callback(self._listener.stop)
            if self._canary:
                steps.push_async_callback(self._canary.stop)

    async def _close_connections(self) -> None:
        try:
            await asyncio.wait_for(self._listener.close_all_connections(), 1.0)
        except TimeoutError:
            log.warning("connections cut", extra={"after_s": 1.0})


async def serve(settings: Settings) -> None:
    """Run a hub until SIGTERM or SIGINT; a second signal ends it at once.

    Raises:
        SettingsError, PortTaken: it can't start.
        Exception: a step of its stop failed; the others were done.
    """
    server = Server(settings)
    await server.start()
    _spare_the_collector()
    signalled = _catch_signals()  # before anybody is told that it runs
    address = f"http://{_shown(settings.host)}:{server.port}"
    print(_greeting(address), flush=True)
    extra: dict[str, object] = {"address": address, "clients_limit": server.hub.clients_limit}
    if server.metrics_port:
        extra["metrics_port"] = server.metrics_port
    log.info("started", extra=extra)
    await signalled.wait()
    signalled.clear()
    log.info("draining", extra={"clients": len(server.hub.streams)})
    stopping = asyncio.ensure_future(server.stop())
    again = asyncio.ensure_future(signalled.wait())
    await asyncio.wait({stopping, again}, return_when="FIRST_COMPLETED")
    if stopping.done():
        stopping.result()
    log.info("stopped", extra={"clients": len(server.hub.streams)})


def _spare_the_collector() -> None:
    """Let the cyclic collector look at less, and less often.

    Streams and events are freed by their reference counts; what is left to collect are exceptions and
    tasks, a few for each connection. With the usual thresholds it walks all of the open streams again and
    again while they come: a fifth of the time when thousands come back at once, in pauses of tens of
    milliseconds. What is there once the hub has started stays, and is not walked at all.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _catch_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set from now on."""
    loop = asyncio.get_running_loop()
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    return signalled


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
