"""What all handlers share: JSON answers and errors, CORS, and security headers."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Any, ClassVar

import msgspec
from tornado.httputil import HTTPServerRequest
from tornado.web import Application, HTTPError, RequestHandler

from tocsin.errors import InvalidInput, Unavailable
from tocsin.hub import Hub

log = logging.getLogger("tocsin.http")

PREFLIGHT_AGE_S = 7_200  # Chromium's own upper limit
REQUEST_HEADERS = "Authorization, Cache-Control, Content-Type, Last-Event-ID"


SECRET_HEADER = "Tocsin-Secret"
"""Bears `Hub.secret` in requests that the hub sends to itself."""


def allowed_origin(origins: Sequence[str], origin: str | None) -> str | None:
    """The value of Access-Control-Allow-Origin for a request from `origin`, or None for none."""
    if "*" in origins:
        return "*"
    return origin if origin in origins else None


class Handler(RequestHandler):
    """The base of every handler: says plainly, in JSON, what it can't do.

    Errors are ``{"error": text for people, "code": word for machines, "field": name?}``.
    """

    SUPPORTED_METHODS: ClassVar[tuple[str, ...]] = ("GET", "HEAD", "OPTIONS")  # type: ignore[misc]

    def __init__(
        self, application: Application, request: HTTPServerRequest, hub: Hub, **kwargs: Any
    ) -> None:
        # Before Tornado's own, which already asks for the default headers.
        self.hub = hub
        super().__init__(application, request, **kwargs)

    def set_default_headers(self) -> None:
        """The headers of every answer, errors too."""
        self.set_header("Server", "tocsin")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        origins = self.hub.settings.cors_origin
        allowed = allowed_origin(origins, self.request.headers.get("Origin"))
        if allowed:
            self.set_header("Access-Control-Allow-Origin", allowed)
        if "*" not in origins:
            self.set_header("Vary", "Origin")

    @property
    def is_own(self) -> bool:
        """Whether the hub itself sent this request: nobody else knows its secret."""
        given = self.request.headers.get(SECRET_HEADER, "")
        return bool(given) and hmac.compare_digest(given.encode(), self.hub.secret.encode())

    def answer(self, value: object) -> None:
        """Finish with `value` as JSON."""
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(value))

    def refuse(
        self, status: int, message: str, code: str, field: str | None = None, **more: object
    ) -> None:
        """Finish with an error."""
        self.set_status(status)
        error: dict[str, object] = {"error": message, "code": code, **more}
        self.answer(error | {"field": field} if field else error)

    def options(self, *path: str) -> None:
        """Answer a CORS preflight."""
        methods = ", ".join(self.SUPPORTED_METHODS)
        self.set_header("Allow", methods)
        self.set_header("Access-Control-Allow-Methods", methods)
        self.set_header("Access-Control-Allow-Headers", REQUEST_HEADERS)
        self.set_header("Access-Control-Max-Age", str(PREFLIGHT_AGE_S))
        self.set_status(204)
        self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Turn whatever was raised into a JSON error; the text never holds what a bug said."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, InvalidInput):
            more = {} if error.index is None else {"index": error.index}
            self.refuse(error.status, error.message, error.code, error.field, **more)
        elif isinstance(error, Unavailable):
            self.set_header("Retry-After", str(error.retry_after_s))
            self.refuse(503, error.message, error.code)
        elif status_code == 405:
            self.set_header("Allow", ", ".join(self.SUPPORTED_METHODS))
            self.refuse(405, f"{self.request.method} is not possible here", "method_not_allowed")
        elif status_code == 404:
            self.refuse(404, "there is nothing at this path", "not_found")
        elif status_code < 500:
            self.refuse(status_code, self._reason, "bad_request")
        else:
            self.refuse(500, "the hub failed; its log says why", "internal")

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log only bugs, and without the request: its query may hold what is nobody's business."""
        if isinstance(value, HTTPError | InvalidInput | Unavailable):
            return
        path = f"{self.request.method} {self.request.path}"
        log.error("uncaught exception in %s", path, exc_info=value)

    def compute_etag(self) -> str | None:
        """None: answers of the API are not worth hashing."""
        return None

    def query(self, name: str, default: str = "") -> str:
        """The last value of query parameter `name`, stripped."""
        return self.get_query_argument(name, default).strip()


class NotFound(Handler):
    """Every path without a route, whatever the method."""

    def prepare(self) -> None:
        """Answer before a method is looked for."""
        raise HTTPError(404)
