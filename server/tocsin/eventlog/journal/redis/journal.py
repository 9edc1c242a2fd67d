"""The journal in Redis: many hubs append to one log, and each delivers all of it, in the log's order.

`appends` brings events in, `tail` brings them out, `history` reads what is older; `log.lua` is what changes the log.
`nodes` says who else has clients.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from tocsin.core.record import RecordError
from tocsin.errors import SettingsError, Unavailable
from tocsin.eventlog.journal.base import (
    Append,
    Deliver,
    Figures,
    Opening,
    Reset,
    Tell,
    Window,
)
from tocsin.eventlog.journal.redis.address import parse_address
from tocsin.eventlog.journal.redis.appends import Appends, full
from tocsin.eventlog.journal.redis.checks import check_server
from tocsin.eventlog.journal.redis.history import RedisHistory
from tocsin.eventlog.journal.redis.link import RedisFault
from tocsin.eventlog.journal.redis.nodes import RedisNodes
from tocsin.eventlog.journal.redis.script import Keys, Limits, UnusableLog
from tocsin.eventlog.journal.redis.store import Store
from tocsin.eventlog.journal.redis.tail import LOOK_S, Tail
from tocsin.settings import Settings

STOP_S = 5.0
"""So long a stop waits for appends that are under way."""

log = logging.getLogger("tocsin")


def open_redis(settings: Settings) -> RedisJournal:
    """The journal at the address that `settings` name; it connects when it is started.

    Raises:
        SettingsError: the address is malformed.
    """
    limits = Limits(
        settings.history_events,
        settings.history_bytes,
        settings.history_age,
        settings.idempotency_window,
        settings.idempotency_keys,
        settings.ended_topics,
    )
    store = Store(
        parse_address(settings.journal),
        settings.redis_username,
        settings.redis_password,
        Keys(settings.redis_prefix),
        limits,
    )
    return RedisJournal(store, settings.remembered_evictions)


class RedisJournal:
    """One node's end of the log in Redis.

    Args:
        store: where the log is.
        remembered_evictions: pairs of topic and type of which it is known what left the log last.
        look_s: seconds between two looks at the log, which also trim it.

    Attributes:
        history: what Redis keeps.
        nodes: the other ones, as they last said.
        tail: what this node reads; for tests and figures.
    """

    def __init__(self, store: Store, remembered_evictions: int, look_s: float = LOOK_S) -> None:
        self.history = RedisHistory(store, remembered_evictions)
        self.tail = Tail(store, self.history, self._follow_tail, look_s)
        self.nodes = RedisNodes(store)
        self._store = store
        self._appends = Appends(store, lambda: self.tail.head)
        self._follower: asyncio.Task[None] | None = None

    @property
    def status(self) -> str:
        """Empty while an append would be tried, else why not."""
        return self.tail.fault

    @property
    def figures(self) -> Figures:
        """How this node's end of the log is."""
        tail = self.tail
        return Figures(
            reconnects=tail.reconnects, tail_lag_events=tail.lag_events, tail_age_s=tail.age_s
        )

    async def start(self, deliver: Deliver, reset: Reset, window: Window) -> Opening:
        """Connect, check the server, and load the newest events.

        Raises:
            SettingsError: Redis can't be reached, refuses, or holds what this version can't read.
        """
        tail = self.tail
        try:
            await tail.link.open()
            for warning in check_server(self._store.address, tail.link.info):
                log.warning("%s", warning)
            opening = await tail.open(deliver, reset, window)
            await self.nodes.start()
        except (RedisFault, UnusableLog, RecordError) as error:
            await tail.link.close()
            raise SettingsError(f"journal: {error}") from None
        except BaseException:
            await tail.link.close()
            raise
        self._follower = asyncio.create_task(tail.follow())
        return opening

    def append(self, appends: Sequence[Append], tell: Tell) -> None:
        """Append these in one step; told when this node has delivered them.

        Raises:
            Unavailable: nothing was appended. Where it is told, its code may be ``unknown_outcome``.
        """
        if self.tail.is_full:
            raise full(self.status)
        if self.status:
            raise Unavailable(self.status, code="journal_down", retry_after_s=2)
        self._appends.add(appends, tell)

    async def stop(self) -> None:
        """Append and deliver what is under way, as far as that takes no longer than `STOP_S`; disconnect."""
        if self._follower is None:
            return
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._appends.finish()
        finally:
            await self._close(self._follower)

    async def _close(self, follower: asyncio.Task[None]) -> None:
        """Disconnect, and let nobody wait for an answer any more."""
        follower.cancel()
        with suppress(asyncio.CancelledError):
            await follower
        self._follower = None
        self.tail.fault = "the journal is not started"
        await self.nodes.stop()
        await self._appends.close()
        await self.history.close()
        await self.tail.link.close()

    def _follow_tail(self) -> None:
        if self.tail.fault:
            self._appends.distrust_link()
        self._appends.settle()

    def __repr__(self) -> str:
        return f"RedisJournal({self._store.address}, {self.tail!r})"
