"""The edge: what any request is answered, decided once for both lanes, without a socket.

A lane reads a request and asks in two steps: from the head alone, and as the body comes in, whether it is refused
(`refuse`); then, from the whole, what it is answered (`answer`). It sends what it is given, and says so (`note`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from time import monotonic, perf_counter

import msgspec

from tocsin.access.limits import PublishLimits
from tocsin.access.principal import EVERYBODY, NOBODY, Principal
from tocsin.access.trusted_proxies import TrustedProxies
from tocsin.errors import InvalidInput, RateLimited, Refused, Unavailable
from tocsin.http.access_log import AccessLog
from tocsin.http.answer import Answer, Pairs, of_error, refusal
from tocsin.http.byte_budget import ByteBudget
from tocsin.http.credentials import Credentials
from tocsin.http.hosts import Hosts
from tocsin.http.later import Later
from tocsin.http.origins import UNSHARED, Origins
from tocsin.http.request import Request
from tocsin.http.routes.base import NotFound, Result, Route, closing

REFUSED_AFTER_S = 0.1
"""How long who published too much waits for the 429. So one connection that asks again at once gets ten of them a
second, where it would get some ten thousand: each is 30 us in which the loop does nothing for the others. The refusal
waits, and not the connection: on that of a proxy the next request may be somebody else's."""

MAX_WAITING_REFUSALS = 1_000
"""Beyond it they are given at once."""

SMALL_BODY_BYTES = 4 * 1024
"""A body up to here is read before its publisher is told that it is one too many, and the connection stays. What is larger
isn't read, so that its connection has to end."""

log = logging.getLogger("tocsin.http")


class Edge:
    """All routes, behind one door.

    Args:
        routes: by path.
        origins: grants answers to pages of other origins.
        access_log: counts and logs what was answered.
        bodies: bytes of bodies that are coming in.
        answers: bytes of answers that their readers haven't taken.
        others: answers every other path.
        hosts: that a request may name; None is any.
        limits: of what is published; None is none.
        proxies: that are believed whose request it is; None is none.
        credentials: say who sent a request; None where everybody may do everything.
        prefixes: routes by what their paths begin with; the rest of the path says more.

    Attributes:
        others: as above.
        answering: requests whose answer waits for something.
        ends_connections: whether a connection ends behind its next answer.
        has_proxies: whether some peers are believed whose request it is.
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        origins: Origins,
        access_log: AccessLog,
        bodies: ByteBudget,
        answers: ByteBudget,
        others: Route | None = None,
        hosts: Hosts | None = None,
        limits: PublishLimits | None = None,
        proxies: TrustedProxies | None = None,
        credentials: Credentials | None = None,
        prefixes: Mapping[str, Route] | None = None,
    ) -> None:
        self.routes = routes
        self.prefixes = prefixes or {}
        self.access_log = access_log
        self.bodies = bodies
        self.answers = answers
        self.answering = 0
        self._waiting_refusals = 0
        self.ends_connections = False
        self._origins = origins
        self.others = others or NotFound()
        self._hosts = hosts
        self._limits = limits if limits and limits.are_set else None
        self._proxies = proxies
        self.has_proxies = proxies is not None
        self._credentials = credentials
        unshared = [path for path, route in routes.items() if not route.is_shared]
        self._unshared = frozenset([*unshared, *(path + "/" for path in unshared)])

    def route(self, path: str) -> Route:
        """Who answers `path`. A slash at its end makes no other path of it."""
        route = self.routes.get(path) or self.routes.get(path.removesuffix("/"))
        if route is None:
            for prefix in self.prefixes:
                if path.startswith(prefix):
                    return self.prefixes[prefix]
        return route or self.others

    def of_every_answer(self, request: Request) -> Pairs:
        """The header fields that every answer to `request` has."""
        return self._origins_of(request).headers(request)

    def refuse(self, request: Request, body_bytes: int, beginning: bytes) -> Answer | None:
        """Why the body of `request` isn't read (on), or None: see `Route.refuse`."""
        route = self.route(request.path)
        try:
            self._check(route, request)
            # As in `answer`: a method that isn't taken, and a preflight, are answered whoever asks.
            is_asked = route.takes_any_method or request.method in route.methods
            if is_asked and request.method != "OPTIONS" and self._identify(route, request):
                route.check_rights(request)
                if body_bytes > SMALL_BODY_BYTES:
                    self._check_limits(route, request)
        except Exception as error:
            self._count(route, request, error)
            return closing(of_error(error))  # not `put_off`: no event source sends a body
        return route.refuse(request, body_bytes, beginning)

    def answer(self, request: Request) -> Result | Later:
        """What `request` is answered, now or when something has been waited for. Never raises."""
        route = self.routes.get(request.path) or self.route(request.path)  # mostly without a call
        method = request.method
        try:
            self._check(route, request)
            if not route.takes_any_method:
                if method == "OPTIONS":
                    return self._origins_of(request).preflight(request, route.methods)
                if method not in route.methods:
                    return not_allowed(method, route.methods)
            if self._identify(route, request):
                result = self._ask(route, request)
            else:
                result = Later.of(self._ask_later(route, request))
        except RateLimited as error:
            return self._refuse_later(route, request, self._of_error(route, request, error))
        except Exception as error:
            return self._of_error(route, request, error)
        return self._awaited(route, request, result) if isinstance(result, Later) else result

    def _refuse_later(self, route: Route, request: Request, refused: Result) -> Result | Later:
        """`refused`, given after `REFUSED_AFTER_S`; at once where too many wait, or the hub ends."""
        if self.ends_connections or self._waiting_refusals >= MAX_WAITING_REFUSALS:
            return refused
        self._waiting_refusals += 1

        def make(result: Result) -> Result:
            self._waiting_refusals -= 1
            return result

        later = Later(make)
        asyncio.get_running_loop().call_later(REFUSED_AFTER_S, later.give, refused)
        # Without its body: a thousand that wait would else keep 64 MiB, or the room of others' bodies.
        return self._awaited(route, msgspec.structs.replace(request, body=b""), later)

    def _awaited(self, route: Route, request: Request, later: Later) -> Later:
        """`later`, whose answer is awaited from now on."""
        self.answering += 1
        later.edge = self
        later.route = route
        later.request = request
        return later

    def _check(self, route: Route, request: Request) -> None:
        """Judge `request` by where it comes from and what host it names, whatever it asks of `route`.

        Raises:
            Refused: it isn't taken.
        """
        if self._hosts:
            self._hosts.check(request)
        if not request.media_type and request.method == "POST" and "POST" in route.methods:
            self._origins.check(request)

    def _identify(self, route: Route, request: Request) -> bool:
        """Put into `request` who sent it; False where that has to be waited for.

        Raises:
            Unauthorized, Forbidden: its credentials are no good.
        """
        principal: Principal | None = EVERYBODY
        if self._credentials and route.is_open_to(request):
            principal = NOBODY
        elif self._credentials:
            takes_ticket = route.takes_ticket and request.method in ("GET", "HEAD")
            principal = self._credentials.principal_of(request, takes_ticket=takes_ticket)
            if principal is None:
                return False
        # Once, here: a request is made anew each time, and nobody has seen it yet.
        msgspec.structs.force_setattr(request, "principal", principal)
        return True

    def _ask(self, route: Route, request: Request) -> Result | Later:
        """What `route` answers to `request`, whose principal is known."""
        route.check_rights(request)
        if self._limits and self._check_limits(route, request):
            size = len(request.body)
            self._limits.take(request.principal.name, request.peer, 1, size, monotonic())
        return route.answer(request)

    async def _ask_later(self, route: Route, request: Request) -> Result:
        """The same, when it is known who sent `request`; until then its body counts as one that is coming in."""
        assert self._credentials
        size = len(request.body)
        if not self.bodies.take(size):
            raise Unavailable(f"bodies of {self.bodies.limit} bytes wait already", code="busy")
        try:
            principal = await self._credentials.learn(request)
        finally:
            self.bodies.give_back(size)
        msgspec.structs.force_setattr(request, "principal", principal)
        result = self._ask(route, request)
        if isinstance(result, Later):
            return await self._awaited(route, request, result).result()
        return result

    def _check_limits(self, route: Route, request: Request) -> bool:
        """Judge `request` by what its sender has published lately; False where that isn't limited.

        Raises:
            RateLimited: it is one too many.
        """
        if not self._limits or not route.is_limited or request.is_internal:
            return False
        if request.method not in route.methods or request.method == "OPTIONS":
            return False
        self._limits.check(request.principal.name, request.peer, monotonic())
        return True

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """Whose request it is that `peer` sent with `headers`: its own, or that of who is behind a trusted proxy."""
        return self._proxies.client(peer, headers) if self._proxies else peer

    def _origins_of(self, request: Request) -> Origins:
        """Who is granted what at the path of `request`."""
        return UNSHARED if request.path in self._unshared else self._origins

    def settle(self, later: Later, value: object) -> Result:
        """The answer to who waited for `value`, which may be an exception. Never raises."""
        self.answering -= 1
        if isinstance(value, Exception):
            # Not raised again: it would hold this frame, and that it, so that the body stayed until the collector came.
            return self._of_error(later.route, later.request, value)
        try:
            return later.make(value)
        except Exception as error:
            return self._of_error(later.route, later.request, error)

    def _of_error(self, route: Route, request: Request, error: Exception) -> Result:
        """The edge of a request: what is answered where `error` was raised."""
        self._count(route, request, error)
        if isinstance(error, Unavailable):
            return route.put_off(request, error)
        answer = of_error(error)
        return closing(answer) if isinstance(error, Refused) else answer

    def _count(self, route: Route, request: Request, error: Exception) -> None:
        """Count a refusal, and log a bug."""
        if isinstance(error, InvalidInput | Unavailable):
            route.count_refusal(error)
            if self._credentials:
                self._credentials.count(error)
        else:
            log.error("uncaught exception in %s %s", request.method, request.path, exc_info=error)

    def note(
        self, request: Request, status: int, duration_s: float, lane: str, body: bytes
    ) -> None:
        """Count and log that `request` was answered with `body`; what fails in that harms no answer."""
        if request.is_internal:
            return
        try:
            route = self.routes.get(request.path) or self.route(request.path)
            self.access_log.note(request, route.name, status, duration_s, lane, body)
        except Exception:  # the answer has left, and says what happened
            log.exception("a request was answered, but not logged")

    def note_all(self, laters: Sequence[Later], status: int, lane: str, body: bytes) -> None:
        """Do the same for requests of one route that were given the same answer now."""
        now, route = perf_counter(), laters[0].route.name
        try:
            if self.access_log.is_logged(route, status):
                for later in laters:
                    self.note(later.request, status, now - later.began, lane, body)
                return
            requests = [later.request for later in laters]
            methods = Counter([request.method for request in requests if not request.is_internal])
            for method, count in methods.items():
                self.access_log.count(method, route, status, lane, count)
        except Exception:  # as above
            log.exception("requests were answered, but not counted")


def not_allowed(method: str, methods: tuple[str, ...]) -> Answer:
    """405 (RFC 9110, section 15.5.6)."""
    allow = (("Allow", ", ".join(methods)),)
    return refusal(405, f"{method} is not possible here", "method_not_allowed", headers=allow)
