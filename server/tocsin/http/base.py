"""What all handlers share: JSON answers and errors, CORS, and security headers."""

from __future__ import annotations

import hmac
import logging
from types import TracebackType
from typing import Any, ClassVar

import msgspec
from tornado.httputil import HTTPServerRequest
from tornado.web import Application, HTTPError, RequestHandler

from tocsin.errors import InvalidInput, Unavailable
from tocsin.hub.hub import Hub
from tocsin.hub.internal_streams import SECRET_HEADER

log = logging.getLogger("tocsin.http")

FAILED = "the hub failed; its log says why"
"""What a client is told of a bug."""

PREFLIGHT_AGE_S = 7_200  # Chromium's own upper limit
REQUEST_HEADERS = "Authorization, Cache-Control, Content-Type, Last-Event-ID"


def cors(hub: Hub, request: HTTPServerRequest) -> tuple[str | None, bool]:
    """The origin that an answer allows, and whether that depends on who asks."""
    origins = hub.settings.cors_origin
    if "*" in origins:
        return "*", False
    origin = request.headers.get("Origin")
    return origin if origin in origins else None, True


def default_headers(origin: str | None, vary: bool) -> dict[str, str]:
    """The headers of every answer, errors too, by what `cors` says."""
    headers = {
        "Server": "tocsin",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    if origin:
        headers["Access-Control-Allow-Origin"] = origin
    if vary:
        headers["Vary"] = "Origin"
    return headers


def is_internal(hub: Hub, request: HTTPServerRequest) -> bool:
    """Whether the hub itself sent this request: nobody else knows its secret."""
    given = request.headers.get(SECRET_HEADER, "")
    return bool(given) and hmac.compare_digest(given.encode(), hub.secret.encode())


def query_values(request: HTTPServerRequest, name: str) -> list[str]:
    """The values of query parameter `name`, stripped.

    Raises:
        InvalidInput: one isn't UTF-8.
    """
    try:
        return [value.decode().strip() for value in request.query_arguments.get(name, ())]
    except UnicodeDecodeError:
        message = f"{name} is not UTF-8"
        raise InvalidInput(message, code="bad_request", field=name, status=400) from None


def query_value(request: HTTPServerRequest, name: str, default: str = "") -> str:
    """The last one of them.

    Raises:
        InvalidInput: one isn't UTF-8.
    """
    return (query_values(request, name) or [default])[-1]


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
        for name, value in default_headers(*cors(self.hub, self.request)).items():
            self.set_header(name, value)

    @property
    def is_internal(self) -> bool:
        """Whether the hub itself sent this request."""
        return is_internal(self.hub, self.request)

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
            self.refuse(500, FAILED, "internal")

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


class NotFound(Handler):
    """Every path without a route, whatever the method."""

    def prepare(self) -> None:
        """Answer before a method is looked for."""
        raise HTTPError(404)
