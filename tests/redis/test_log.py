"""The log in Redis while nothing goes wrong: order, idempotency keys, limits."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from tests.eventlog.appended import appended
from tests.redis.nodes import LIMITS, nodes
from tests.redis_process import RedisProcess
from tocsin.core.event import Draft
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.errors import KeyReused
from tocsin.eventlog.journal.base import Append, Committed, Once

KEY = Once("me", "k-1", b"d" * 16)


async def test_nodes_deliver_one_order(shared_redis: RedisProcess, prefix: str) -> None:
    async with nodes(shared_redis, 3, prefix=prefix) as all_nodes:
        appends = [node.append(f"{n}", f"{n}'") for n in range(100) for node in all_nodes]
        await asyncio.gather(*appends)
        first, *others = all_nodes
        await first.until(lambda: all(len(node.log) == 600 for node in all_nodes))
        assert all(node.log == first.log for node in others)


async def test_appends_of_one_turn_are_one_call(shared_redis: RedisProcess, prefix: str) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        group = [Append([Draft("tick", b"a")]), Append([Draft("tick", b"b"), Draft("tick", b"c")])]
        first, second = await appended(node.journal, group)
        assert isinstance(first, Committed)
        assert isinstance(second, Committed)
        assert [id.seq for id in (*first.ids, *second.ids)] == [1, 2, 3]
        assert len({event.time for event in node.log}) == 1


async def test_appending_nothing_commits_nothing(shared_redis: RedisProcess, prefix: str) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        assert await appended(node.journal, [Append([])]) == [Committed(())]
        assert await appended(node.journal, []) == []


async def test_second_append_under_a_key_gives_the_ids_of_the_first_on_every_node(
    shared_redis: RedisProcess, prefix: str
) -> None:
    async with nodes(shared_redis, 2, prefix=prefix) as (one, other):
        first = await one.append("a", "b", once=KEY)
        again = await other.append("a", "b", once=KEY)
        assert isinstance(first, Committed)
        assert again == replace(first, is_duplicate=True)
        assert other.texts() == ["a", "b"]


async def test_ten_appends_at_once_under_one_key_are_one_event(
    shared_redis: RedisProcess, prefix: str
) -> None:
    async with nodes(shared_redis, 2, prefix=prefix) as both:
        outcomes = await asyncio.gather(*[both[n % 2].append("a", once=KEY) for n in range(10)])
        assert [o.is_duplicate for o in outcomes if isinstance(o, Committed)].count(False) == 1
        assert both[0].texts() == both[1].texts() == ["a"]


async def test_key_with_other_content_is_refused(shared_redis: RedisProcess, prefix: str) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        await node.append("a", once=KEY)
        refused = await node.append("b", once=replace(KEY, digest=b"e" * 16))
        assert isinstance(refused, KeyReused)
        assert (refused.status, refused.code) == (409, "key_reused")
        assert isinstance(await node.append("b", once=replace(KEY, scope="you")), Committed)
        assert node.texts() == ["a", "b"]


async def test_scope_and_key_are_kept_apart(shared_redis: RedisProcess, prefix: str) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        for scope, key in (("a", "bc"), ("ab", "c"), ("", "abc"), ("1:a", "b")):
            outcome = await node.append("x", once=Once(scope, key, b"d" * 16))
            assert isinstance(outcome, Committed)
            assert not outcome.is_duplicate


async def test_keys_are_forgotten_by_number(shared_redis: RedisProcess, prefix: str) -> None:
    limits = replace(LIMITS, once_keys=2)
    async with nodes(shared_redis, prefix=prefix, limits=limits) as (node,):
        for key in "abc":
            await node.append(key, once=replace(KEY, key=key))
        again = [await node.append(key, once=replace(KEY, key=key)) for key in "cba"]
        assert [isinstance(o, Committed) and o.is_duplicate for o in again] == [True, True, False]


async def test_keys_are_forgotten_by_age(shared_redis: RedisProcess, prefix: str) -> None:
    limits = replace(LIMITS, once_window_s=0.05)
    async with nodes(shared_redis, prefix=prefix, limits=limits) as (node,):
        await node.append("a", once=KEY)
        await asyncio.sleep(0.06)
        await node.append("a", once=KEY)
        assert node.texts() == ["a", "a"]
        assert shared_redis.ask("HLEN", f"{{{prefix}}}:once") == b":1\r\n"
        await asyncio.sleep(0.06)
        await node.until(lambda: shared_redis.ask("LLEN", f"{{{prefix}}}:once-order") == b":0\r\n")
        assert shared_redis.ask("HLEN", f"{{{prefix}}}:once") == b":0\r\n"


async def test_log_is_trimmed_by_number(shared_redis: RedisProcess, prefix: str) -> None:
    async with nodes(shared_redis, prefix=prefix, limits=replace(LIMITS, events=10)) as (node,):
        for n in range(30):
            await node.append(f"{n}")
        await node.until(lambda: node.journal.history.events <= 10)
        assert shared_redis.ask("XLEN", f"{{{prefix}}}:events") == b":10\r\n"
        assert node.journal.history.floor == 20


async def test_log_is_trimmed_by_bytes(shared_redis: RedisProcess, prefix: str) -> None:
    limits = replace(LIMITS, bytes=10_000)
    async with nodes(shared_redis, prefix=prefix, limits=limits) as (node,):
        for n in range(60):
            await node.append("x" * (10 * n))
        await node.until(lambda: node.journal.history.floor)
        history = node.journal.history
        assert 9_000 < history.bytes <= 10_100
        page = await history.read(0, EVERYTHING, max_events=100, max_bytes=10**6)
        assert len(page.events) == history.events


async def test_log_is_trimmed_by_age(shared_redis: RedisProcess, prefix: str) -> None:
    limits = replace(LIMITS, age_s=0.5)
    async with nodes(shared_redis, prefix=prefix, limits=limits) as (node,):
        await node.append("a", "b")
        await asyncio.sleep(0.6)
        await node.append("c")
        await node.until(lambda: node.journal.history.floor == 2)
        await node.until(lambda: node.journal.history.floor == 3)
        assert node.journal.history.oldest_time is None
        assert not node.resets
        outcome = await node.append("d")
        assert isinstance(outcome, Committed)
        assert outcome.ids[0].seq == 4


async def test_batch_larger_than_the_history_is_delivered_whole(
    shared_redis: RedisProcess, prefix: str
) -> None:
    async with nodes(shared_redis, 2, prefix=prefix, limits=replace(LIMITS, events=5)) as both:
        await both[0].append(*[f"{n}" for n in range(20)])
        await both[1].until(lambda: len(both[1].log) == 20)
        await both[0].until(lambda: both[0].journal.history.events == 5)


async def test_log_that_somebody_trimmed_by_hand_goes_on(
    shared_redis: RedisProcess, prefix: str
) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        await node.append("a", "b", "c", "d")
        shared_redis.ask("XTRIM", f"{{{prefix}}}:events", "MAXLEN", "1")
        await node.append("e")
        await node.until(lambda: node.journal.history.floor == 3)
        assert (node.head.seq, node.resets) == (5, [])


async def test_look_at_a_log_that_has_not_changed_writes_nothing(
    shared_redis: RedisProcess, prefix: str
) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        await node.append("a")
        history = node.journal.history
        await node.until(lambda: history.oldest_time)
        before = shared_redis.ask("INFO", "persistence").partition(b"aof_current_size:")[2]
        history.oldest_time = None
        await node.until(lambda: history.oldest_time)
        after = shared_redis.ask("INFO", "persistence").partition(b"aof_current_size:")[2]
        assert before.split()[0] == after.split()[0]


async def test_entry_that_somebody_deleted_by_hand_stops_nothing(
    shared_redis: RedisProcess, prefix: str
) -> None:
    limits = replace(LIMITS, age_s=0.3, bytes=1_000)
    async with nodes(shared_redis, prefix=prefix, limits=limits) as (node,):
        outcome = await node.append(*"abcdef")
        assert isinstance(outcome, Committed)
        shared_redis.ask("XDEL", f"{{{prefix}}}:events", str(outcome.ids[2]))
        await asyncio.sleep(0.3)
        await node.append("g")
        await node.until(lambda: node.journal.history.events == 0)
        await node.append("h")
        assert node.texts()[-1] == "h"


async def test_what_left_the_log_is_known_by_topic(shared_redis: RedisProcess, prefix: str) -> None:
    async with nodes(shared_redis, prefix=prefix, limits=replace(LIMITS, events=5)) as (node,):
        await node.append("a", topic="quiet")
        for n in range(10):
            await node.append(f"{n}", topic="busy")
        await node.until(lambda: node.journal.history.floor == 6)
        history = node.journal.history
        assert history.has_lost(0, Filter(["quiet"]))
        assert not history.has_lost(1, Filter(["quiet"]))
        assert history.has_lost(5, Filter(["busy"]))
        assert not history.has_lost(6, EVERYTHING)


async def test_restart_goes_on_with_the_same_log(shared_redis: RedisProcess, prefix: str) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        await node.append("a", "b")
        before = node.log
    async with nodes(shared_redis, prefix=prefix) as (node,):
        assert node.log == before
        await node.append("c")
        assert node.texts() == ["a", "b", "c"]


async def test_opening_holds_the_newest_that_fit_the_window(
    shared_redis: RedisProcess, prefix: str
) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        for n in range(8):
            await node.append(*[f"{n}-{m}" for m in range(100)])
    async with nodes(shared_redis, prefix=prefix, window=600) as (node,):
        assert (node.opening.floor.seq, len(node.opening.events)) == (200, 600)
        history = node.journal.history
        assert (history.floor, history.events) == (0, 800)
        page = await history.read(100, EVERYTHING, max_events=150, max_bytes=10**6)
        assert [event.id.seq for event in page.events] == list(range(101, 251))
        assert page.cursor == 250
        page = await history.read(100, Filter(["nothing"]), max_events=150, max_bytes=10**6)
        assert (page.events, page.cursor) == ([], 800)
        newest = await history.newest(EVERYTHING, 3, max_bytes=10**6, before=200)
        assert [event.id.seq for event in newest.events] == [197, 198, 199]
        newest = await history.newest(EVERYTHING, 1_000, max_bytes=1_000, before=200)
        assert 1 < len(newest.events) < 40
        assert newest.before == newest.events[0].id.seq


async def test_search_back_looks_at_some_pieces_and_says_how_far_it_came(
    shared_redis: RedisProcess, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.eventlog.journal.redis.history.SCAN_PIECES", 2)
    async with nodes(shared_redis, prefix=prefix) as (node,):
        await node.append("a", topic="rare")
        for _ in range(8):
            await node.append(*["x"] * 100)
        history, filter, before = node.journal.history, Filter(["rare"]), [802]
        while before[-1] > 1:
            page = await history.newest(filter, 9, max_bytes=10**6, before=before[-1])
            before.append(page.before)
        assert before == [802, 302, 1]
        assert [event.id.seq for event in page.events] == [1]


async def test_search_back_ends_where_all_before_has_left(
    shared_redis: RedisProcess, prefix: str
) -> None:
    async with nodes(shared_redis, prefix=prefix) as (node,):
        await node.append(*"abcdef")
        shared_redis.ask("XTRIM", f"{{{prefix}}}:events", "MAXLEN", "2")  # which no look has shown
        page = await node.journal.history.newest(EVERYTHING, 9, max_bytes=10**6, before=7)
        assert ([event.id.seq for event in page.events], page.before) == ([5, 6], 1)
        page = await node.journal.history.newest(EVERYTHING, 9, max_bytes=10**6, before=4)
        assert (page.events, page.before) == ([], 1)
