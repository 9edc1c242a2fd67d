"""``/healthz``, ``/readyz`` and ``/api/stats``: the hub at a glance, for orchestrators and people."""

from __future__ import annotations

import time

import msgspec

from tocsin.http.answer import Answer, of_json, refusal
from tocsin.http.operation import Operation, Reply
from tocsin.http.request import Request
from tocsin.http.routes.base import OpenRoute, Route
from tocsin.hub.hub import Hub
from tocsin.version import VERSION

OF_ALL_TOPICS = (
    *("head", "oldest", "oldest_time", "history", "window", "kept_newest"),
    *("published", "delivered", "rates"),
)
"""What `/api/stats` tells only to who may read every topic."""


class Health(msgspec.Struct):
    """How the hub is.

    Attributes:
        status: `ok`, or `ready`.
    """

    status: str


class History(msgspec.Struct, rename="camel"):
    """What is kept, and its limits; a limit of 0 is none.

    Attributes:
        events: how many.
        bytes: of them, and of their index.
        limit_events: of the number.
        limit_bytes: of the bytes.
        limit_age: in seconds.
        horizon_s: for how many seconds a client may have been away and lose nothing; null without events.
    """

    events: int
    bytes: int
    limit_events: int
    limit_bytes: int
    limit_age: float
    horizon_s: float | None


class Window(msgspec.Struct, rename="camel"):
    """What of the history is in memory, and its limits.

    Attributes:
        events: how many.
        bytes: of them, and of their index.
        limit_events: of the number.
        limit_bytes: of the bytes.
    """

    events: int
    bytes: int
    limit_events: int
    limit_bytes: int


class KeptNewest(msgspec.Struct, rename="camel"):
    """What of topics stays when the history moves on.

    Attributes:
        events: how many.
        bytes: of them.
        limit_bytes: of the bytes.
        oldest: the id of the oldest of them.
        evicted: how many were evicted because of that limit.
    """

    events: int
    bytes: int
    limit_bytes: int
    oldest: str | None
    evicted: int


class CanaryStats(msgspec.Struct, rename="camel"):
    """Whether events arrive: the hub publishes to itself, and sees.

    Attributes:
        interval: seconds between two proofs; 0 is none.
        last_success: Unix time; null as long as there is none.
        failed: how many failed.
    """

    interval: float
    last_success: float | None
    failed: int


class Stats(msgspec.Struct, rename="camel"):
    """The hub at a glance. What counts over all topics is null for who may not read them all.

    Attributes:
        version: of the hub.
        journal: where the log is kept: `memory`, `sqlite` or `redis`.
        simulate: seconds between two simulated events; 0 is none.
        time: the hub's clock, ISO 8601 in UTC: a page tells its own from it.
        uptime: in seconds.
        clients: open streams, on all nodes.
        clients_here: of this process, for which the limit is.
        clients_limit: how many streams may be open.
        lagging: streams that are behind.
        head: the id of the newest event; before the first one, the place it comes after.
        oldest: the id of the oldest event kept.
        oldest_time: when it was accepted, Unix time.
        history: what is kept.
        window: what of it is in memory.
        kept_newest: what of topics stays when the history moves on; null where nothing does.
        published: events since the start.
        delivered: events to streams since the start.
        rates: events a second, published and delivered, over the last seconds.
        latency_p99: seconds in which 99 of 100 events are delivered; null as long as there are none.
        canary: whether events arrive.
        draining: whether the hub is stopping.
    """

    version: str
    journal: str
    simulate: float
    time: str
    uptime: float
    clients: int
    clients_here: int
    clients_limit: int
    lagging: int
    head: str | None
    oldest: str | None
    oldest_time: float | None
    history: History | None
    window: Window | None
    kept_newest: KeptNewest | None
    published: int | None
    delivered: int | None
    rates: dict[str, float] | None
    latency_p99: float | None
    canary: CanaryStats
    draining: bool


class HealthRoute(OpenRoute):
    """Whether the process lives: if the loop turns, it answers."""

    name = "health"
    operations = (
        Operation(
            method="GET",
            summary="Whether the process lives",
            replies=(Reply(summary="It does.", shape=Health),),
            is_open=True,
        ),
    )

    def answer(self, request: Request) -> Answer:
        """200, always."""
        return of_json(Health("ok"))


class ReadyRoute(OpenRoute):
    """Whether the hub is to get events and streams."""

    name = "ready"
    operations = (
        Operation(
            method="GET",
            summary="Whether the hub is to get events and streams",
            replies=(Reply(summary="It is.", shape=Health),),
            codes=("draining", "journal_down", "failed"),
            is_open=True,
        ),
    )

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def answer(self, request: Request) -> Answer:
        """200, or 503 with the reason."""
        reason = self._hub.not_ready
        if not reason:
            return of_json(Health("ready"))
        why = self._hub.journal_status if reason == "journal_down" else reason
        message = f"the hub is not ready: {why}"
        return refusal(503, message, reason, headers=(("Retry-After", "1"),))


class StatsRoute(Route):
    """What the page and an operator want to know at a glance."""

    name = "stats"
    operations = (
        Operation(
            method="GET",
            summary="The hub at a glance",
            replies=(Reply(summary="The numbers.", shape=Stats),),
        ),
    )

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def answer(self, request: Request) -> Answer:
        """The numbers; the same integers that the metrics show.

        What counts over all topics is null for who may not read them all.

        Raises:
            Unauthorized, Forbidden: the sender may read nothing.
        """
        if not request.principal.subscribe:
            raise request.principal.refusal("subscribe", "to any topic")
        shown = self._numbers()
        if not request.principal.reads_everything:
            shown = msgspec.structs.replace(shown, **dict.fromkeys(OF_ALL_TOPICS))
        return of_json(shown)

    def _numbers(self) -> Stats:
        hub, settings, ring = self._hub, self._hub.settings, self._hub.ring
        kept, counters = hub.kept, hub.counters
        history = History(
            kept.events,
            kept.bytes,
            settings.history_events,
            settings.history_bytes,
            settings.history_age,
            hub.horizon_s,
        )
        return Stats(
            version=VERSION,
            journal=settings.journal.partition(":")[0],  # its address is nobody else's business
            simulate=settings.simulate,
            time=hub.now_iso(),
            uptime=round(time.monotonic() - hub.started_at, 3),
            clients=hub.clients,
            clients_here=len(hub.streams),
            clients_limit=hub.clients_limit,
            lagging=len(hub.lagging),
            head=str(hub.head),
            oldest=str(hub.oldest) if hub.oldest else None,
            oldest_time=kept.oldest_time,
            history=history,
            window=Window(len(ring), ring.bytes, settings.window_events, settings.window_bytes),
            kept_newest=self._kept_newest(),
            published=counters.log_events,
            delivered=counters.delivered,
            rates=counters.rates(),
            latency_p99=counters.latency_s.quantile(0.99),
            canary=CanaryStats(
                counters.canary_interval_s,
                counters.canary_last_success or None,
                counters.canary_runs["failed"],
            ),
            draining=hub.draining,
        )

    def _kept_newest(self) -> KeptNewest | None:
        newest = self._hub.kept_newest
        if newest is None:
            return None
        oldest = newest.oldest
        return KeptNewest(
            len(newest),
            newest.bytes,
            newest.max_bytes,
            None if oldest is None else str(self._hub.ring.id_at(oldest)),
            newest.beyond_bytes,
        )
