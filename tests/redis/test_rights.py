"""Rights that Redis doesn't give, and what a script that failed in the middle leaves behind: no log is lost by it."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis

from tests.redis.nodes import Node, nodes
from tests.redis_process import RedisProcess
from tocsin.core.event import Draft, EventId
from tocsin.errors import SettingsError, Unavailable
from tocsin.eventlog.journal.base import Append, Once
from tocsin.eventlog.journal.redis.link import RedisFault
from tocsin.eventlog.journal.redis.script import Head, encode_drafts

ROOT = Path(__file__).parents[2]
SECRET = "not-to-be-shown"
KEY = Once("", "k-1", b"d" * 16)
(_COMMAND,) = re.findall(
    r"^ACL SETUSER .*\\\n.*$", (ROOT / "docs/journals-redis.md").read_text(), re.MULTILINE
)
WORDS = _COMMAND.replace("\\", "").replace("PASSWORD", SECRET).split()
# Redis refuses those at the greeting, in its own words, or a hub on database 0 doesn't use them.
GREETING = {"+info", "+client|setname", "+script|load", "+evalsha", "+select"}
RIGHTS = [word for word in WORDS if word[0] == "+" and word not in GREETING]


def _node(redis: RedisProcess, *changes: str) -> Node:
    """One whose user has the rights in the docs, with these changes."""
    assert redis.ask(*WORDS, *changes) == b"+OK\r\n"
    return Node(redis.url, username="tocsin", password=SECRET)


@pytest.mark.parametrize("right", RIGHTS)
async def test_right_that_is_missing_stops_the_start_and_is_named(
    shared_redis: RedisProcess, right: str
) -> None:
    before = shared_redis.ask("KEYS", "{tocsin}:*")
    node = _node(shared_redis, "-" + right[1:])
    with pytest.raises(SettingsError, match=rf"may not {right[1:].upper()} .*allowed: .*\+") as no:
        await node.start()
    assert right in str(no.value)
    assert "\n" not in str(no.value)
    assert shared_redis.ask("KEYS", "{tocsin}:*") == before


@pytest.mark.parametrize("key", ["nodes", "processes"])
async def test_key_beside_the_log_that_the_user_may_not_touch_is_named(
    shared_redis: RedisProcess, key: str
) -> None:
    names = ("log", "events", "once", "once-order", "once-before", "ended", "ended-order")
    others = [f"~{{tocsin}}:{each}" for each in (*names, "nodes", "processes") if each != key]
    node = _node(shared_redis, "resetkeys", *others)
    with pytest.raises(SettingsError, match=rf"may not \w+ {{tocsin}}:{key}"):
        await node.start()
    shared_redis.ask("ACL", "SETUSER", "tocsin", "reset")


async def test_command_that_the_server_has_under_another_name_is_named() -> None:
    redis = RedisProcess("--rename-command", "XTRIM", "")
    try:
        with pytest.raises(SettingsError, match="may not XTRIM"):
            async with nodes(redis):
                pass
    finally:
        redis.close()


@pytest.mark.parametrize("right", ["xtrim", "rpush", "hset", "xadd", "lindex"])
async def test_right_that_is_taken_away_while_a_hub_runs_ends_no_log(
    redis: RedisProcess, right: str
) -> None:
    node = _node(redis)
    await node.start()
    await node.append("a")
    redis.ask("ACL", "SETUSER", "tocsin", "-" + right)
    with suppress(Unavailable):  # there is none where a look came first
        await node.append("between", once=KEY)
    await node.until(lambda: f"may not {right.upper()}" in node.journal.status)
    redis.ask("ACL", "SETUSER", "tocsin", "+" + right)
    await node.append_at_last("b")
    assert (node.texts()[0], node.texts()[-1], node.resets) == ("a", "b", [])
    await node.journal.stop()


@pytest.mark.parametrize("right", ["rpush", "hset"])
async def test_append_that_a_missing_right_ended_in_the_middle_is_taken_up(
    redis: RedisProcess, right: str
) -> None:
    node = _node(redis)
    await node.start()
    await node.append("a")
    await node.journal.stop()
    redis.ask("ACL", "SETUSER", "tocsin", "-" + right)
    link = node.store.link(5)
    append = Append([Draft("tick", b"b", "t")], KEY)
    with pytest.raises(RedisFault) as failed:
        await node.store.append(link, Head(node.head), [append], [encode_drafts(append.drafts)])
    assert failed.value.is_unknown
    await link.close()
    redis.ask("ACL", "SETUSER", "tocsin", "+" + right)
    async with nodes(redis) as (after,):
        assert (after.texts(), after.head) == (["a", "b"], EventId(node.head.epoch, 2))
        await after.append("c")
        assert after.head.seq == 3


async def test_events_that_a_failed_script_left_in_the_stream_are_taken_up(
    redis: RedisProcess,
) -> None:
    with Redis(port=redis.port) as client:
        async with nodes(redis) as (node,):
            await node.append("a")
            known = client.hgetall("{tocsin}:log")
            await node.append("b", "c")
        client.hset("{tocsin}:log", mapping=known)
        async with nodes(redis) as (node,):
            assert node.texts() == ["a", "b", "c"]
            await node.append("d")
            assert (node.head.seq, node.resets) == (4, [])
            found = client.hgetall("{tocsin}:log")
        (newest,) = client.xrevrange("{tocsin}:events", count=1)
        assert found[b"total"] == newest[1][b"b"]


async def test_events_that_a_failed_script_left_are_taken_up_where_it_trimmed_too(
    redis: RedisProcess,
) -> None:
    with Redis(port=redis.port) as client:
        async with nodes(redis) as (node,):
            await node.append("a", "b")
            known = client.hgetall("{tocsin}:log")
            await node.append("c", "d")
        client.hset("{tocsin}:log", mapping=known)
        client.xtrim("{tocsin}:events", maxlen=2, approximate=False)
        async with nodes(redis) as (node,):
            assert (node.texts(), node.opening.floor.seq) == (["c", "d"], 2)
            await node.append("e")
            assert (node.head.seq, node.resets) == (5, [])


@pytest.mark.parametrize(
    ("ahead", "fields"),
    [(5, ("t", "1", "b", "1", "e", "x")), (1, ("t", "x", "b", "1", "e", "x")), (1, ("a", "b"))],
)
async def test_entry_behind_a_hole_or_of_another_form_begins_a_new_log(
    redis: RedisProcess, ahead: int, fields: tuple[str, ...]
) -> None:
    async with nodes(redis) as (node,):
        await node.append("a")
        epoch, seq = node.head
    redis.ask("XADD", "{tocsin}:events", f"{epoch}-{seq + ahead}", *fields)
    async with nodes(redis) as (node,):
        assert node.texts() == []
        assert node.head.epoch > epoch
