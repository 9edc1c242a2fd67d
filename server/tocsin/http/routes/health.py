"""``/healthz``, ``/readyz`` and ``/api/stats``: the hub at a glance, for orchestrators and people."""

from __future__ import annotations

import time

from tocsin.http.answer import Answer, of_json, refusal
from tocsin.http.request import Request
from tocsin.http.routes.base import OpenRoute, Route
from tocsin.hub.hub import Hub
from tocsin.version import VERSION

OF_ALL_TOPICS = (
    *("head", "oldest", "oldestTime", "history", "window", "keptNewest"),
    *("published", "delivered", "rates"),
)
"""What `/api/stats` tells only to who may read every topic."""


class HealthRoute(OpenRoute):
    """Whether the process lives: if the loop turns, it answers."""

    name = "health"

    def answer(self, request: Request) -> Answer:
        """200, always."""
        return of_json({"status": "ok"})


class ReadyRoute(OpenRoute):
    """Whether the hub is to get events and streams."""

    name = "ready"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def answer(self, request: Request) -> Answer:
        """200, or 503 with the reason."""
        reason = self._hub.not_ready
        if not reason:
            return of_json({"status": "ready"})
        why = self._hub.journal_status if reason == "journal_down" else reason
        message = f"the hub is not ready: {why}"
        return refusal(503, message, reason, headers=(("Retry-After", "1"),))


class StatsRoute(Route):
    """What the page and an operator want to know at a glance."""

    name = "stats"

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
            shown |= dict.fromkeys(OF_ALL_TOPICS)
        return of_json(shown)

    def _numbers(self) -> dict[str, object]:
        hub, settings, ring = self._hub, self._hub.settings, self._hub.ring
        kept, counters = hub.kept, hub.counters
        return {
            "version": VERSION,
            "journal": settings.journal.partition(":")[0],  # its address is nobody else's business
            "simulate": settings.simulate,
            "time": hub.now_iso(),  # lets a page tell its own clock from the hub's
            "uptime": round(time.monotonic() - hub.started_at, 3),
            "clients": hub.clients,
            "clientsHere": len(hub.streams),  # of this process, for which the limit is
            "clientsLimit": hub.clients_limit,
            "lagging": len(hub.lagging),
            "head": str(hub.head),
            "oldest": str(hub.oldest) if hub.oldest else None,
            "oldestTime": kept.oldest_time,
            "history": {
                "events": kept.events,
                "bytes": kept.bytes,
                "limitEvents": settings.history_events,
                "limitBytes": settings.history_bytes,
                "limitAge": settings.history_age,
                "horizonS": hub.horizon_s,
            },
            "window": {  # what of the history is in memory
                "events": len(ring),
                "bytes": ring.bytes,
                "limitEvents": settings.window_events,
                "limitBytes": settings.window_bytes,
            },
            "keptNewest": self._kept_newest(),  # of topics, beside the history
            "published": sum(counters.published.values()),
            "delivered": counters.delivered,
            "rates": counters.rates(),
            "latencyP99": counters.latency_s.quantile(0.99),
            "canary": {
                "interval": counters.canary_interval_s,
                "lastSuccess": counters.canary_last_success or None,
                "failed": counters.canary_runs["failed"],
            },
            "draining": hub.draining,
        }

    def _kept_newest(self) -> dict[str, object] | None:
        """What stays when the history moves on; None where nothing does."""
        newest = self._hub.kept_newest
        if newest is None:
            return None
        oldest = newest.oldest
        return {
            "events": len(newest),
            "bytes": newest.bytes,
            "limitBytes": newest.max_bytes,
            "oldest": None if oldest is None else str(self._hub.ring.id_at(oldest)),
            "evicted": newest.beyond_bytes,  # because of that limit
        }
