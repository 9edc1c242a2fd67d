"""``/api/session`` and ``/api/ticket``: who somebody is here, and what a key or token is changed for."""

from __future__ import annotations

import math
from urllib.parse import urlsplit

from tocsin.access.authentication import Authentication
from tocsin.access.principal import Principal
from tocsin.http.answer import Answer, of_json, refusal
from tocsin.http.credentials import SESSION_COOKIE, TICKET
from tocsin.http.origins import Origins
from tocsin.http.request import Request
from tocsin.http.routes.base import Route
from tocsin.hub.welcome import iso_time


class SessionRoute(Route):
    """GET says who the sender is, POST opens a session in a cookie, DELETE ends it.

    Args:
        authentication: None where there is none.
        origins: tells the hub's own pages from others.
        public_url: where browsers find the hub; empty is where it listens.
        has_tls: whether it listens with TLS.
    """

    name = "session"
    methods = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
    is_shared = False

    def __init__(
        self,
        authentication: Authentication | None,
        origins: Origins,
        public_url: str,
        *,
        has_tls: bool,
    ) -> None:
        self._authentication = authentication
        self._origins = origins
        self._attributes = "; HttpOnly; SameSite=Strict; Path=" + (urlsplit(public_url).path or "/")
        # Else a browser would send it in the clear too, to whatever listens on another port of this host.
        if public_url.startswith("https:") or (has_tls and not public_url):
            self._attributes += "; Secure"

    def is_open_to(self, request: Request) -> bool:
        """A cookie can be dropped whatever it is worth."""
        return request.method == "DELETE"

    def answer(self, request: Request) -> Answer:
        """What is said of the sender's rights; of another origin's pages nothing is taken.

        Raises:
            Refused: a page of another origin asks for a session, or for its end.
            Unauthorized: there is nothing that could be changed for a session.
        """
        if request.method in ("POST", "DELETE"):
            self._origins.check_own(request)
        if request.method == "DELETE":
            return Answer(204, content_type="", headers=(self.end_cookie,))
        if request.method != "POST":
            return of_json(_rights(request.principal, self._authentication is not None))
        if self._authentication is None:
            return _no_authentication()
        text, expires_at = self._authentication.issue("session", request.principal)
        seconds = max(int(expires_at - self._authentication.now), 0)
        cookie = f"{SESSION_COOKIE}={text}; Max-Age={seconds}{self._attributes}"
        rights = _rights(request.principal, True) | {
            "admin": False,
            "expires": iso_time(expires_at),
        }
        return of_json(rights, headers=(("Set-Cookie", cookie),))

    @property
    def end_cookie(self) -> tuple[str, str]:
        """The header field that has the browser forget the session."""
        return ("Set-Cookie", f"{SESSION_COOKIE}=; Max-Age=0{self._attributes}")


class TicketRoute(Route):
    """POST gives a ticket for `GET /events` and `GET /api/history`."""

    name = "ticket"
    methods = ("POST", "OPTIONS")

    def __init__(self, authentication: Authentication | None) -> None:
        self._authentication = authentication

    def answer(self, request: Request) -> Answer:
        """The ticket, when it ends, and the stream's address with it.

        Raises:
            Unauthorized: there is nothing that could be changed for one.
            Unauthorized, Forbidden: the sender may read nothing.
        """
        if self._authentication is None:
            return _no_authentication()
        text, expires_at = self._authentication.issue("ticket", request.principal)
        if not request.principal.subscribe:
            raise request.principal.refusal("subscribe", "to any topic")
        return of_json(
            {TICKET: text, "expires": iso_time(expires_at), "events": f"events?{TICKET}={text}"}
        )


def _rights(principal: Principal, is_authenticated: bool) -> dict[str, object]:
    has_end = principal.expires_at != math.inf
    return {
        "authentication": is_authenticated,
        "principal": principal.name or None,
        "publish": sorted(principal.publish.texts),
        "subscribe": sorted(principal.subscribe.texts),
        "end": sorted(principal.end.texts),
        "admin": principal.is_admin,
        "expires": iso_time(principal.expires_at) if has_end else None,
    }


def _no_authentication() -> Answer:
    message = "there is no authentication on this hub: everybody may read and publish without"
    return refusal(409, message, "no_authentication")
