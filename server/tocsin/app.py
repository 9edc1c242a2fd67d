"""The only place that wires: routes, the listening socket, start, and drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, cast

import msgspec
from tornado.routing import Rule

from tocsin import systemd
from tocsin.access.authentication import Authentication, authentication_of
from tocsin.access.limits import PublishLimits
from tocsin.access.principal import Principal
from tocsin.access.trusted_proxies import TrustedProxies
from tocsin.errors import SettingsError
from tocsin.eventlog.journal import open_journal
from tocsin.http.access_log import AccessLog
from tocsin.http.byte_budget import ByteBudget
from tocsin.http.credentials import Credentials
from tocsin.http.docs_page import as_page
from tocsin.http.edge import Edge
from tocsin.http.greeting import address_for_clients, greeting
from tocsin.http.hosts import Hosts, hosts_at
from tocsin.http.listener import Listener
from tocsin.http.listening import (
    address_of,
    dead_peer_s,
    listening_sockets,
    port_of,
    set_options,
    sockets_of,
)
from tocsin.http.openapi import Document, describe, paths_of
from tocsin.http.origins import UNSHARED, Origins
from tocsin.http.places import check_metrics_port
from tocsin.http.reference import as_markdown
from tocsin.http.routes import hooks, topics
from tocsin.http.routes.base import Route
from tocsin.http.routes.description import DescriptionRoute, DocsRoute
from tocsin.http.routes.events import EventsRoute
from tocsin.http.routes.health import HealthRoute, ReadyRoute, StatsRoute
from tocsin.http.routes.history import HistoryRoute
from tocsin.http.routes.metrics import MetricsRoute
from tocsin.http.routes.notify import NotifyRoute
from tocsin.http.routes.pages import PagesRoute
from tocsin.http.routes.session import SessionRoute, TicketRoute
from tocsin.http.routes.streams import StreamsRoute
from tocsin.http.tls import tls_of
from tocsin.http.tornado_lane import rules
from tocsin.hub.hub import Hub
from tocsin.ops.canary import Canary
from tocsin.ops.metrics import Source, make_scrape
from tocsin.ops.simulator import Simulator
from tocsin.settings import RESERVED_DESCRIPTORS, Settings
from tocsin.supervised import Worker
from tocsin.tornado_internals import SteadyCallback

LEAVE_S = 1.0
"""How long a process that another one replaces serves on what it has accepted, before it ends its streams."""

STOP_GRACE_S = 5.0
"""What a stop may take beside its delay and its drain, before the service manager kills the process."""

PAGE_PATHS = r"/[A-Za-z0-9._/-]*"
"""What the page's files may be called, where the hub is mounted beside other routes."""

log = logging.getLogger("tocsin")


def routes(hub: Hub) -> list[Rule]:
    """The hub's routes, to mount into any Tornado application; `hub` is started by the caller.

    Raises:
        SettingsError: the settings' keys can't be used.
    """
    edge = Wiring(hub).edge(with_metrics=True)
    return list(rules(edge, others=PAGE_PATHS))


def openapi(settings: Settings) -> bytes:
    """What `/openapi.json` of a hub with `settings` says; it needn't run.

    Raises:
        SettingsError: the settings' keys can't be used.
    """
    document = Wiring(Hub(settings)).description(with_metrics=_has_metrics(settings))
    return msgspec.json.encode(document)


def _has_metrics(settings: Settings) -> bool:
    """Whether `/metrics` is on the hub's own port: of several processes there, each scrape would reach another one."""
    return not settings.metrics_address and settings.process_count == 1


class Wiring:
    """Makes the edges of one hub: they share what they count and what they bound, and who may do what.

    Raises:
        SettingsError: the settings' keys can't be used.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.authentication: Authentication | None = authentication_of(hub.settings)
        self._access_log = AccessLog()
        self._bodies = ByteBudget(hub.settings.max_bodies_bytes)
        self._answers = ByteBudget(hub.settings.max_answers_bytes)
        self._limits = PublishLimits(hub.settings)
        trusted = hub.settings.trusted_proxy
        self._proxies = TrustedProxies(trusted) if trusted else None
        self._hooks = hooks.hooks_of(hub.settings.hooks)

    def edge(self, *, with_metrics: bool, hosts: Hosts | None = None) -> Edge:
        """The hub's own edge; `hosts` are those that a request may name, None is any."""
        hub, authentication = self._hub, self.authentication
        origins = Origins(hub.settings)

        def description() -> bytes:
            return msgspec.json.encode(self.description(with_metrics=with_metrics))

        def docs() -> bytes:
            return as_page(as_markdown(self.description(with_metrics=with_metrics)))

        served: dict[str, Route] = {
            "/events": EventsRoute(hub, origins),
            "/api/notify": NotifyRoute(hub, self._limits),
            "/api/history": HistoryRoute(hub, self._answers),
            "/api/stats": StatsRoute(hub),
            "/api/session": SessionRoute(
                authentication,
                origins,
                hub.settings.public_url,
                has_tls=bool(hub.settings.tls_cert),
            ),
            "/api/ticket": TicketRoute(authentication),
            "/api/streams": StreamsRoute(hub),
            "/healthz": HealthRoute(),
            "/readyz": ReadyRoute(hub),
            "/openapi.json": DescriptionRoute(description),
            "/docs": DocsRoute(docs),
        }
        if with_metrics:
            served["/metrics"] = self._metrics(asks_for_rights=authentication is not None)
        credentials = None
        if authentication:
            credentials = Credentials(authentication, origins, hub.counters.refused)
        prefixes: dict[str, Route] = {
            topics.PREFIX: topics.TopicsRoute(hub, self._limits),
            hooks.PREFIX: hooks.HooksRoute(hub, self._limits, self._hooks),
        }
        return self._edge(served, origins, PagesRoute(), hosts, credentials, prefixes)

    def description(self, *, with_metrics: bool) -> Document:
        """The hub's own edge, as OpenAPI."""
        edge = self.edge(with_metrics=with_metrics)
        paths = paths_of(edge.routes, edge.prefixes, edge.others)
        return describe(paths, self._hub.settings)

    def metrics_edge(self, *, hosts: Hosts | None) -> Edge:
        """That of a listener for the metrics, and for who asks how the hub is."""
        served: dict[str, Route] = {
            "/metrics": self._metrics(),
            "/healthz": HealthRoute(),  # for probes that have no way to the hub's own port
            "/readyz": ReadyRoute(self._hub),
        }
        return self._edge(served, UNSHARED, None, hosts)

    def _metrics(self, *, asks_for_rights: bool = False) -> Route:
        log = self._access_log
        source = Source(self._hub, log.counts, log.lanes, self._limits, self.authentication)
        scrape = make_scrape(source)
        token = self._hub.settings.metrics_token
        return MetricsRoute(scrape, token, asks_for_rights=asks_for_rights)

    def _edge(
        self,
        served: dict[str, Route],
        origins: Origins,
        others: Route | None,
        hosts: Hosts | None,
        credentials: Credentials | None = None,
        prefixes: dict[str, Route] | None = None,
    ) -> Edge:
        log, bodies, answers = self._access_log, self._bodies, self._answers
        return Edge(
            served,
            origins,
            log,
            bodies,
            answers,
            others,
            hosts,
            limits=self._limits,
            proxies=self._proxies,
            credentials=credentials,
            prefixes=prefixes,
        )


class Server:
    """A hub, its listeners, its simulator and its canary, from start to drain.

    Args:
        settings: of all of it.
        inherited: sockets that listen already, and that the hub listens on instead of `host` and `port`.
        metrics: the same instead of `metrics_listen`.

    Attributes:
        hosts: where it listens, each as the setting `host` spells it; known after `start`.
        addresses: the same as addresses for clients.
        port: of the first host that has one; 0 where none has.
        reloads: what SIGHUP has read again; each tells its own failure and keeps what it had.

    Raises:
        SettingsError: an inherited socket is where the settings let the hub not listen; the certificate is broken.
    """

    def __init__(
        self,
        settings: Settings,
        inherited: Sequence[socket.socket] = (),
        metrics: Sequence[socket.socket] = (),
    ) -> None:
        self.hub = hub = Hub(settings, open_journal(settings))
        self._settings = settings
        self._inherited = inherited
        self._inherited_metrics = metrics
        self.reloads: list[Callable[[], Awaitable[None] | None]] = []
        hosts = [address_of(each) for each in inherited] or settings.host
        for each in hosts:
            _check_address(settings, each)
        self._tls = tls_of(settings)
        if self._tls:
            self.reloads.append(self._tls.reload)
        wiring = Wiring(hub)
        self._authentication = wiring.authentication
        if self._authentication:
            self.reloads.append(self._reload_keys)
        address = settings.metrics_address
        # Descriptors in reserve are for what is no stream: half of them for connections of the hub's own listener,
        # a quarter for those of the metrics', the rest for files.
        limit = hub.clients_limit + RESERVED_DESCRIPTORS // 2
        self._listener = self._listener_for(
            wiring.edge(with_metrics=_has_metrics(settings), hosts=hosts_at(hosts, settings)),
            lambda: limit - len(hub.streams) - self._listener.open,
        )
        few = RESERVED_DESCRIPTORS // 4
        self._metrics_listener = self._listener_for(
            wiring.metrics_edge(hosts=hosts_at(address[:1], settings) if address else None),
            lambda: few - self._metrics_listener.open,
        )
        self._simulator = Simulator(hub, settings.simulate) if settings.simulate else None
        self._canary: Canary | None = None
        self.hosts: list[str] = []
        self.addresses: list[str] = []
        self.port = 0
        self.metrics_port = 0

    def _listener_for(self, edge: Edge, room: Callable[[], int]) -> Listener:
        return Listener(
            edge,
            room,
            self._count_refused,
            max_header_bytes=self._settings.max_header_bytes,
            keep_alive_s=self._settings.keep_alive,
            loop_lag=self.hub.loop_lag,
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
        if not self._inherited:
            check_metrics_port(self._settings)
        await self.hub.start()
        try:
            self._listen()
        except BaseException:
            await self.stop()
            raise

    def _listen(self) -> None:
        self._listen_for_metrics()
        settings = self._settings
        for each in self._inherited:
            set_options(each, dead_peer_s(settings))
            self._accept_from(address_of(each), [each])
        for host, sockets in () if self._inherited else sockets_of(settings):
            self._accept_from(host, sockets)
        if self._simulator:
            self._simulator.start()
        if settings.canary:
            self._canary = Canary(self.hub, self._listener.connect, settings.canary)
            self._canary.start()

    def _accept_from(self, host: str, sockets: Sequence[socket.socket]) -> None:
        """Accept connections from `sockets`, which listen on `host`."""
        port = port_of(sockets[0])
        self.port = self.port or port
        self.hosts.append(host)
        self.addresses.append(address_for_clients(host, port, is_tls=self._tls is not None))
        # Who comes by a Unix socket is on this machine: there is nobody to hide from, and no name to prove.
        self._listener.add_sockets(sockets, self._tls if port else None)

    def _listen_for_metrics(self) -> None:
        if not self._settings.metrics_address:
            return
        sockets = self._inherited_metrics or listening_sockets(
            *self._settings.metrics_address, setting="metrics_listen"
        )
        self.metrics_port = sockets[0].getsockname()[1]
        self._metrics_listener.add_sockets(sockets)

    async def reload(self) -> None:
        """Have everything in `reloads` read again, one after the other, whatever becomes of the others."""
        systemd.notify_reloading()
        for reload in self.reloads:
            try:
                pending = reload()
                if pending is not None:
                    await pending
            except Exception:  # the hub goes on with what it has
                log.exception("reading again failed")
        log.info("read again", extra={"what": len(self.reloads)})
        systemd.notify("READY=1")

    async def _reload_keys(self) -> None:
        """Read the keys anew. Streams end whose reader's key was revoked, or has other rights now."""
        authentication = self._authentication
        assert authentication
        await authentication.reload()
        await self.hub.end_streams_where(
            lambda reader: not authentication.is_current(cast(Principal, reader)), "revoked"
        )

    async def leave(self) -> None:
        """Accept nothing more, as another process has the sockets too, and serve on for `LEAVE_S` what was accepted.

        A connection ends behind its next answer. The metrics are the other process' at once.
        """
        if self._canary:
            await self._canary.stop()
        if self._simulator:
            self._simulator.stop()
        self._metrics_listener.stop()
        deadline = asyncio.get_running_loop().time() + LEAVE_S
        await self._close_connections(self._metrics_listener, deadline)
        self._listener.leave()
        await asyncio.sleep(LEAVE_S)

    async def announce_stop(self) -> None:
        """Be not ready, and serve on for `drain_delay`: who balances load sends nobody new then."""
        self.hub.is_leaving = True
        await asyncio.sleep(self._settings.drain_delay)

    async def stop(self) -> None:
        """Stop accepting, end the streams, finish what is being published; bounded in time.

        The canary is the first to stop, or it would cry over a hub that only ends; the metrics are
        the last.
        """
        deadline = asyncio.get_running_loop().time() + self._settings.drain_timeout
        async with AsyncExitStack() as steps:  # from the last to the first, though one may fail
            steps.push_async_callback(self._close_connections, self._metrics_listener, deadline)
            steps.callback(self._metrics_listener.stop)
            steps.push_async_callback(self._close_connections, self._listener, deadline)
            steps.push_async_callback(self.hub.stop)
            if self._simulator:
                steps.callback(self._simulator.stop)
            steps.callback(self._listener.stop)
            if self._canary:
                steps.push_async_callback(self._canary.stop)

    async def _close_connections(self, listener: Listener, deadline: float) -> None:
        """Let end what is being answered, by `deadline` of the loop's clock."""
        are_open = listener.open > 0
        try:
            async with asyncio.timeout_at(deadline):
                await listener.close_all_connections()
        except TimeoutError:
            if are_open:
                log.warning("connections cut", extra={"after_s": self._settings.drain_timeout})


async def serve(settings: Settings, worker: Worker | None = None) -> None:
    """Run a hub until SIGTERM or SIGINT; a second signal ends it at once. SIGHUP has files read again.

    Args:
        settings: of the hub.
        worker: what this process has of its supervisor, where it is one of several.

    Raises:
        SettingsError, PortTaken: it can't start.
        Exception: a step of its stop failed, and the others were done; or what broke an invariant of the
            hub, which then ended by itself.
    """
    if worker:
        settings = _of_worker(settings, worker)
        server = Server(settings, worker.sockets, worker.metrics)
    else:
        server = Server(settings, systemd.inherited_sockets())
    await server.start()
    _spare_the_collector()
    signalled = _catch_signals()  # before anybody is told that it runs
    reloading = _reload_on_hangup(server)
    failure = server.hub.failure
    ends: set[asyncio.Future[Any]] = {failure, asyncio.ensure_future(signalled.wait())}
    left: set[asyncio.Future[Any]] = set()
    if worker:
        left = {worker.follow()}
        log.info("started", extra={"worker": worker.number, "pid": os.getpid()})
    else:
        _tell_started(server)
        _feed_watchdog()
    await asyncio.wait(ends | left, return_when="FIRST_COMPLETED")
    signalled.clear()
    is_leaving = any(each.done() for each in left)
    stopping = asyncio.ensure_future(_stop(server, settings, is_leaving))
    ends = {stopping}
    if not worker:
        ends.add(asyncio.ensure_future(signalled.wait()))
    elif not is_leaving:
        # A second signal means nothing to a worker, as a service manager may signal each process, and the supervisor
        # signals them too. It is the supervisor's end that ends them at once.
        ends |= left
    await asyncio.wait(ends, return_when="FIRST_COMPLETED")
    reloading.cancel()
    if stopping.done():
        stopping.result()
    log.info("stopped", extra={"clients": len(server.hub.streams)})
    if failure.done():
        raise failure.result()


def _of_worker(settings: Settings, worker: Worker) -> Settings:
    """The settings of one of several processes."""
    changes: dict[str, Any] = {}
    if worker.number:
        changes["simulate"] = 0.0  # events are invented once, not once a process
    if settings.has_authentication and not settings.ticket_key:
        changes["ticket_key"] = worker.ticket_key  # what one of them signs is taken by all
    return msgspec.structs.replace(settings, **changes)


def _tell_started(server: Server) -> None:
    """Say that the hub runs, and where: on standard output, in the log, and to the service manager."""
    settings = server.hub.settings
    print(greeting(server.hosts, server.addresses, settings.log_format), flush=True)
    shown = " ".join(server.addresses)
    extra: dict[str, object] = {"address": shown, "clients_limit": server.hub.clients_limit}
    if server.metrics_port:
        extra["metrics_port"] = server.metrics_port
    log.info("started", extra=extra)
    if settings.insecure and not settings.has_authentication:
        log.warning("insecure: everybody who reaches the hub may read and publish")
    systemd.notify("READY=1", f"STATUS=listens at {shown}")


def _feed_watchdog() -> None:
    """Tell the service manager that the loop turns, three times as often as it asks for."""
    interval_s = systemd.watchdog_s() / 3
    if interval_s:
        SteadyCallback(lambda: systemd.notify("WATCHDOG=1"), interval_s * 1000).start()


async def _stop(server: Server, settings: Settings, is_leaving: bool) -> None:
    systemd.notify_stopping(settings.drain_delay + settings.drain_timeout + STOP_GRACE_S)
    if is_leaving:
        await server.leave()
    elif not server.hub.failure.done():
        if settings.drain_delay:
            log.info("not ready any more", extra={"serves_on_s": settings.drain_delay})
        await server.announce_stop()
    log.info("draining", extra={"clients": len(server.hub.streams)})
    await server.stop()


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


def _check_address(settings: Settings, address: str) -> None:
    try:
        settings.check_address("LISTEN_FDS", address)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _reload_on_hangup(server: Server) -> asyncio.Future[None]:
    """Have `server` read again at each SIGHUP from now on, until what is returned is cancelled."""
    hung_up = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up.set)

    async def reload_on() -> None:
        while True:
            await hung_up.wait()
            hung_up.clear()  # those that come while it reads are one
            await server.reload()

    return asyncio.ensure_future(reload_on())
