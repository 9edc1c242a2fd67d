"""The processes that share a log in Redis: how many clients each has, and whose client numbers are whose.

What is known of the others is what they last said, up to a second ago; a node that was killed counts for five more. All
of it is for people to read: nothing of the log depends on it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from importlib.resources import files

from tocsin.eventlog.journal.redis.link import RedisFault
from tocsin.eventlog.journal.redis.store import Store

REPORT_EVERY_S = 1.0

FORGOTTEN_AFTER_S = 5

TIMEOUT_S = 3.0

NUMBERS = 1_000_000_000
"""Client numbers of one process. In 2^53, which is what JavaScript counts exactly, nine million processes have some."""

_REPORT = files(__package__).joinpath("nodes.lua").read_text(encoding="utf-8")

log = logging.getLogger("tocsin")


class RedisNodes:
    """The present process among the others.

    Args:
        store: where the log is.

    Attributes:
        number_base: client numbers of this process come after it; no other process has the next billion.
        clients_elsewhere: open streams of the others, as they last said.
    """

    def __init__(self, store: Store) -> None:
        self.number_base = 0
        self.clients_elsewhere = 0
        self._link = store.link(TIMEOUT_S)
        self._keys = store.keys
        self._name = secrets.token_hex(8)
        self._clients = 0
        self._reporter: asyncio.Task[None] | None = None

    def report(self, clients: int) -> None:
        """Have the others told, within a second, that this process has so many open streams."""
        self._clients = clients

    async def start(self) -> None:
        """Take a number, and hear of the others.

        Raises:
            RedisFault: Redis gives none.
        """
        try:
            self.number_base = (
                int(await self._link.ask("INCR", self._keys.processes)) - 1
            ) * NUMBERS
            await self._tell("0")
        except BaseException:
            await self._link.close()
            raise
        self._reporter = asyncio.create_task(self._report_on())

    async def stop(self) -> None:
        """Tell the others that it has no clients any more, if Redis can be reached."""
        if self._reporter is None:
            return
        self._reporter.cancel()
        with suppress(asyncio.CancelledError):
            await self._reporter
        self._reporter = None
        with suppress(RedisFault):
            await self._tell("")
        await self._link.close()

    async def _report_on(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            try:
                await self._tell(str(self._clients))
            except RedisFault as error:  # the journal says so too, and louder
                log.debug("other nodes weren't told of the clients", extra={"why": str(error)})

    async def _tell(self, clients: str) -> None:
        keys = (2, self._keys.nodes, self._keys.processes)
        number = self.number_base // NUMBERS + 1
        answer = await self._link.ask(
            "EVAL", _REPORT, *keys, self._name, number, clients, FORGOTTEN_AFTER_S
        )
        self.clients_elsewhere = int(answer)
