"""A publisher who comes again with a key is told the ids of the first time, also when another log has begun since."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from redis import Redis

from tests.redis.nodes import LIMITS, Node, nodes
from tests.redis_process import RedisProcess
from tocsin.core.event import EventId
from tocsin.errors import KeyReused
from tocsin.eventlog.journal.base import Committed, Once

KEY = Once("me", "k-1", b"\0\n" * 8)


async def test_retry_after_the_log_went_back_is_told_the_ids_of_the_log_before(
    shared_redis: RedisProcess, prefix: str
) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        await node.append(*"abcdefgh")
        first = await node.append("i", "j", once=KEY)
        assert isinstance(first, Committed)
        for texts in ("", "k"):
            await _go_back(node)
            if texts:
                await node.append(texts)
            # At once, though the new log has no event of such a number.
            async with asyncio.timeout(2):
                again = await node.append("i", "j", once=KEY)
            assert again == replace(first, is_duplicate=True)
            assert node.texts() == list(texts)
            # Where an older Tocsin looks: it would give the number in the new log.
            assert shared_redis.ask("HLEN", f"{{{prefix}}}:once") == b":0\r\n"


async def test_retry_in_one_turn_with_new_events_is_told_with_them(
    shared_redis: RedisProcess, prefix: str
) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        first = await node.append("a", once=KEY)
        await _go_back(node)
        again, new = await asyncio.gather(node.append("a", once=KEY), node.append("b"))
        assert again == replace(first, is_duplicate=True)  # type: ignore[type-var]
        assert isinstance(new, Committed)
        assert new.ids == [EventId(node.head.epoch, 1)]


async def test_key_of_the_log_before_is_refused_with_other_content(
    shared_redis: RedisProcess, prefix: str
) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        await node.append("a", once=KEY)
        await _go_back(node)
        refused = await node.append("b", once=replace(KEY, digest=b"e" * 16))
        assert isinstance(refused, KeyReused)


async def test_key_of_the_log_before_is_forgotten_by_age(
    shared_redis: RedisProcess, prefix: str
) -> None:
    limits = replace(LIMITS, once_window_s=0.3)
    async with nodes(shared_redis, prefix=prefix, limits=limits) as (node,):
        await node.append("a", once=KEY)
        await _go_back(node)
        assert shared_redis.ask("HLEN", f"{{{prefix}}}:once-before") == b":1\r\n"
        await asyncio.sleep(0.3)
        again = await node.append("a", once=KEY)
        assert isinstance(again, Committed)
        assert not again.is_duplicate
        await node.until(
            lambda: shared_redis.ask("EXISTS", f"{{{prefix}}}:once-before") == b":0\r\n"
        )


async def test_keys_of_many_logs_are_forgotten_by_number(
    shared_redis: RedisProcess, prefix: str
) -> None:
    limits = replace(LIMITS, once_keys=2)
    async with nodes(shared_redis, prefix=prefix, limits=limits) as (node,):
        for key in "abc":
            await node.append(key, once=replace(KEY, key=key))
            await _go_back(node)
        assert shared_redis.ask("HLEN", f"{{{prefix}}}:once-before") == b":1\r\n"
        outcomes = [await node.append(key, once=replace(KEY, key=key)) for key in "ca"]
        assert [isinstance(o, Committed) and o.is_duplicate for o in outcomes] == [True, False]


@pytest.mark.parametrize(("count", "kept"), [(100_000, 100_000), (300_001, 0)])
async def test_so_many_keys_are_kept_as_redis_copies_without_standing_still(
    redis: RedisProcess, count: int, kept: int
) -> None:
    async with nodes(redis, limits=replace(LIMITS, once_keys=10**6)) as (node,):
        await node.append("a", once=KEY)
        with Redis(port=redis.port) as client:
            record = client.hget("{tocsin}:once", "2:mek-1")
            client.hset("{tocsin}:once", mapping={f"2:me{n}": record for n in range(count - 1)})
        await _go_back(node)
        again = await node.append("a", once=replace(KEY, key=f"{count - 2}"))
        assert isinstance(again, Committed)
        assert again.is_duplicate == (kept > 0)
        assert redis.ask("HLEN", "{tocsin}:once-before") == b":%d\r\n" % kept


@pytest.mark.parametrize("text", ["", "x", "1 1", "a b c d"])
async def test_record_of_a_key_that_nobody_can_read_is_none(
    shared_redis: RedisProcess, prefix: str, text: str
) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        shared_redis.ask("HSET", f"{{{prefix}}}:once", "2:mek-1", text)
        shared_redis.ask("RPUSH", f"{{{prefix}}}:once-order", text)
        outcome = await node.append("a", once=KEY)
        assert isinstance(outcome, Committed)
        assert not outcome.is_duplicate
        assert await node.append("a", once=KEY) == replace(outcome, is_duplicate=True)


async def _go_back(node: Node) -> None:
    """Let the node find another event where it had read one, as where the log went back and grew."""
    epoch = node.head.epoch
    node.journal.tail.head = replace(node.journal.tail.head, time=1)
    if not node.log:  # there is none: it has read further than there is
        node.journal.tail.head = replace(node.journal.tail.head, id=EventId(epoch, 1))
    await node.until(lambda: node.head.epoch > epoch)
