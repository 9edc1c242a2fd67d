"""Redis is started again, and nobody or somebody was there: no id stands for two events, and no log ends for nothing."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redis.nodes import Node, ids_of_two, nodes
from tests.redis.proxy import proxy_to
from tests.redis_process import RedisProcess
from tocsin.eventlog.journal.redis import tail

ALWAYS = ("--appendfsync", "always")


@pytest.fixture
def careful_redis() -> Iterator[RedisProcess]:
    """One that answers when the disk has what it answers."""
    redis = RedisProcess(*ALWAYS)
    yield redis
    redis.close()


async def test_redis_that_lost_its_newest_while_no_hub_ran_begins_a_new_log(
    redis: RedisProcess, tmp_path: Path
) -> None:
    async with nodes(redis) as (before,):
        await before.append("a")
        shutil.copytree(redis.folder, tmp_path / "old")
        await before.append("b", "c")
    redis.kill()
    shutil.copytree(tmp_path / "old", redis.folder, dirs_exist_ok=True)
    redis.restart()
    async with nodes(redis) as (after,):
        assert after.texts() == ["a"]
        await _append_after_the_wait(after, "d")
        assert ids_of_two(before, after) == set()
        assert after.head.epoch > before.head.epoch
        assert len(after.resets) == 1


async def test_node_that_was_there_lets_the_log_go_on_also_for_one_that_was_not(
    redis: RedisProcess,
) -> None:
    async with proxy_to(redis.port) as proxy, nodes(redis, port=proxy.port) as (there,):
        await there.append("a")
        await _seen_by(redis, there)
        proxy.holds_answers = True
        redis.kill()
        redis.restart()
        async with nodes(redis) as (new,):
            await new.until(lambda: "two seconds" in new.journal.status)
            proxy.holds_answers = False
            await new.append_at_last("b")
            await there.until(lambda: there.texts() == ["a", "b"])
            assert there.resets == new.resets == []


async def test_two_restarts_within_two_seconds_end_no_log(redis: RedisProcess) -> None:
    async with nodes(redis) as (node,):
        await node.append("a")
        await _seen_by(redis, node)
        for _ in range(2):
            redis.kill()
            redis.restart()
            await node.until(lambda: "two seconds" in node.journal.status)
        await node.append_at_last("b")
        assert (node.texts(), node.resets) == (["a", "b"], [])


async def test_node_that_was_cut_off_long_before_redis_ended_says_nothing_for_its_log(
    redis: RedisProcess,
) -> None:
    async with proxy_to(redis.port) as proxy, nodes(redis, port=proxy.port) as (cut_off,):
        await cut_off.append("a")
        await _seen_by(redis, cut_off)
        proxy.turn_to(1)
        async with nodes(redis) as (other,):
            await other.append("b")
            await asyncio.sleep(2.2)
            await other.append("c")
        redis.kill()
        redis.restart()
        proxy.turn_to(redis.port)
        await cut_off.append_at_last("d")
        assert cut_off.head.epoch > other.head.epoch


async def test_redis_that_syncs_each_write_goes_on_while_no_hub_ran(
    careful_redis: RedisProcess,
) -> None:
    async with nodes(careful_redis) as (before,):
        await before.append("a")
    careful_redis.kill()
    careful_redis.restart()
    async with nodes(careful_redis) as (after,):
        await _append_after_the_wait(after, "b")
        assert (after.texts(), after.resets) == (["a", "b"], [])
        assert after.head.epoch == before.head.epoch


@pytest.mark.parametrize("fields", [("kept",), ("kept", "trusted", "run")])
async def test_backup_that_was_loaded_and_said_so_begins_a_new_log(
    careful_redis: RedisProcess, fields: tuple[str, ...]
) -> None:
    async with nodes(careful_redis) as (before,):
        await before.append("a")
    careful_redis.kill()
    careful_redis.restart()
    careful_redis.ask("HDEL", "{tocsin}:log", *fields)
    async with nodes(careful_redis) as (after,):
        await _append_after_the_wait(after, "b")
        assert after.head.epoch > before.head.epoch


async def test_redis_that_did_not_sync_each_write_before_its_restart_is_not_trusted(
    redis: RedisProcess,
) -> None:
    async with nodes(redis) as (before,):
        await before.append("a")
    redis.kill()
    careful = RedisProcess(*ALWAYS)
    try:
        careful.kill()
        shutil.copytree(redis.folder, careful.folder, dirs_exist_ok=True)
        careful.restart()
        async with nodes(careful) as (after,):
            await _append_after_the_wait(after, "b")
            assert after.head.epoch > before.head.epoch
    finally:
        careful.close()


async def test_replica_of_a_redis_that_syncs_each_write_may_lag_all_the_same(
    careful_redis: RedisProcess,
) -> None:
    async with nodes(careful_redis) as (before,):
        replica = RedisProcess(*ALWAYS, "--replicaof", "127.0.0.1", str(careful_redis.port))
        try:
            await before.append("a")
            await before.until(lambda: b"not " in careful_redis.ask("HGETALL", "{tocsin}:log"))
            await before.until(lambda: b"not " in replica.ask("HGETALL", "{tocsin}:log"))
            await before.journal.stop()
            careful_redis.kill()
            replica.ask("REPLICAOF", "NO", "ONE")
            async with nodes(replica) as (after,):
                await _append_after_the_wait(after, "b")
                assert after.head.epoch > before.head.epoch
        finally:
            replica.close()


async def test_user_that_may_not_ask_how_redis_syncs_gets_a_new_log(
    careful_redis: RedisProcess,
) -> None:
    rights = ("on", ">secret", "~*", "resetchannels", "+@all", "-config")
    careful_redis.ask("ACL", "SETUSER", "hub", *rights)
    before = Node(careful_redis.url, username="hub", password="secret")
    await before.start()
    await before.append("a")
    await before.journal.stop()
    careful_redis.kill()
    careful_redis.restart()
    careful_redis.ask("ACL", "SETUSER", "hub", *rights)
    after = Node(careful_redis.url, username="hub", password="secret")
    await after.start()
    await _append_after_the_wait(after, "b")
    await after.journal.stop()
    assert after.head.epoch > before.head.epoch


async def test_log_of_an_older_tocsin_that_saw_this_run_of_redis_goes_on(
    redis: RedisProcess,
) -> None:
    async with nodes(redis) as (before,):
        await before.append("a")
    redis.ask("HDEL", "{tocsin}:log", "trusted", "kept", "noted")
    async with nodes(redis) as (after,):
        await after.append("b")
        assert after.texts() == ["a", "b"]


async def test_older_tocsin_that_was_there_after_a_restart_lets_the_log_go_on(
    redis: RedisProcess,
) -> None:
    """As where a hub was taken back to the version before for a while."""
    async with nodes(redis) as (before,):
        await before.append("a")
    redis.kill()
    redis.restart()
    found = re.search(rb"run_id:(\w+)", redis.ask("INFO", "server"))
    assert found
    redis.ask("HSET", "{tocsin}:log", "run", found[1].decode())  # which is all that it notes of it
    async with nodes(redis) as (after,):
        await after.append("b")
        assert after.texts() == ["a", "b"]


async def _seen_by(redis: RedisProcess, node: Node) -> None:
    """Wait until `node` has looked at the log at which it is."""
    await node.until(lambda: node.store._trusted_epoch == node.head.epoch)


async def _append_after_the_wait(node: Node, text: str) -> None:
    await node.until(lambda: "two seconds" in node.journal.status)
    await node.append_at_last(text)


async def test_node_that_finds_redis_again_late_keeps_the_log_that_a_new_one_looked_at(
    redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes(redis) as (late,):
        await late.append("a", "b")
        await _seen_by(redis, late)
        monkeypatch.setattr(tail, "FIRST_PAUSE_S", 4.0)
        monkeypatch.setattr(tail, "LONGEST_PAUSE_S", 4.0)
        redis.kill()
        redis.restart()
        new = Node(redis.url)
        await new.start()
        await _append_after_the_wait(new, "c")
        await late.until(lambda: late.texts() == ["a", "b", "c"])
        assert new.texts() == ["a", "b", "c"]
        assert late.resets == new.resets == []
        await new.journal.stop()
