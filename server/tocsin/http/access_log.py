"""The access log and its counts: what was answered, without what was asked for in the query."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from itertools import count

import msgspec

from tocsin.core.tracing import trace_of
from tocsin.http.request import Request
from tocsin.logs import is_sampled, is_wanted

log = logging.getLogger("tocsin.access")

METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})

Labels = tuple[str, str, str]
"""Route (as `handler`), method and status code: few values each, whatever clients send."""

RequestCounts = Counter[Labels]

MAX_LABELS = 130
"""Combinations counted by name; odder ones count as `OTHER`. A bound by construction."""

OTHER: Labels = ("other", "other", "other")

HANDLERS = (
    "events",
    "notify",
    "topics",
    "hooks",
    "history",
    "stats",
    "session",
    "ticket",
    "streams",
    "health",
    "ready",
    "metrics",
    "openapi",
    "docs",
    "pages",
    "notfound",
)
_POSTED = ("notify", "topics", "hooks")
_FAILURES = ("400", "401", "403", "413", "415", "421", "422", "429", "503")
EXPECTED: tuple[Labels, ...] = (
    *(
        (name, "GET", "200")
        for name in HANDLERS
        if name not in ("events", *_POSTED, "ticket", "notfound")
    ),
    *((name, "GET", "500") for name in HANDLERS if name not in (*_POSTED, "ticket", "notfound")),
    ("events", "GET", "400"),
    ("events", "GET", "401"),
    ("events", "GET", "403"),
    ("events", "GET", "421"),
    ("events", "GET", "422"),
    ("history", "GET", "400"),
    ("ready", "GET", "503"),
    ("metrics", "GET", "401"),
    ("pages", "GET", "304"),
    ("pages", "GET", "404"),
    ("pages", "GET", "421"),
    ("notfound", "GET", "404"),
    *((name, "POST", code) for name in _POSTED for code in ("200", *_FAILURES, "500")),
    ("ticket", "POST", "200"),
    ("session", "POST", "200"),
    OTHER,
)
"""What a hub answers in ordinary life: there from the start, at 0, since a rate misses the first one."""


QUIET = frozenset({"pages", "stats", "health", "ready", "metrics"})
"""Routes that browsers and monitoring ask all the time: what they are answered is logged at DEBUG, if it went well."""

STATUSES = {code: str(code) for code in (200, 204, 304, 400, 404, 422)}

LANES = ("fast", "tornado")


SHOWN_PATH = 256
SHOWN_AGENT = 128


class Told(msgspec.Struct):
    """What of an answer is logged: what was published, or why not."""

    id: str | None = None
    ids: Sequence[str] = ()
    event: str = ""
    topic: str = ""
    topics: Sequence[str] = ()
    duplicate: bool = False
    code: str = ""
    field: str = ""


_decode_told = msgspec.json.Decoder(Told).decode


class AccessLog:
    """Counts each answered request by route, method and status, and by lane, and logs it.

    A stream that opens is no request here: it is counted and logged as a stream.
    """

    def __init__(self) -> None:
        self.counts: RequestCounts = Counter(dict.fromkeys(EXPECTED, 0))
        self.lanes = dict.fromkeys(LANES, 0)
        self._numbers = count()

    def note(
        self,
        request: Request,
        route: str,
        status: int,
        duration_s: float,
        lane: str,
        body: bytes = b"",
    ) -> None:
        """`request` was answered with `status` and `body` by `route`, over `lane`; server errors are logged as errors.

        Of what went well so many lines are written as the setting says; of what didn't, all.
        """
        method = self.count(request.method, route, status, lane)
        level = _level(route, status)
        if not log.isEnabledFor(level):
            return
        if status < 400 and not is_sampled(next(self._numbers)):
            return
        if level != logging.INFO or is_wanted(log, "request"):
            extra: dict[str, object] = {
                "method": method,
                "path": request.path[:SHOWN_PATH],
                "status": status,
                "duration_s": round(duration_s, 6),
                "remote": request.peer,
            }
            if request.principal.name:
                extra["principal"] = request.principal.name
            if status >= 400 or route in _POSTED:
                extra |= _told(body)
            if route in _POSTED:
                extra |= _of_publisher(request)
            log.log(level, "request", extra=extra)

    def is_logged(self, route: str, status: int) -> bool:
        """Whether there may be a line of what `route` answered with `status`."""
        return log.isEnabledFor(_level(route, status))

    def count(self, method: str, route: str, status: int, lane: str, answers: int = 1) -> str:
        """Count so many answers, without a line; returns the method by which they are counted."""
        labels = (route, method, STATUSES.get(status) or str(status))
        count = self.counts.get(labels)
        if count is None:
            labels = self._labels(labels)
            count = self.counts[labels]
        self.counts[labels] = count + answers
        self.lanes[lane] += answers
        return labels[1]

    def _labels(self, labels: Labels) -> Labels:
        """What counts as something new: itself with a known method, as long as there is room."""
        route, method, status = labels
        labels = (route, method if method in METHODS else "other", status)
        return labels if labels in self.counts or len(self.counts) < MAX_LABELS else OTHER


def _level(route: str, status: int) -> int:
    """At which it is logged that `route` answered with `status`."""
    if status < 400:
        return logging.DEBUG if route in QUIET else logging.INFO
    return logging.ERROR if status >= 500 and status != 503 else logging.INFO


def _told(body: bytes) -> dict[str, object]:
    """What `body`, an answer, says of what was published, or of what is wrong; nothing where it is no such answer."""
    try:
        told = _decode_told(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    shown: dict[str, object] = {"code": told.code, "field": told.field, "id": told.id}
    if told.ids:  # of a batch, whose ids follow one another
        shown |= {"id": told.ids[0], "last_id": told.ids[-1], "events": len(told.ids)}
    shown |= {"type": told.event, "topic": ",".join(told.topics) or told.topic}
    shown["duplicate"] = told.duplicate
    return {name: value for name, value in shown.items() if value}


def _of_publisher(request: Request) -> dict[str, object]:
    """The trace and the agent of a request that publishes, as far as it names them."""
    shown = {
        "trace": trace_of(request.headers.get("traceparent", "")),
        "agent": request.headers.get("user-agent", "")[:SHOWN_AGENT],
    }
    return {name: value for name, value in shown.items() if value}
