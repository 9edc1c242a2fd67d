"""The access log and its counts: what was answered, without what was asked for in the query."""

from __future__ import annotations

import logging
from collections import Counter

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

from tocsin.logs import is_wanted

log = logging.getLogger("tocsin.access")

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})

Labels = tuple[str, str, str]
"""Handler, method and status code: few values each, whatever clients send."""

RequestCounts = Counter[Labels]

MAX_LABELS = 120
"""Combinations counted by name; odder ones count as `OTHER`. A bound by construction."""

OTHER: Labels = ("other", "other", "other")

HANDLERS = (
    "events",
    "notify",
    "history",
    "stats",
    "health",
    "ready",
    "metrics",
    "pages",
    "notfound",
)
_FAILURES = ("400", "413", "415", "422", "503")
EXPECTED: tuple[Labels, ...] = (
    *((name, "GET", "200") for name in HANDLERS if name not in ("events", "notify", "notfound")),
    *((name, "GET", "500") for name in HANDLERS if name not in ("notify", "notfound")),
    ("events", "GET", "400"),
    ("events", "GET", "422"),
    ("history", "GET", "400"),
    ("ready", "GET", "503"),
    ("metrics", "GET", "401"),
    ("pages", "GET", "304"),
    ("pages", "GET", "404"),
    ("notfound", "GET", "404"),
    *(("notify", "POST", code) for code in ("200", *_FAILURES, "500")),
    OTHER,
)
"""What a hub answers in ordinary life: there from the start, at 0, since a rate misses the first one."""


class AccessLog:
    """Tornado's `log_function`: called once for each answered request."""

    def __init__(self) -> None:
        self.counts: RequestCounts = Counter(dict.fromkeys(EXPECTED, 0))

    def __call__(self, handler: RequestHandler) -> None:
        """Count the answer, and log it; server errors as errors. Not the hub's own requests."""
        if getattr(handler, "is_internal", False):
            return
        name = type(handler).__name__.removesuffix("Handler").lower()
        request = handler.request
        self.note(request, name, str(handler.get_status()), request.request_time())

    def note(self, request: HTTPServerRequest, handler: str, code: str, duration_s: float) -> None:
        """Count and log that `request` was answered with status `code`."""
        method = request.method if request.method in METHODS else "other"
        labels = (handler, str(method), code)
        known = labels in self.counts or len(self.counts) < MAX_LABELS
        self.counts[labels if known else OTHER] += 1
        level = logging.ERROR if code[0] == "5" and code != "503" else logging.INFO
        if level > logging.INFO or is_wanted(log, "request"):
            log.log(
                level,
                "request",
                extra={
                    "method": method,
                    "path": request.path[:256],
                    "status": int(code),
                    "duration_s": round(duration_s, 6),
                    "remote": request.remote_ip,
                },
            )
