"""One connection to Redis, of one user at a time. Whatever isn't a whole answer ends it.

An answer that came too late, to a read that was given up, would be taken for the next one's. So a timeout
or a cancellation drops the connection, and the next command opens a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from tocsin.eventlog.journal.redis.address import Address
from tocsin.eventlog.journal.redis.script import SOURCES

REFUSALS = (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
)
"""Errors with which Redis refuses a script before it runs, where redis-py has a class for them."""

OTHER_REFUSALS = ("BUSY ", "MISCONF ", "NOREPLICAS ")
"""How the others begin."""


class RedisFault(Exception):
    """Redis didn't do what it was asked to. The message is for people, and holds no secret.

    Attributes:
        is_unknown: whether it may have been done all the same.
        is_full: whether it is refused for want of memory.
    """

    def __init__(self, message: str, *, is_unknown: bool = False, is_full: bool = False) -> None:
        super().__init__(message)
        self.is_unknown = is_unknown
        self.is_full = is_full


class Link:
    """A connection that is opened by its first command, and again after each fault.

    Args:
        address: of the server.
        username, password: how to log in; empty does without.
        timeout_s: how long an answer may take, and how long connecting.

    Attributes:
        info: what the server said of itself when the connection was opened; empty without one.
    """

    def __init__(self, address: Address, username: str, password: str, timeout_s: float) -> None:
        self.address = address
        self.info: Mapping[str, str] = {}
        self._make = _maker(address, username, password)
        self._timeout_s = timeout_s
        self._connection: Connection | None = None
        self._scripts: Mapping[str, str] = {}

    @property
    def run(self) -> str:
        """Which run of which server this is: another one after each restart and each failover."""
        return self.info.get("run_id", "")

    async def open(self) -> None:
        """Connect, unless it is.

        Raises:
            RedisFault: it can't be reached, or refuses.
        """
        if self._connection and await self._connection.can_read():
            await (
                self.close()
            )  # nothing was asked: Redis closed it, and what is sent there may be lost
        if self._connection:
            return
        connection = self._make()
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has none there
                self._connection = connection
                await self._greet()
        except BaseException as error:
            self._connection = connection
            await self.close()
            if isinstance(error, (RedisError, TimeoutError)):
                raise RedisFault(self._words(error)) from None
            raise

    async def _greet(self) -> None:
        """Ask the server for what it says of itself, and load the scripts."""
        self.info = _read_info(await self._exchange("INFO"))
        loaded = [await self._exchange("SCRIPT", "LOAD", source) for source in SOURCES.values()]
        self._scripts = dict(zip(SOURCES, map(bytes.decode, loaded), strict=True))

    async def ask(self, *command: bytes | str | int) -> Any:
        """The answer to one command, as Redis sends it: bytes, numbers, lists of them, None.

        Raises:
            RedisFault: there is none. Its outcome is unknown if the command was sent, and not refused.
        """
        await self.open()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(*command)
        except (RedisError, TimeoutError) as error:
            await self.close()
            raise RedisFault(
                self._words(error),
                is_unknown=not _is_refusal(error),
                is_full=isinstance(error, OutOfMemoryError),
            ) from None
        except BaseException:
            await self.close()
            raise

    async def run_script(self, name: str, *arguments: bytes | str | int) -> Any:
        """The answer of the script of `SOURCES` with that name, as for `ask`."""
        await self.open()
        return await self.ask("EVALSHA", self._scripts[name], *arguments)

    async def close(self) -> None:
        """Drop the connection; never fails."""
        connection, self._connection = self._connection, None
        self.info = {}
        if connection:
            await connection.disconnect(nowait=True)

    async def _exchange(self, *command: bytes | str | int) -> Any:
        assert self._connection
        await self._connection.send_command(*command)
        return await self._connection.read_response()

    def _words(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"Redis at {self.address} doesn't answer within {self._timeout_s:g} s"
        return f"Redis at {self.address}: {error}"

    def __repr__(self) -> str:
        return f"Link({self.address}, {'open' if self._connection else 'closed'})"


def _maker(address: Address, username: str, password: str) -> Callable[[], Connection]:
    kind = SSLConnection if address.is_tls else Connection

    def make() -> Connection:
        return kind(
            host=address.host,
            port=address.port,
            db=address.database,
            username=username or None,
            password=password or None,
            protocol=2,
            # Redis-py's own timeouts make a task for each command, which on Python 3.11 may swallow a cancellation.
            socket_timeout=None,
            socket_connect_timeout=None,
            socket_keepalive=True,
            client_name="tocsin",
            driver_info=None,
        )

    return make


def _read_info(text: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _is_refusal(error: Exception) -> bool:
    """Whether Redis says by `error` that it did nothing."""
    if isinstance(error, REFUSALS):
        return True
    return isinstance(error, ResponseError) and str(error).startswith(OTHER_REFUSALS)
