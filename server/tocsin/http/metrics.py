"""``GET /metrics``: the catalogue in Prometheus text or OpenMetrics, as the scraper prefers."""

from __future__ import annotations

import hmac
from time import perf_counter

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from tocsin.http.base import Handler


class MetricsHandler(Handler):
    """Reads the hub's integers at the moment of the scrape."""

    def initialize(self, registry: CollectorRegistry) -> None:
        """Called by Tornado for each request, with the route's arguments."""
        self._registry = registry

    def get(self) -> None:
        """Answer the metrics, in the form that ``Accept`` asks for, to who may have them."""
        if not self._is_allowed:
            self.set_header("WWW-Authenticate", 'Bearer realm="metrics"')
            self.refuse(401, "the metrics are for who has the token", "unauthorized")
            return
        encoder, content_type = choose_encoder(self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", content_type)
        began = perf_counter()
        text = encoder(self._registry)
        self.hub.counters.scrape_s = perf_counter() - began
        self.finish(text)

    head = get

    @property
    def _is_allowed(self) -> bool:
        """Whether the request bears the token of the settings, if they ask for one (RFC 6750)."""
        token = self.hub.settings.metrics_token
        scheme, _, given = self.request.headers.get("Authorization", "").partition(" ")
        is_right = hmac.compare_digest(given.strip().encode(), token.encode())
        return not token or (scheme.lower() == "bearer" and is_right)
