"""Success at one go, for the two busy routes: a stream that opens, an event that is taken.

It reads requests by the same functions as the handlers, and answers the same. What can't be answered
with success is not taken here at all: it goes to its handler, which says what is wrong with it.
"""

from __future__ import annotations

import logging
import time
from functools import lru_cache

import msgspec
from tornado.httputil import HTTPServerRequest, format_timestamp

from tocsin.core.publish_body import is_array
from tocsin.errors import InvalidInput, Unavailable
from tocsin.http.access_log import AccessLog
from tocsin.http.base import FAILED, cors, default_headers
from tocsin.http.publication import JSON, Publication, media_type
from tocsin.http.subscription import Subscription
from tocsin.hub.hub import Hub

log = logging.getLogger("tocsin.http")


class PlainAnswers:
    """Decides on plain requests, and answers those it takes.

    Args:
        hub: what they are about.
        access_log: counts and logs them, like the others.
    """

    def __init__(self, hub: Hub, access_log: AccessLog) -> None:
        self.hub = hub
        self._access_log = access_log

    def subscription(self, request: HTTPServerRequest) -> Subscription | None:
        """The stream that `request` opens; None where there is more to say than that."""
        try:
            subscription = Subscription.read(self.hub, request)
        except InvalidInput:
            return None
        if not subscription.is_internal and self.hub.refuses(subscription.filter):
            return None
        return subscription

    def publication(self, request: HTTPServerRequest, body: bytes) -> Publication | None:
        """What `request` publishes; None where it is refused, or the hub takes nothing now."""
        encoding = request.headers.get("Content-Encoding", "identity")
        if media_type(request) != JSON or encoding != "identity" or not self.hub.is_ready:
            return None
        if len(body) > self.hub.settings.max_batch_bytes and is_array(body):
            return None
        try:
            return Publication.read(self.hub, request, body, ndjson=False)
        except InvalidInput:
            return None

    async def publish(self, publication: Publication, request: HTTPServerRequest) -> bytes:
        """Publish, and return the whole HTTP answer."""
        began = time.perf_counter()
        status, more = "200 OK", b""
        try:
            answer = await publication.publish(self.hub)
        except Unavailable as error:
            self.hub.counters.publish_rejected["unavailable"] += 1
            answer = {"error": error.message, "code": error.code}
            status, more = "503 Service Unavailable", b"Retry-After: %d\r\n" % error.retry_after_s
        except Exception:  # the edge of a request: a bug here must not leave its client waiting
            log.exception("uncaught exception in POST %s", request.path)
            answer = {"error": FAILED, "code": "internal"}
            status = "500 Internal Server Error"
        duration_s = time.perf_counter() - began
        if not publication.signal:
            if status[0] == "2":
                self.hub.counters.publish_s.observe(duration_s)
            self._access_log.note(request, "notify", status[:3], duration_s)
        body = msgspec.json.encode(answer)
        head = _head(status, int(time.time()), *cors(self.hub, request))
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (head, more, len(body), body)


@lru_cache(maxsize=64)
def _head(status: str, second: int, origin: str | None, vary: bool) -> bytes:
    """The head up to its length; made once a second for all answers alike."""
    headers = {"Content-Type": JSON, "Date": format_timestamp(second)}
    headers |= default_headers(origin, vary)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, ""]).encode("latin-1")
