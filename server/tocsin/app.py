"""The only place that wires: routes, the listening socket, start, and drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from tornado.routing import Rule

from tocsin.eventlog.journal import open_journal
from tocsin.http.access_log import AccessLog
from tocsin.http.byte_budget import ByteBudget
from tocsin.http.edge import Edge
from tocsin.http.hosts import Hosts, hosts_at
from tocsin.http.listener import Listener
from tocsin.http.listening import DEAD_PEER_S, GRACE_S, listening_sockets
from tocsin.http.origins import NOBODY, Origins
from tocsin.http.routes.base import Route
from tocsin.http.routes.events import EventsRoute
from tocsin.http.routes.health import HealthRoute, ReadyRoute, StatsRoute
from tocsin.http.routes.history import HistoryRoute
from tocsin.http.routes.metrics import MetricsRoute
from tocsin.http.routes.notify import NotifyRoute
from tocsin.http.routes.pages import PagesRoute
from tocsin.http.tornado_lane import rules
from tocsin.hub.hub import Hub
from tocsin.ops.canary import Canary
from tocsin.ops.metrics import make_scrape
from tocsin.ops.simulator import Simulator
from tocsin.settings import RESERVED_DESCRIPTORS, Settings

PAGE_PATHS = r"/[A-Za-z0-9._/-]*"
"""What the page's files may be called, where the hub is mounted beside other routes."""

log = logging.getLogger("tocsin")


def routes(hub: Hub) -> list[Rule]:
    """The hub's routes, to mount into any Tornado application; `hub` is started by the caller."""
    edge = Wiring(hub).edge(with_metrics=True)
    return list(rules(edge, others=PAGE_PATHS))


class Wiring:
    """Makes the edges of one hub: they share what they count and what they bound."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._access_log = AccessLog()
        self._bodies = ByteBudget(hub.settings.max_bodies_bytes)
        self._answers = ByteBudget(hub.settings.max_answers_bytes)

    def edge(self, *, with_metrics: bool, hosts: Hosts | None = None) -> Edge:
        """The hub's own edge; `hosts` are those that a request may name, None is any."""
        hub = self._hub
        origins = Origins(hub.settings)
        served: dict[str, Route] = {
            "/events": EventsRoute(hub, origins),
            "/api/notify": NotifyRoute(hub),
            "/api/history": HistoryRoute(hub, self._answers),
            "/api/stats": StatsRoute(hub),
            "/healthz": HealthRoute(),
            "/readyz": ReadyRoute(hub),
        }
        if with_metrics:
            served["/metrics"] = self._metrics()
        return self._edge(served, origins, PagesRoute(), hosts)

    def metrics_edge(self, *, hosts: Hosts | None) -> Edge:
        """That of a listener for the metrics alone."""
        return self._edge({"/metrics": self._metrics()}, NOBODY, None, hosts)

    def _metrics(self) -> Route:
        log = self._access_log
        scrape = make_scrape(self._hub, log.counts, log.lanes)
        return MetricsRoute(scrape, self._hub.settings.metrics_token)

    def _edge(
        self,
        served: dict[str, Route],
        origins: Origins,
        others: Route | None,
        hosts: Hosts | None,
    ) -> Edge:
        log, bodies, answers = self._access_log, self._bodies, self._answers
        return Edge(served, origins, log, bodies, answers, others, hosts)


class Server:
    """A hub, its listeners, its simulator and its canary, from start to drain."""

    def __init__(self, settings: Settings) -> None:
        self.hub = hub = Hub(settings, open_journal(settings))
        self._settings = settings
        wiring = Wiring(hub)
        address = settings.metrics_address
        # Descriptors in reserve are for what is no stream: half of them for connections of the hub's own listener,
        # a quarter for those of the metrics', the rest for files.
        limit = hub.clients_limit + RESERVED_DESCRIPTORS // 2
        self._listener = self._listener_for(
            wiring.edge(with_metrics=not address, hosts=hosts_at(settings.host, settings)),
            lambda: limit - len(hub.streams) - self._listener.open,
        )
        few = RESERVED_DESCRIPTORS // 4
        self._metrics_listener = self._listener_for(
            wiring.metrics_edge(hosts=hosts_at(address[0], settings) if address else None),
            lambda: few - self._metrics_listener.open,
        )
        self._simulator = Simulator(hub, settings.simulate) if settings.simulate else None
        self._canary: Canary | None = None
        self.port = 0
        self.metrics_port = 0

    def _listener_for(self, edge: Edge, room: Callable[[], int]) -> Listener:
        return Listener(
            edge,
            room,
            self._count_refused,
            max_header_bytes=self._settings.max_header_bytes,
            keep_alive_s=self._settings.keep_alive,
            end_of_turn=self.hub.end_of_turn,
        )

    def _count_refused(self) -> None:
        self.hub.counters.rejected["full"] += 1

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
        self.port = sockets[0].getsockname()[1]
        self._listener.add_sockets(sockets)
        if self._simulator:
            self._simulator.start()
        if settings.canary:
            self._canary = Canary(self.hub, self._listener.connect, settings.canary)
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
        Exception: a step of its stop failed, and the others were done; or what broke an invariant of the
            hub, which then ended by itself.
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
    if settings.insecure:
        log.warning("insecure: everybody who reaches the hub may read and publish")
    failure = server.hub.failure
    ends: set[asyncio.Future[Any]] = {failure, asyncio.ensure_future(signalled.wait())}
    await asyncio.wait(ends, return_when="FIRST_COMPLETED")
    signalled.clear()
    log.info("draining", extra={"clients": len(server.hub.streams)})
    stopping = asyncio.ensure_future(server.stop())
    again = asyncio.ensure_future(signalled.wait())
    await asyncio.wait({stopping, again}, return_when="FIRST_COMPLETED")
    if stopping.done():
        stopping.result()
    log.info("stopped", extra={"clients": len(server.hub.streams)})
    if failure.done():
        raise failure.result()


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
