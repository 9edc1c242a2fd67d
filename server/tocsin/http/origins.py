"""Which pages of other origins may read an answer (Fetch standard, CORS), and the headers of every answer."""

from __future__ import annotations

from functools import lru_cache

from tocsin.http.answer import Answer, Pairs
from tocsin.http.request import Request
from tocsin.settings import Settings

PREFLIGHT_AGE_S = 7_200  # Chromium's own upper limit
REQUEST_HEADERS = "Authorization, Cache-Control, Content-Type, Last-Event-ID"


class Origins:
    """Grants what the settings allow.

    Args:
        settings: `cors_origin` names the origins, `*` any.
    """

    def __init__(self, settings: Settings) -> None:
        self._of_any = headers_of_every_answer("*", False) if "*" in settings.cors_origin else None
        self._listed = frozenset(settings.cors_origin)

    def headers(self, request: Request) -> Pairs:
        """The headers of every answer to `request`, errors too."""
        if self._of_any:
            return self._of_any
        origin = request.headers.get("origin")
        return headers_of_every_answer(origin if origin in self._listed else None, True)

    def preflight(self, methods: tuple[str, ...]) -> Answer:
        """The answer to OPTIONS on a route that takes `methods`."""
        allowed = ", ".join(methods)
        granted = (
            ("Allow", allowed),
            ("Access-Control-Allow-Methods", allowed),
            ("Access-Control-Allow-Headers", REQUEST_HEADERS),
            ("Access-Control-Max-Age", str(PREFLIGHT_AGE_S)),
        )
        return Answer(204, content_type="", headers=granted)


@lru_cache(maxsize=64)
def headers_of_every_answer(origin: str | None, varies: bool) -> Pairs:
    """What every answer says; `origin` is the one it allows, `varies` whether that depends on who asks."""
    pairs = [
        ("Server", "tocsin"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    ]
    if origin:
        pairs.append(("Access-Control-Allow-Origin", origin))
    if varies:
        pairs.append(("Vary", "Origin"))
    return tuple(pairs)
