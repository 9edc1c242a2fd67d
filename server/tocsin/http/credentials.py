"""The credentials of a request: which ones count, and whether a cookie may be believed.

A header `Authorization` counts before a ticket in the address, and that before a cookie. The first of them that is
there decides: where it is no good the request is refused, and never taken for one without credentials.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from tocsin.access.authentication import Authentication
from tocsin.access.principal import EVERYBODY, Principal
from tocsin.errors import Forbidden, Unauthorized
from tocsin.http.origins import Origins
from tocsin.http.request import Request
from tocsin.logs import is_wanted

log = logging.getLogger("tocsin.auth")

SESSION_COOKIE = "tocsin_session"
TICKET = "ticket"
"""The query parameter that bears one."""


class Credentials:
    """Says who sent a request.

    Args:
        authentication: knows keys and tokens.
        origins: judges requests that bear a cookie.
        refusals: counts by reason.
    """

    def __init__(
        self, authentication: Authentication, origins: Origins, refusals: dict[str, int]
    ) -> None:
        self.authentication = authentication
        self._origins = origins
        self._refusals = refusals

    def principal_of(self, request: Request, *, takes_ticket: bool) -> Principal | None:
        """Who sent `request`; None where that has to be waited for, by `learn`.

        Args:
            request: whose credentials count.
            takes_ticket: whether a ticket is good for it.

        Raises:
            Unauthorized: its credentials are no good.
            Forbidden: a page of another origin had a cookie sent along.
        """
        if request.is_internal:
            return EVERYBODY
        if request.digest:
            known = self.authentication.of_digest(request.digest)
            if known is not None:
                return known
        bearer = request.headers.get("authorization")
        if bearer is not None:
            return self.authentication.of_bearer(bearer)
        # A name may be percent-encoded too: a ticket that is overlooked would be a silent fall to anonymous.
        if TICKET in request.query or "%" in request.query:
            tickets = request.parameters().get(TICKET)
            if tickets:
                return self._of_ticket(tickets[-1], takes_ticket)
        session = session_of(request)
        if session:
            self._origins.check_cookie(request)
            return self.authentication.of_ticket("session", session)
        return self.authentication.anonymous

    def learn(self, request: Request) -> Awaitable[Principal]:
        """`principal_of`, when it has been waited for."""
        return self.authentication.learn(request.headers["authorization"])

    def count(self, error: Exception) -> None:
        """Count `error`, if it is a refusal for want of rights."""
        if isinstance(error, Unauthorized | Forbidden):
            self._refusals[error.reason] += 1
            if is_wanted(log, "refused"):
                log.info("refused", extra={"reason": error.reason, "status": error.status})

    def _of_ticket(self, ticket: str, takes_ticket: bool) -> Principal:
        if not takes_ticket:
            raise Unauthorized(
                "a ticket is good for GET /events and GET /api/history alone", reason="misplaced"
            )
        return self.authentication.of_ticket("ticket", ticket)


def session_of(request: Request) -> str:
    """The session in the cookies of `request`; empty where there is none."""
    cookies = request.headers.get("cookie", "")
    if SESSION_COOKIE not in cookies:
        return ""
    # Several lines were joined by a comma; no value of ours has one.
    for pair in cookies.replace(",", ";").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == SESSION_COOKIE:
            return value.strip('"')
    return ""
