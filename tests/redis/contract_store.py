"""The journal in Redis as the contract of all journals sees it: each store is a log of its own in one Redis."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress

from msgspec.structs import replace

from tests.redis.nodes import LIMITS
from tests.redis_process import RedisProcess
from tocsin.core.event import Draft
from tocsin.eventlog.journal import Append, Tell
from tocsin.eventlog.journal.redis.address import parse_address
from tocsin.eventlog.journal.redis.journal import RedisJournal
from tocsin.eventlog.journal.redis.script import Head, Keys, encode_drafts
from tocsin.eventlog.journal.redis.store import Store

ENDED_TOPICS = 3
"""That journals of the contract remember."""

_numbers = itertools.count(1)


class SharedRedis:
    """Started by the first test that needs it."""

    def __init__(self) -> None:
        self._process: RedisProcess | None = None

    def __call__(self) -> RedisProcess:
        self._process = self._process or RedisProcess()
        return self._process

    def close(self) -> None:
        if self._process:
            self._process.close()
        self._process = None


SHARED = SharedRedis()


class KillableJournal(RedisJournal):
    """Tells nobody anything any more, once it is killed."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, remembered_evictions=1_000, look_s=0.1)
        self._is_killed = False

    def append(self, appends: Sequence[Append], tell: Tell) -> None:
        super().append(appends, lambda result: None if self._is_killed else tell(result))

    async def kill(self) -> None:
        """End as the process would, in the middle of anything."""
        self._is_killed = True
        tasks = [task for task in (self._follower, self._appends._sender) if task]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self._appends.close()
        await self.tail.link.close()


class RedisStore:
    """`redis:`. What breaks a Redis down is in tests/redis."""

    is_durable = has_resets = True
    has_outages = False

    def __init__(self) -> None:
        self._prefix = f"contract-{next(_numbers)}"
        self._journal: KillableJournal | None = None

    def open(self) -> KillableJournal:
        self._journal = KillableJournal(self._store())
        return self._journal

    async def crash(self, *, committed: Sequence[Draft] = ()) -> None:
        assert self._journal
        await self._journal.kill()
        store = self._store()
        link = store.link(5)
        state = await store.look(link, Head())
        if committed:
            records = [encode_drafts(committed)]
            await store.append(link, Head(state.head), [Append(committed)], records)
        await link.close()

    def break_down(self, reason: str) -> None:
        pass

    def begin_epoch(self) -> None:
        SHARED().ask("DEL", *Keys(self._prefix).all)

    def _store(self) -> Store:
        limits = replace(LIMITS, ended_topics=ENDED_TOPICS)
        return Store(parse_address(SHARED().url), "", "", Keys(self._prefix), limits)
