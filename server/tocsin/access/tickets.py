"""Tickets and sessions: what a key or token is changed for where no header can be sent.

A native EventSource sends no header of the page's choice. So it bears a *ticket* in its address, which may stand in
logs of proxies and so is good for reading alone; or the browser has a *session*, a cookie that no script can read.
Both are a statement and its signature (HMAC-SHA-256): no table of them is kept, and nodes that share the key take
each other's. What they say isn't secret to who bears them.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Literal

import msgspec

from tocsin.access.keys import KeyTable, generation_of
from tocsin.access.principal import Principal
from tocsin.access.rights import NOTHING, Patterns
from tocsin.errors import InvalidInput, Unauthorized

MAX_LIFE_S = 24 * 3600.0
"""What is given out lasts so long at most, however long its key or token does."""

MAX_BYTES = 3_500
"""Of one: browsers take cookies of 4,096 bytes with their names and attributes, and proxies addresses of 8 KiB."""

Use = Literal["ticket", "session"]


class Statement(msgspec.Struct, array_like=True, frozen=True):
    """What is signed.

    Attributes:
        use: what it is good for.
        name: of the principal.
        expires_at: Unix time.
        generation: which secret of an API key it was changed for; the rights are the key's own then. Empty if it was
            a token, whose rights follow.
    """

    use: Use
    name: str
    expires_at: float
    generation: str = ""
    subscribe: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    end: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(Statement).decode


class Tickets:
    """Gives them out, and reads them.

    Args:
        secret: they are signed with it.
        clock: Unix time in seconds.
    """

    def __init__(self, secret: bytes, clock: Callable[[], float]) -> None:
        self._secret = secret
        self._clock = clock

    def issue(self, use: Use, principal: Principal) -> tuple[str, float]:
        """One for `principal`, and the Unix time at which it ends.

        Raises:
            InvalidInput: its rights are too many to be carried along.
        """
        expires_at = min(principal.expires_at, self._clock() + MAX_LIFE_S)
        origin = principal.source or principal
        if origin.digest:
            statement = Statement(use, origin.name, expires_at, generation_of(origin))
        else:
            is_session = use == "session"
            statement = Statement(
                use,
                principal.name,
                expires_at,
                "",
                tuple(sorted(principal.subscribe.texts)),
                tuple(sorted(principal.publish.texts)) if is_session else (),
                tuple(sorted(principal.end.texts)) if is_session else (),
            )
        said = _encoded(msgspec.json.encode(statement))
        text = f"{said}.{self._signature(said)}"
        if len(text) > MAX_BYTES:
            raise InvalidInput(
                f"the rights of this token are too many for a {use}: {len(text)} bytes of at most {MAX_BYTES};"
                " name them by prefixes",
                code="too_many_rights",
            )
        return text, expires_at

    def read(self, use: Use, text: str, keys: KeyTable) -> Principal:
        """Who bears `text`, which was given out as `use`.

        Raises:
            Unauthorized: it is none, it has ended, or its key is no more.
        """
        said, _, signature = text.partition(".")
        # Signed over the text as it came: of two spellings of the same bytes only ours is taken.
        if not text.isascii() or not hmac.compare_digest(signature, self._signature(said)):
            raise Unauthorized(f"the {use} is not valid: ask for a new one", reason="invalid")
        statement = _decode(_decoded(said))
        if statement.use != use:
            raise Unauthorized(f"the {use} is not valid: ask for a new one", reason="invalid")
        if statement.expires_at <= self._clock():
            raise Unauthorized(f"the {use} has expired: ask for a new one", reason="expired")
        return self._principal(statement, keys)

    def _principal(self, statement: Statement, keys: KeyTable) -> Principal:
        is_session = statement.use == "session"
        if not statement.generation:
            return Principal(
                name=statement.name,
                subscribe=Patterns(statement.subscribe),
                publish=Patterns(statement.publish),
                end=Patterns(statement.end),
                expires_at=statement.expires_at,
            )
        key = keys.find_key(statement.name, statement.generation)
        if key is None:
            raise Unauthorized(f"the key of this {statement.use} was revoked", reason="unknown")
        return Principal(
            name=key.name,
            subscribe=key.subscribe,
            publish=key.publish if is_session else NOTHING,
            end=key.end if is_session else NOTHING,
            expires_at=min(statement.expires_at, key.expires_at),
            source=key,
        )

    def _signature(self, said: str) -> str:
        return _encoded(hmac.digest(self._secret, said.encode(), "sha256"))


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """What `_encoded` made `text` of; it is signed, so it is."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise AssertionError("a signed text that was never encoded") from None
