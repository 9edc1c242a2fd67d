"""``/healthz``, ``/readyz`` and ``/api/stats``: the hub at a glance, for orchestrators and people."""

from __future__ import annotations

import time

from tocsin.http.base import Handler
from tocsin.version import VERSION


class HealthHandler(Handler):
    """Whether the process lives: if the loop turns, it answers."""

    def get(self) -> None:
        """Answer 200, always."""
        self.answer({"status": "ok"})

    head = get


class ReadyHandler(Handler):
    """Whether the hub takes events and streams."""

    def get(self) -> None:
        """Answer 200, or 503 with the reason."""
        if self.hub.is_ready:
            self.answer({"status": "ready"})
            return
        reason = "draining" if self.hub.draining else "journal_down"
        self.set_header("Retry-After", "1")
        self.refuse(503, f"the hub takes no events now: {reason}", reason)

    head = get


class StatsHandler(Handler):
    """What the page and an operator want to know at a glance."""

    def get(self) -> None:
        """Answer the numbers; the same integers that the metrics show."""
        hub, settings, ring = self.hub, self.hub.settings, self.hub.ring
        self.answer(
            {
                "version": VERSION,
                "time": hub.now_iso(),  # lets a page tell its own clock from the hub's
                "uptime": round(time.monotonic() - hub.started_at, 3),
                "clients": len(hub.streams),
                "clientsLimit": hub.clients_limit,
                "lagging": len(hub.lagging),
                "head": str(hub.head),
                "oldest": str(hub.oldest) if hub.oldest else None,
                "oldestTime": ring.oldest.time if ring.oldest else None,
                "history": {
                    "events": len(ring),
                    "bytes": ring.bytes,
                    "limitEvents": settings.history_events,
                    "limitBytes": settings.history_bytes,
                    "limitAge": settings.history_age,
                    "horizonS": hub.horizon_s,
                },
                "published": sum(hub.counters.published.values()),
                "delivered": hub.counters.delivered,
                "rates": hub.counters.rates(),
                "latencyP99": hub.counters.latency_s.quantile(0.99),
                "canary": {
                    "interval": hub.counters.canary_interval_s,
                    "lastSuccess": hub.counters.canary_last_success or None,
                    "failed": hub.counters.canary_runs["failed"],
                },
                "draining": hub.draining,
            }
        )

    head = get
