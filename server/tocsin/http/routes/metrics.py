"""``GET /metrics``: the catalogue in Prometheus text or OpenMetrics, as the scraper prefers."""

from __future__ import annotations

import gzip
import hmac
from collections.abc import Callable

from tocsin.http.answer import Answer, refusal
from tocsin.http.operation import Operation, Reply
from tocsin.http.request import Request
from tocsin.http.routes.base import Route
from tocsin.http.routes.pages import takes_gzip

Scrape = Callable[[str], tuple[bytes, str]]
"""Takes the value of `Accept`; returns the metrics and their content type."""

GZIP_LEVEL = 1

VARY = (("Vary", "Accept-Encoding"),)

CHALLENGE = (("Www-Authenticate", 'Bearer realm="metrics"'),)


class MetricsRoute(Route):
    """Reads the hub's integers at the moment of the scrape.

    Args:
        scrape: reads them.
        token: that a request must bear (RFC 6750); empty lets everybody in, or operators alone.
        asks_for_rights: whether operators are let in by their key too, and nobody else without the token.
    """

    name = "metrics"
    operations = (
        Operation(
            method="GET",
            summary="The metrics, for Prometheus",
            text="In OpenMetrics where `Accept` names it first. With `metrics_token`, that is what the Bearer is.",
            replies=(
                Reply(summary="All of them.", shape={"type": "string"}, media_type="text/plain"),
            ),
            needs="admin",
        ),
    )
    is_shared = False

    def __init__(self, scrape: Scrape, token: str, *, asks_for_rights: bool = False) -> None:
        self._scrape = scrape
        self._token = token
        self._asks_for_rights = asks_for_rights

    def answer(self, request: Request) -> Answer:
        """The metrics, in the form that `Accept` asks for, to who may have them.

        Raises:
            Unauthorized, Forbidden: there is authentication, and the sender is no operator.
        """
        if not self.is_open_to(request):
            if not self._asks_for_rights:
                message = "the metrics are for who has the token"
                return refusal(401, message, "unauthorized", headers=CHALLENGE)
            request.principal.check_admin()
        text, content_type = self._scrape(request.headers.get("accept", ""))
        if not takes_gzip(request.headers.get("accept-encoding", "")):
            return Answer(200, text, content_type, VARY)
        # At the lowest level: a fifth of the time of the highest, for a tenth more bytes.
        body = gzip.compress(text, GZIP_LEVEL, mtime=0)
        return Answer(200, body, content_type, (*VARY, ("Content-Encoding", "gzip")))

    def is_open_to(self, request: Request) -> bool:
        """Whether `request` bears the token of the metrics, or none is asked for."""
        if not self._token:
            return not self._asks_for_rights
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(given.strip().encode(), self._token.encode())
        return scheme.lower() == "bearer" and is_right
