"""What a request shows to say who sends it: a key or token, or a function that has a fresh one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable

Token = str | Callable[[], str]
"""An API key or token; or what is asked for one before each request, so that it may end and be renewed."""

AsyncToken = Token | Callable[[], Awaitable[str]]

_IN_A_HEADER = re.compile(r"[!-~]+")


def token_of(token: Token | None) -> str:
    """The token to send now; empty is none."""
    return token() if callable(token) else token or ""


async def async_token_of(token: AsyncToken | None) -> str:
    """The same for a function that may be a coroutine's."""
    if not callable(token):
        return token or ""
    given = token()
    return await given if inspect.isawaitable(given) else given


def authorization(token: str) -> dict[str, str]:
    """The header field for `token`, none for an empty one.

    Raises:
        ValueError: it can't stand in a header. The text doesn't show it.
    """
    if not token:
        return {}
    if not _IN_A_HEADER.fullmatch(token):
        raise ValueError("token: allowed: printable ASCII characters without a space")
    return {"Authorization": f"Bearer {token}"}
