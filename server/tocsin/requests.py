"""The access log and its counts: what was answered, without what was asked for in the query."""

from __future__ import annotations

import logging
from collections import Counter

from tornado.web import RequestHandler

log = logging.getLogger("tocsin.access")

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})

Labels = tuple[str, str, str]
"""Handler, method and status code: few values each, whatever clients send."""

RequestCounts = Counter[Labels]


class AccessLog:
    """Tornado's `log_function`: called once for each answered request."""

    def __init__(self) -> None:
        self.counts: RequestCounts = Counter()

    def __call__(self, handler: RequestHandler) -> None:
        """Count the answer, and log it; server errors as errors."""
        request = handler.request
        status = handler.get_status()
        name = type(handler).__name__.removesuffix("Handler").lower()
        method = request.method if request.method in METHODS else "other"
        self.counts[name, str(method), str(status)] += 1
        level = logging.ERROR if status >= 500 and status != 503 else logging.INFO
        if log.isEnabledFor(level):
            log.log(
                level,
                "request",
                extra={
                    "method": method,
                    "path": request.path[:256],
                    "status": status,
                    "duration_s": round(request.request_time(), 6),
                    "remote": request.remote_ip,
                },
            )
