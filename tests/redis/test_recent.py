"""State on connect, pages and long polls of hubs on one Redis, whose windows are short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.accounting import assert_conserved
from tests.http.test_history_route import page, seqs
from tests.hub.hubs import Client, drafts, running_as, settled
from tests.hub.test_recent_events import opening, publish
from tests.redis_process import RedisProcess
from tests.serving import eventually
from tocsin import Filter, Hub, Settings
from tocsin.eventlog.journal import open_journal
from tocsin.eventlog.recent import Recent

U = Filter(["u/*"])


@asynccontextmanager
async def hub_on(redis: RedisProcess, prefix: str, **changes: Any) -> AsyncIterator[Hub]:
    settings = Settings(
        journal=redis.url, redis_prefix=prefix, window_events=5, drain_timeout=0.2, **changes
    )
    async with running_as(settings, open_journal(settings)) as hub:
        yield hub


async def filled(hub: Hub) -> None:
    """Events 1 to 4 on `u/`, and more others than the window and one look hold."""
    await publish(hub, "u/1", "u/2", "u/1", "u/3,u/2")
    for _ in range(6):
        await hub.publish(*drafts(50, "chatter"))


@pytest.mark.parametrize(
    ("filter", "recent", "expected"),
    [
        (U, Recent(per_topic=1), [3, 4]),
        (U, Recent(per_topic=2), [1, 2, 3, 4]),
        (Filter(["u/2"]), Recent(per_topic=1), [4]),
        (U, Recent(last=3), [2, 3, 4]),
        (U, Recent(last=100), [1, 2, 3, 4]),
        (Filter(), Recent(last=8), [*range(297, 305)]),
    ],
)
async def test_new_stream_gets_its_state_from_redis_and_goes_on_live(
    shared_redis: RedisProcess, prefix: str, filter: Filter, recent: Recent, expected: list[int]
) -> None:
    async with hub_on(shared_redis, prefix) as hub:
        await filled(hub)
        client = Client(hub, filter, recent=recent)
        welcome, got = await opening(client)
        assert got == expected
        assert "truncated" not in welcome.json
        await publish(hub, "u/2")
        await settled(hub)
        assert client.ids() == [str(hub.head)]
        assert_conserved(hub)


async def test_event_far_behind_the_window_is_found(
    shared_redis: RedisProcess, prefix: str
) -> None:
    """Further than one call of the journal looks, which is 4,000 events."""
    async with hub_on(shared_redis, prefix) as hub:
        await publish(hub, "u/1")
        for _ in range(12):
            await hub.publish(*drafts(1_000, "noise"))
        for recent in Recent(last=1), Recent(per_topic=1):
            welcome, got = await opening(Client(hub, U, recent=recent))
            assert (got, "truncated" in welcome.json) == ([1], False)
        for query in ("topic=u/*", f"topic=u/*&before={hub.head}"):
            found = await page(hub, query)
            assert (seqs(found), found["more"], found.get("previous")) == ([1], False, None)


async def test_state_is_that_of_all_hubs(shared_redis: RedisProcess, prefix: str) -> None:
    async with hub_on(shared_redis, prefix) as one, hub_on(shared_redis, prefix) as other:
        await filled(one)
        await publish(other, "u/1")
        await eventually(lambda: one.ring.head == other.ring.head == 305)
        for hub in one, other:
            client = Client(hub, U, recent=Recent(per_topic=1))
            assert (await opening(client))[1] == [4, 305]
            client.end.close()
            await eventually(lambda hub=hub: not hub.streams)  # type: ignore[misc]
            assert seqs(await page(hub, "topic=u/*&last_per_topic=1")) == [4, 305]


async def test_long_poll_is_woken_by_what_another_hub_publishes(
    shared_redis: RedisProcess, prefix: str
) -> None:
    async with hub_on(shared_redis, prefix) as one, hub_on(shared_redis, prefix) as other:
        await filled(one)
        await eventually(lambda: other.ring.head == 304)
        found = await page(other, f"after={other.ring.id_at(2)}&topic=u/*&wait=60")
        assert (seqs(found), found["gap"]) == ([3, 4], None)
        waiting = asyncio.ensure_future(page(other, f"after={found['cursor']}&topic=u/*&wait=60"))
        await eventually(lambda: len(other.polls))
        await publish(one, "chatter", "u/9")
        assert seqs(await waiting) == [306]


async def test_long_poll_behind_an_id_that_only_another_hub_has_waits_for_it(
    shared_redis: RedisProcess, prefix: str
) -> None:
    async with hub_on(shared_redis, prefix) as one, hub_on(shared_redis, prefix) as other:
        await publish(one, "u/1")
        ahead = one.head  # `other` may not have come to it
        waiting = asyncio.ensure_future(page(other, f"after={ahead}&topic=u/*&wait=60"))
        await eventually(lambda: len(other.polls))
        await publish(one, "u/2")
        found = await waiting
        assert (seqs(found), found["gap"]) == ([2], None)
