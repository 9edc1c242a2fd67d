"""``/api/session`` and ``/api/ticket``: who somebody is here, and what a key or token is changed for."""

from __future__ import annotations

import math
from urllib.parse import urlsplit

import msgspec

from tocsin.access.authentication import Authentication
from tocsin.access.principal import Principal
from tocsin.http.answer import Answer, of_json, refusal
from tocsin.http.credentials import SESSION_COOKIE, TICKET
from tocsin.http.operation import Operation, Reply
from tocsin.http.origins import Origins
from tocsin.http.request import Request
from tocsin.http.routes.base import Route
from tocsin.hub.welcome import iso_time


class Rights(msgspec.Struct):
    """Who somebody is here, and what they may do.

    Attributes:
        authentication: whether the hub has any; without, everybody may do everything.
        principal: the name that the hub knows them by; null where nobody said who they are.
        publish: patterns of topics they may publish on.
        subscribe: patterns of topics they may read.
        end: patterns of topics they may end.
        admin: whether they are an operator.
        expires: when that is over, ISO 8601 in UTC; null is never.
    """

    authentication: bool
    principal: str | None
    publish: list[str]
    subscribe: list[str]
    end: list[str]
    admin: bool
    expires: str | None


class Ticket(msgspec.Struct):
    """What goes into the address of a stream where no header can be sent.

    Attributes:
        ticket: the value of the parameter `ticket`.
        expires: when it is over, ISO 8601 in UTC.
        events: the stream's address with it, relative to the hub's.
    """

    ticket: str
    expires: str
    events: str


class SessionRoute(Route):
    """GET says who the sender is, POST opens a session in a cookie, DELETE ends it.

    Args:
        authentication: None where there is none.
        origins: tells the hub's own pages from others.
        public_url: where browsers find the hub; empty is where it listens.
        has_tls: whether it listens with TLS.
    """

    name = "session"
    operations = (
        Operation(
            method="GET",
            needs="",
            summary="Who you are here, and what you may do",
            replies=(Reply(summary="Your rights.", shape=Rights),),
        ),
        Operation(
            method="POST",
            needs="name",
            summary="Change a key or token for a session in a cookie",
            text="For the hub's own pages. The cookie is HttpOnly and `SameSite=Strict`.",
            replies=(
                Reply(
                    summary="What the session may do; the cookie is set.",
                    shape=Rights,
                    headers={"Set-Cookie": "the session"},
                ),
            ),
            codes=("foreign_origin", "no_authentication", "too_many_rights"),
        ),
        Operation(
            method="DELETE",
            summary="End the session",
            replies=(
                Reply(
                    summary="The browser forgets it.",
                    status=204,
                    headers={"Set-Cookie": "an end of the session"},
                ),
            ),
            codes=("foreign_origin",),
            is_open=True,
        ),
    )
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
        rights = _rights(request.principal, True)
        rights.admin, rights.expires = False, iso_time(expires_at)
        return of_json(rights, headers=(("Set-Cookie", cookie),))

    @property
    def end_cookie(self) -> tuple[str, str]:
        """The header field that has the browser forget the session."""
        return ("Set-Cookie", f"{SESSION_COOKIE}=; Max-Age=0{self._attributes}")


class TicketRoute(Route):
    """POST gives a ticket for `GET /events` and `GET /api/history`."""

    name = "ticket"
    operations = (
        Operation(
            method="POST",
            needs="name",
            summary="Change a key or token for a ticket",
            text="A ticket is good for `GET /events` and `GET /api/history` alone, as the parameter `ticket`.",
            replies=(Reply(summary="The ticket.", shape=Ticket),),
            codes=("foreign_origin", "no_authentication", "too_many_rights"),
        ),
    )

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
        return of_json(Ticket(text, iso_time(expires_at), f"events?{TICKET}={text}"))


def _rights(principal: Principal, is_authenticated: bool) -> Rights:
    has_end = principal.expires_at != math.inf
    return Rights(
        is_authenticated,
        principal.name or None,
        sorted(principal.publish.texts),
        sorted(principal.subscribe.texts),
        sorted(principal.end.texts),
        principal.is_admin,
        iso_time(principal.expires_at) if has_end else None,
    )


def _no_authentication() -> Answer:
    message = "there is no authentication on this hub: everybody may read and publish without"
    return refusal(409, message, "no_authentication")
