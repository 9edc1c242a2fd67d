"""Which pages of other origins may ask and read (Fetch standard, CORS), and the headers of every answer."""

from __future__ import annotations

import re
from functools import lru_cache

from tocsin.errors import Forbidden, Refused
from tocsin.http.answer import Answer, Pairs
from tocsin.http.request import Request
from tocsin.settings import Settings
from tocsin.settings.addresses import DEFAULT_PORTS, origin_of

PREFLIGHT_AGE_S = 7_200  # Chromium's own upper limit
REQUEST_HEADERS = "Authorization, Cache-Control, Content-Type, Last-Event-ID"

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"
ASKED_HEADERS = re.compile(rf"{_NAME}(?:, ?{_NAME}){{0,31}}")
"""What is granted as it is asked for. An error monitor or a tracer adds headers of its own to a page's requests."""


class Origins:
    """Grants what the settings allow.

    Args:
        settings: `cors_origin` names the origins, `*` any; pages of `public_url` are the hub's own.
    """

    def __init__(self, settings: Settings) -> None:
        self._takes_any = "*" in settings.cors_origin
        self._listed = frozenset(settings.cors_origin) - {"*"}
        self._own = origin_of(settings.public_url)
        self._of_others = headers_of_every_answer(
            "*" if self._takes_any else "", False, bool(self._listed)
        )

    def headers(self, request: Request) -> Pairs:
        """The headers of every answer to `request`, errors too."""
        if not self._listed:
            return self._of_others
        origin = request.headers.get("origin", "")
        if origin not in self._listed:
            return self._of_others
        # Any page without an origin is `null`: it mustn't use the credentials of people.
        return headers_of_every_answer(origin, origin != "null", True)

    def preflight(self, request: Request, methods: tuple[str, ...]) -> Answer:
        """The answer to OPTIONS on a route that takes `methods`."""
        allow = ("Allow", ", ".join(methods))
        if not self._grants(request):
            return Answer(204, content_type="", headers=(allow,))
        asked = request.headers.get("access-control-request-headers", "")
        granted = (
            allow,
            ("Access-Control-Allow-Methods", ", ".join(methods)),
            (
                "Access-Control-Allow-Headers",
                asked if ASKED_HEADERS.fullmatch(asked) else REQUEST_HEADERS,
            ),
            ("Access-Control-Max-Age", str(PREFLIGHT_AGE_S)),
            ("Vary", "Access-Control-Request-Headers"),
        )
        return Answer(204, content_type="", headers=granted)

    def check(self, request: Request) -> None:
        """Judge a POST that browsers send without asking: one that isn't JSON.

        JSON needs a preflight, so it isn't judged here: behind a proxy that rewrites `Host`, as nginx does by
        default, the page's own origin couldn't be told from another one.

        Raises:
            Refused: a page of another origin sent it.
        """
        if self._grants(request):
            return
        origin = request.headers.get("origin", "")
        site = request.headers.get("sec-fetch-site", "")
        if site != "cross-site" and (not origin or self._is_own(origin, request)):
            return
        raise Refused(
            "a page of another origin may not publish here: start the hub with --cors-origin and its origin",
            code="foreign_origin",
            status=403,
        )

    def check_cookie(self, request: Request) -> None:
        """Judge a request that a cookie authenticates, whatever its method: browsers add it to what any page asks for.

        Both headers count: `Sec-Fetch-Site`, which browsers send on https and on localhost, and `Origin`, which they
        send with POST and across origins. A listed origin may use cookies; by `*` none is listed.

        Raises:
            Forbidden: a page of another origin may have sent it.
        """
        if not self._is_of_own_page(request):
            raise Forbidden(
                "a session is for the hub's own pages and those of a listed --cors-origin; behind a proxy that"
                " changes Host, set --public-url",
                reason="origin",
            )

    def check_own(self, request: Request) -> None:
        """Judge a request that opens or ends a session: a page of another origin may do neither, listed or not.

        Raises:
            Refused: one sent it.
        """
        origin = request.headers.get("origin", "")
        site = request.headers.get("sec-fetch-site", "same-origin")
        if site != "same-origin" or (origin and not self._is_own(origin, request)):
            raise Refused(
                "a session is for the hub's own pages; behind a proxy that changes Host, set --public-url",
                code="foreign_origin",
                status=403,
            )

    def _is_of_own_page(self, request: Request) -> bool:
        origin = request.headers.get("origin", "")
        if origin:
            if origin in self._listed and origin != "null":
                return True
            if not self._is_own(origin, request):
                return False
        # `none` is a person's own doing: an address that was typed in.
        return request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")

    def _grants(self, request: Request) -> bool:
        return self._takes_any or request.headers.get("origin", "") in self._listed

    def _is_own(self, origin: str, request: Request) -> bool:
        """Whether `origin` is that of the hub's own page, by its `Host`; a proxy may have TLS in front of it."""
        host = request.headers.get("host", "")
        try:
            return origin == self._own or origin in {
                origin_of(f"{s}://{host}") for s in DEFAULT_PORTS
            }
        except ValueError:
            return False


@lru_cache(maxsize=64)
def headers_of_every_answer(origin: str, with_credentials: bool, varies: bool) -> Pairs:
    """What every answer says.

    Args:
        origin: that may read it, `*` is any; empty is none.
        with_credentials: whether its pages may send cookies and the like.
        varies: whether that depends on who asks.
    """
    pairs = [
        ("Server", "tocsin"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    ]
    if origin:
        pairs.append(("Access-Control-Allow-Origin", origin))
        # A page of another origin reads no other header that says when to come back.
        pairs.append(("Access-Control-Expose-Headers", "Retry-After"))
    if with_credentials:
        pairs.append(("Access-Control-Allow-Credentials", "true"))
    if varies:
        pairs.append(("Vary", "Origin"))
    return tuple(pairs)


UNSHARED = Origins(Settings())
"""Grants nothing to pages of other origins."""
