"""The keys that sign tokens: one of the settings, or a key set in a file or at an address, read anew now and then.

A set at an address is fetched while the loop goes on, and never by two at once. Tokens that name an unknown key have it
fetched early, as keys are changed without notice, but not more often than `LEAST_S`: else whoever sends tokens of
invented keys would have the hub ask for them without end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from tornado.simple_httpclient import SimpleAsyncHTTPClient

from tocsin.access.tokens import VerifyingKey, keys_of_set
from tocsin.errors import SettingsError

LEAST_S = 10.0
"""Between two fetches that unknown keys cause, or that failed."""

FETCH_S = 5.0
"""How long one may take."""

MAX_SET_BYTES = 1024 * 1024

log = logging.getLogger("tocsin.auth")


class KeySet:
    """Keys by their `kid`.

    Args:
        fixed: keys that don't change.
        location: path or address of a key set; empty if there is none.
        algorithms: that its keys may be for; empty takes what each is made for.
        refresh_s: how old the set may get.
        clock: seconds that never go back.
        on_change: called when other keys were read.

    Attributes:
        is_loaded: whether the set was ever read; so it is where there is none.
        is_remote: whether it is fetched over the network.

    Raises:
        SettingsError: the file can't be read, or holds no key set.
    """

    def __init__(
        self,
        fixed: Sequence[VerifyingKey],
        location: str,
        algorithms: Sequence[str],
        refresh_s: float,
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self._fixed = list(fixed)
        self._location = location
        self.is_remote = "://" in location
        self._algorithms = algorithms
        self._refresh_s = refresh_s
        self._clock = clock
        self._on_change = on_change
        self._content = b""
        self._keys: dict[str, list[VerifyingKey]] = {}
        self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self.is_loaded = not location
        if location and not self.is_remote:
            self._take(read_set(location), loud=True)

    def find(self, kid: str) -> list[VerifyingKey]:
        """The keys that may have signed a token that names `kid`, which may be empty."""
        self.refresh_if_old()
        if kid:
            return self._keys.get(kid, []) + self._fixed
        return [key for keys in self._keys.values() for key in keys] + self._fixed

    def may_learn(self, kid: str) -> bool:
        """Whether `kid` isn't known, and a look at the set now could bring it."""
        if not self.is_remote or (kid in self._keys if kid else self.is_loaded):
            return False
        return self._fetching is not None or self._clock() - self._tried_at >= LEAST_S

    async def learn(self) -> None:
        """Read the set anew, or wait for who does so already; nothing where that was just done. What fails is logged."""
        if self._fetching is None and self._clock() - self._tried_at >= LEAST_S:
            self._begin()
        if self._fetching is not None:
            await asyncio.shield(self._fetching)

    async def reload(self) -> None:
        """Read a file anew; a broken one leaves the keys as they are."""
        if not self._location:
            return
        if self.is_remote:
            if self._fetching is None:
                self._begin()
            await self.learn()
            return
        try:
            self._take(await asyncio.to_thread(read_set, self._location), loud=True)
        except SettingsError as error:
            log.error("the key set stays as it was", extra={"error": str(error)})

    def refresh_if_old(self) -> None:
        """Begin to read the set anew where it is due; to be called with each token, those that are known too."""
        if self.is_remote and not self._fetching and self._is_old:
            self._begin()

    @property
    def _is_old(self) -> bool:
        return self._clock() - self._tried_at >= (self._refresh_s if self.is_loaded else LEAST_S)

    def _begin(self) -> None:
        self._tried_at = self._clock()
        self._fetching = asyncio.ensure_future(self._fetch())

    async def _fetch(self) -> None:
        try:
            self._take(await fetch_set(self._location), loud=False)
        except (
            Exception
        ) as error:  # whatever a stranger's server does, the keys that are known stay
            shown = {"host": urlsplit(self._location).hostname, "error": type(error).__name__}
            log.error("the key set could not be fetched; its keys stay", extra=shown)
        finally:
            self._fetching = None

    def _take(self, content: bytes, *, loud: bool) -> None:
        try:
            keys = keys_of_set(content, self._algorithms)
        except ValueError as error:
            if loud:
                raise SettingsError(f"jwt_jwks: {self._location}: {error}") from None
            raise
        found: dict[str, list[VerifyingKey]] = {}
        for key in keys:
            found.setdefault(key.kid, []).append(key)
        self._keys = found
        self.is_loaded = True
        if content != self._content:
            self._content = content
            self._on_change()


def read_set(path: str) -> bytes:
    """The content of the file at `path`.

    Raises:
        SettingsError: it can't be read, or is too large.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_SET_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"jwt_jwks: {path}: {error.strerror}") from None
    if len(content) > MAX_SET_BYTES:
        raise SettingsError(f"jwt_jwks: {path}: allowed: at most {MAX_SET_BYTES} bytes")
    return content


async def fetch_set(url: str) -> bytes:
    """What is at `url`. Redirects aren't followed: keys are taken from where the operator said, and from nowhere else.

    Raises:
        Exception: it can't be had.
    """
    client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=MAX_SET_BYTES)
    try:
        answer = await client.fetch(
            url,
            headers={"Accept": "application/json"},
            connect_timeout=FETCH_S,
            request_timeout=FETCH_S,
            follow_redirects=False,
            decompress_response=False,
        )
    finally:
        client.close()
    return answer.body
