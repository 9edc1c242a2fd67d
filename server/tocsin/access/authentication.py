"""Authentication: from credentials to a principal, without a request and without a socket."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import secrets
import time
from collections.abc import Callable

from tocsin.access.key_sets import KeySet
from tocsin.access.keys import KeyTable, digest_of, read_keys
from tocsin.access.principal import Principal
from tocsin.access.rights import Patterns
from tocsin.access.tickets import Tickets, Use
from tocsin.access.tokens import (
    Requirements,
    key_id_of,
    read_secret,
    refused,
    require_extra,
    verify,
    verifying_key,
)
from tocsin.errors import SettingsError, Unauthorized, Unavailable
from tocsin.settings import Settings

MAX_VERIFIED = 10_000
"""Tokens that are remembered as verified."""

MAX_VERIFIED_BYTES = 4 * 1024 * 1024
"""Bytes of them in all. What is kept of one is its rights, which take up to five times its own length."""

MAX_WAITING = 1_000
"""Requests that wait for a key set at once."""

TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What follows `Bearer` (RFC 6750, section 2.1)."""

log = logging.getLogger("tocsin.auth")


class Authentication:
    """Who may do what, by the settings `keys` and `jwt_…`.

    Args:
        settings: say where keys are.
        clock: Unix time in seconds.

    Attributes:
        anonymous: who says nothing.

    Raises:
        SettingsError: a key or a file of keys can't be used, or PyJWT is missing.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self.anonymous = Principal(
            publish=_anonymous(settings, "anonymous_publish"),
            subscribe=_anonymous(settings, "anonymous_subscribe"),
        )
        self._keys = KeyTable(read_keys(settings.keys)) if settings.keys else KeyTable()
        self._verified: dict[bytes, Principal] = {}
        self._sizes: dict[bytes, int] = {}  # of their tokens, in the same order
        self._verified_bytes = 0
        self._key_set = self._make_key_set()
        self._requirements = Requirements(
            audience=settings.jwt_audience, issuer=settings.jwt_issuer
        )
        self._waiting = 0
        self._tickets = Tickets(self._ticket_secret(), clock)

    @property
    def now(self) -> float:
        """The Unix time."""
        return self._clock()

    @property
    def key_expires_in_s(self) -> float:
        """Seconds until the next API key expires; 0 where none does."""
        at = self._keys.next_expiry(self.now)
        return 0.0 if at == math.inf else at - self.now

    # --- from credentials to a principal --------------------------------------------------------

    def of_digest(self, digest: bytes) -> Principal | None:
        """Who sent a token of this digest, where that is known and has not ended; else `of_bearer` says what is wrong."""
        principal = self._known(digest)
        if principal is None or principal.expires_at <= self._clock():
            return None
        return principal

    def of_bearer(self, credentials: str) -> Principal | None:
        """Who sent `credentials`, the value of a header `Authorization`.

        None where the key that is to have signed them isn't known yet: `learn` waits for it.

        Raises:
            Unauthorized: they are no good.
        """
        token = token_in(credentials)
        if not token:
            raise refused("malformed")
        digest = digest_of(token)
        principal = self._known(digest)
        if principal is None:
            principal = self._verify(token, digest)
        if principal is not None and principal.expires_at <= self._clock():
            self._forget(digest)
            raise refused("expired")
        return principal

    def _known(self, digest: bytes) -> Principal | None:
        """Whose key, or verified token, has this digest; its expiry is the caller's to see."""
        principal = self._keys.find(digest)
        if principal is None:
            principal = self._verified.get(digest)
            # Else a key that its issuer withdrew would be good for as long as no other token comes.
            if principal is not None and self._key_set is not None:
                self._key_set.refresh_if_old()
        return principal

    async def learn(self, credentials: str) -> Principal:
        """`of_bearer` when the key set has been read anew.

        Raises:
            Unauthorized: they are no good.
            Unavailable: the set was never there, or too many wait for it.
        """
        if self._key_set is None or self._waiting >= MAX_WAITING:
            raise _no_keys_yet()
        self._waiting += 1
        try:
            await self._key_set.learn()
        finally:
            self._waiting -= 1
        principal = self.of_bearer(credentials)
        if principal is None:
            raise _no_keys_yet()
        return principal

    def of_ticket(self, use: Use, text: str) -> Principal:
        """Who bears `text`, a ticket or the cookie of a session.

        Raises:
            Unauthorized: it is no good.
        """
        principal = self._tickets.read(use, text, self._keys)
        if principal.expires_at <= self._clock():
            raise Unauthorized(f"the {use} has expired: ask for a new one", reason="expired")
        return principal

    def issue(self, use: Use, principal: Principal) -> tuple[str, float]:
        """What `principal` may change its credentials for, and the Unix time at which that ends.

        Raises:
            Unauthorized: it has none.
            InvalidInput: its rights are too many.
        """
        if not principal.name:
            raise Unauthorized(
                f"a {use} is given for a key or a token: Authorization: Bearer …",
                reason="session",
                is_given=False,
            )
        return self._tickets.issue(use, principal)

    def _verify(self, token: str, digest: bytes) -> Principal | None:
        if self._key_set is None or token.count(".") != 2:
            raise refused("unknown")
        kid = key_id_of(token)
        error = refused("unknown")
        for key in self._key_set.find(kid):
            try:
                principal = verify(token, key, self._requirements, self._clock())
            except Unauthorized as failure:
                error = failure
                continue
            self._remember(digest, principal, len(token))
            return principal
        if self._key_set.may_learn(kid):
            return None
        raise error if self._key_set.is_loaded else _no_keys_yet()

    def _remember(self, digest: bytes, principal: Principal, size: int) -> None:
        self._verified[digest] = principal
        self._sizes[digest] = size
        self._verified_bytes += size
        while len(self._verified) > MAX_VERIFIED or self._verified_bytes > MAX_VERIFIED_BYTES:
            self._forget(next(iter(self._verified)))

    def _forget(self, digest: bytes) -> None:
        """Remember no more the token of `digest`, if it is."""
        if self._verified.pop(digest, None):
            self._verified_bytes -= self._sizes.pop(digest)

    # --- changes while running ------------------------------------------------------------------

    def is_current(self, principal: Principal) -> bool:
        """Whether `principal` may go on as it is: its key was not revoked, and has the rights that it had."""
        origin = principal.source or principal
        return not origin.digest or self._keys.has(origin)

    async def reload(self) -> None:
        """Read the files anew. A broken one leaves its keys as they are, with a line in the log."""
        if self._settings.keys:
            try:
                keys = await asyncio.to_thread(read_keys, self._settings.keys)
            except SettingsError as error:
                log.error("the keys stay as they were", extra={"error": str(error)})
            else:
                self._keys = KeyTable(keys, self._keys)
                log.info("keys read", extra={"secrets": len(self._keys)})
        if self._key_set:
            await self._key_set.reload()

    def _forget_verified(self) -> None:
        """Have tokens verified anew: a key may be gone that had signed some."""
        self._verified.clear()
        self._sizes.clear()
        self._verified_bytes = 0

    # --- the settings -----------------------------------------------------------------------------

    def _make_key_set(self) -> KeySet | None:
        settings = self._settings
        if not (settings.jwt_key or settings.jwt_jwks):
            return None
        require_extra("jwt_key" if settings.jwt_key else "jwt_jwks")
        algorithms = settings.jwt_algorithm
        fixed = [verifying_key(settings.jwt_key, algorithms)] if settings.jwt_key else []
        every = settings.jwt_jwks_refresh
        return KeySet(
            fixed, settings.jwt_jwks, algorithms, every, time.monotonic, self._forget_verified
        )

    def _ticket_secret(self) -> bytes:
        given = read_secret(self._settings.ticket_key, "ticket_key").encode()
        if given and len(given) < 32:
            raise SettingsError("ticket_key: (hidden): allowed: 32 bytes or more")
        if not given:
            log.info("no ticket_key: tickets and sessions end with this process, and are its own")
        return given or secrets.token_bytes(32)

    def __repr__(self) -> str:
        return f"Authentication(secrets={len(self._keys)}, verified={len(self._verified)})"


def token_in(credentials: str) -> str:
    """The token in `credentials`, the value of a header `Authorization`; empty where they are something else."""
    scheme, _, token = credentials.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and TOKEN.fullmatch(token) else ""


def digest_of_bearer(credentials: str) -> bytes:
    """The digest of the token in `credentials`, by which `Authentication.of_digest` knows it; empty where there is none."""
    token = token_in(credentials)
    return digest_of(token) if token else b""


def authentication_of(settings: Settings) -> Authentication | None:
    """That of `settings`; None where there is none, and everybody may do everything.

    Raises:
        SettingsError: a key or a file of keys can't be used.
    """
    return Authentication(settings) if settings.has_authentication else None


def _anonymous(settings: Settings, name: str) -> Patterns:
    return Patterns(getattr(settings, name))


def _no_keys_yet() -> Unavailable:
    return Unavailable(
        "tokens can't be verified now: their key set can't be had", code="no_key_set"
    )
