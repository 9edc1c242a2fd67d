"""What happens to Redis, and what its nodes make of it: nothing lost in silence, nothing twice, no id for two events."""

from __future__ import annotations

import asyncio
import io
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.eventlog.appended import appended
from tests.redis.nodes import LIMITS, ids_of_two, nodes
from tests.redis.proxy import proxy_to
from tests.redis_process import RedisProcess
from tocsin.core.event import Draft, Event, EventId
from tocsin.core.filters import EVERYTHING
from tocsin.core.record import encode_record
from tocsin.errors import SettingsError, Unavailable
from tocsin.eventlog.journal.base import Append, Committed, Once
from tocsin.eventlog.journal.redis import journal
from tocsin.eventlog.journal.redis.script import UnusableLog, encode_drafts
from tocsin.logs import MAX_WARNINGS_A_MINUTE, TextFormatter, ThreadedHandler

KEY = Once("", "k-1", b"d" * 16)


async def test_redis_that_was_killed_comes_back_without_loss_or_repeat(redis: RedisProcess) -> None:
    async with nodes(redis, 2) as (one, other):
        await one.append("a", "b")
        redis.kill()
        await one.until(lambda: one.journal.status and other.journal.status)
        with pytest.raises(Unavailable) as refused:
            await one.append("lost")
        assert refused.value.code == "journal_down"
        redis.restart()
        await other.append_at_last("c")
        await one.append_at_last("d")
        await other.until(lambda: len(other.log) == 4)
        assert one.texts() == other.texts() == ["a", "b", "c", "d"]
        assert one.resets == other.resets == []


async def test_paused_redis_fails_publishers_and_goes_on_where_it_was(redis: RedisProcess) -> None:
    async with nodes(redis) as (node,):
        await node.append("a")
        redis.pause()
        with pytest.raises(Unavailable) as failed:
            await node.append("b", once=KEY)
        assert failed.value.code == "unknown_outcome"
        await node.until(lambda: "doesn't answer" in node.journal.status)
        redis.resume()
        await node.until(lambda: not node.journal.status)
        outcome = await node.append("b", once=KEY)
        assert isinstance(outcome, Committed)
        assert outcome.ids == [EventId(node.head.epoch, 2)]
        assert (node.texts(), node.resets) == (["a", "b"], [])


@pytest.mark.parametrize("stop_s", [0.0, 5.0], ids=["given up", "waited for"])
async def test_nobody_waits_for_an_answer_when_the_journal_was_stopped(
    redis: RedisProcess, monkeypatch: pytest.MonkeyPatch, stop_s: float
) -> None:
    monkeypatch.setattr(journal, "STOP_S", stop_s)
    async with nodes(redis) as (node,):
        await node.append("a")
        redis.pause()
        group = [Append([Draft("tick", b"x")])]
        first = appended(node.journal, group)
        await asyncio.sleep(0.1)  # it is sent, and the second waits for its answer
        second = appended(node.journal, group)
        await node.journal.stop()
        for answer in (first, second):
            with pytest.raises(Unavailable):
                await answer
        redis.resume()


async def test_emptied_redis_is_a_new_log_that_every_node_sees(redis: RedisProcess) -> None:
    async with nodes(redis, 2) as (one, other):
        await one.append("a", "b")
        redis.ask("FLUSHALL")
        await other.until(lambda: one.resets and other.resets)
        await one.append("c")
        await other.until(lambda: other.texts() == ["c"])
        assert one.texts() == ["c"]
        assert one.resets == other.resets
        assert one.head.epoch > one.opening.floor.epoch


async def test_append_to_an_emptied_redis_comes_after_the_reset(redis: RedisProcess) -> None:
    async with nodes(redis) as (node,):
        await node.append("a", once=KEY)
        redis.ask("FLUSHALL")
        outcome = await node.append("a", once=KEY)
        assert isinstance(outcome, Committed)
        assert not outcome.is_duplicate
        assert (outcome.ids[0].seq, len(node.resets)) == (1, 1)


async def test_log_whose_stream_alone_was_deleted_goes_on_after_a_hole(redis: RedisProcess) -> None:
    async with nodes(redis) as (node,):
        await node.append("a", "b")
        redis.ask("DEL", "{tocsin}:events")
        await node.append("c")
        await node.until(lambda: node.journal.history.floor == 2)
        assert (node.head.seq, node.resets) == (3, [])


async def test_log_whose_meta_alone_was_deleted_begins_anew(redis: RedisProcess) -> None:
    async with nodes(redis) as (node,):
        await node.append("a", "b")
        redis.ask("DEL", "{tocsin}:log")
        await node.append("c")
        assert (node.texts(), node.head.seq) == (["c"], 1)
        assert node.head.epoch > node.opening.floor.epoch


async def test_replica_that_lagged_gives_no_id_to_a_second_event(redis: RedisProcess) -> None:
    replica = RedisProcess("--replicaof", "127.0.0.1", str(redis.port))
    try:
        async with proxy_to(redis.port) as proxy, nodes(redis, 2, port=proxy.port) as both:
            one, other = both
            await one.append("a")
            await one.until(lambda: b"seq" in replica.ask("HGETALL", "{tocsin}:log"))
            replica.ask("REPLICAOF", "NO", "ONE")
            await one.append("b", "c")
            await other.until(lambda: len(other.log) == 3)
            proxy.turn_to(replica.port)
            await one.until(lambda: one.resets and other.resets)
            await other.append_at_last("d")
            await one.until(lambda: one.texts() == ["d"])
            assert ids_of_two(one, other) == set()
    finally:
        replica.close()


async def test_restart_that_lost_the_newest_gives_no_id_to_a_second_event(
    redis: RedisProcess, tmp_path: Path
) -> None:
    """Not even where a node that had not seen them is the first to append."""
    async with (
        proxy_to(redis.port) as proxy,
        proxy_to(redis.port) as other_proxy,
        nodes(redis, port=proxy.port) as (behind,),
        nodes(redis, port=other_proxy.port) as (ahead,),
    ):
        await behind.append("a")
        proxy.holds_answers = True
        shutil.copytree(redis.folder, tmp_path / "old")
        await ahead.append("b", "c")
        redis.kill()
        shutil.copytree(tmp_path / "old", redis.folder, dirs_exist_ok=True)
        await behind.until(lambda: behind.journal.status and ahead.journal.status)
        proxy.holds_answers, other_proxy.holds_answers = False, True
        redis.restart()
        await behind.until(lambda: "two seconds" in behind.journal.status)
        appended = asyncio.create_task(behind.append_at_last("d"))
        # It would be appended by then, if Redis did not wait for the other node.
        await asyncio.sleep(0.7)
        other_proxy.cut()
        other_proxy.holds_answers = False
        await appended
        await ahead.until(lambda: ahead.texts() == ["d"])
        assert ids_of_two(behind, ahead) == set()


async def test_node_that_a_failover_passed_by_sees_that_its_events_are_others(
    redis: RedisProcess,
) -> None:
    """It was asleep while the log went back, and grew past where it had been."""
    async with nodes(redis) as (node,):
        await node.append("a", "b", "c")
        node.journal.tail.head = replace(node.journal.tail.head, time=1)  # of another event
        await node.until(lambda: node.resets)
        assert node.head.epoch > node.opening.floor.epoch


async def test_events_trimmed_below_a_slow_node_are_a_hole_that_is_counted_and_told(
    redis: RedisProcess,
) -> None:
    limits = replace(LIMITS, events=10)
    async with (
        proxy_to(redis.port) as proxy,
        nodes(redis, limits=limits, port=proxy.port) as (slow,),
        nodes(redis, limits=limits) as (quick,),
    ):
        await slow.append("a")
        proxy.holds_answers = True
        for n in range(40):
            await quick.append(f"{n}")
        await quick.until(lambda: quick.journal.history.events <= 10)
        proxy.cut()
        proxy.holds_answers = False
        await slow.until(lambda: slow.resets)
        (opening,) = slow.resets
        assert opening.floor == EventId(slow.opening.floor.epoch, 31)
        assert slow.journal.tail.holes == 1
        assert slow.journal.history.has_lost(1, EVERYTHING)
        await slow.append_at_last("z")
        await quick.until(lambda: quick.head == slow.head)
        assert slow.texts() == quick.texts()[-11:]


async def test_held_answer_is_an_unknown_outcome_and_the_key_makes_the_retry_safe(
    redis: RedisProcess,
) -> None:
    async with proxy_to(redis.port) as proxy, nodes(redis, port=proxy.port) as (node,):
        await node.append("a")
        proxy.holds_answers = True
        with pytest.raises(Unavailable) as failed:
            await node.append("b", once=KEY)
        assert failed.value.code == "unknown_outcome"
        assert "idempotency key" in failed.value.message
        proxy.holds_answers = False
        await node.until(lambda: not node.journal.status)
        again = await node.append("b", once=KEY)
        assert again == Committed([EventId(node.head.epoch, 2)], is_duplicate=True)
        assert node.texts() == ["a", "b"]


async def test_cut_connections_are_made_again(redis: RedisProcess) -> None:
    async with proxy_to(redis.port) as proxy, nodes(redis, port=proxy.port) as (node,):
        await node.append("a")
        proxy.cut()
        await node.until(lambda: node.journal.status)
        await node.append_at_last("b")
        assert (node.texts(), node.resets) == (["a", "b"], [])


async def test_each_other_reason_of_an_outage_is_logged_once(
    redis: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with proxy_to(redis.port) as proxy, nodes(redis, port=proxy.port) as (node,):
        await node.append("a")
        redis.ask("CONFIG", "SET", "requirepass", "secret")
        proxy.cut()
        await node.until(lambda: "Authentication required" in node.journal.status)
        await asyncio.sleep(0.5)  # it is tried again and again
        redis.kill()
        redis.restart()
        await node.append_at_last("b")
    said = [each for each in caplog.messages if each.startswith("the journal is ")]
    assert "down: " in said[0]
    assert sum("Authentication required" in each for each in said) == 1
    assert said[-1] == "the journal is up again"


async def test_last_word_of_the_log_is_true_after_a_link_that_came_and_went(
    redis: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    handler = ThreadedHandler(sink := io.StringIO())
    handler.setFormatter(TextFormatter())
    logging.getLogger("tocsin").addHandler(handler)
    try:
        async with proxy_to(redis.port) as proxy, nodes(redis, port=proxy.port) as (node,):
            for _ in range(MAX_WARNINGS_A_MINUTE + 4):
                proxy.cut()
                await node.until(lambda: node.journal.status)
                await node.until(lambda: not node.journal.status)
            redis.kill()
            await node.until(lambda: node.journal.status)
    finally:
        logging.getLogger("tocsin").removeHandler(handler)
        handler.close()
    *_, last = sink.getvalue().splitlines()
    assert "the journal is down: " in last
    # Bounded as "down" is; a minute may have ended meanwhile.
    assert sink.getvalue().count("the journal is up again") <= MAX_WARNINGS_A_MINUTE + 1


async def test_read_that_is_given_up_drops_its_connection(redis: RedisProcess) -> None:
    async with proxy_to(redis.port) as proxy, nodes(redis, port=proxy.port) as (node,):
        await node.append("a", "b")
        history = node.journal.history
        await history.read(0, EVERYTHING, max_events=1, max_bytes=10**6)
        proxy.holds_answers = True
        given_up = asyncio.create_task(history.read(0, EVERYTHING, max_events=1, max_bytes=10**6))
        await asyncio.sleep(0.05)
        given_up.cancel()
        await asyncio.wait([given_up])
        assert given_up.cancelled()
        proxy.holds_answers = False
        page = await history.read(1, EVERYTHING, max_events=1, max_bytes=10**6)
        assert [event.draft.data for event in page.events] == [b"b"]


async def test_event_of_a_newer_version_stops_the_node_with_words(redis: RedisProcess) -> None:
    async with nodes(redis, 2) as (one, other):
        await one.append("a")
        await _append_record(
            redis, one.head, encode_record(_event("b")).replace(b"\x01", b"\x02", 1)
        )
        await one.until(lambda: "version 2" in one.journal.status)
        assert "update it" in one.journal.status
        with pytest.raises(Unavailable, match="version 2"):
            await other.append("c")
        assert (one.texts(), one.resets) == (["a"], [])


async def test_fields_that_a_newer_tocsin_added_to_a_record_are_passed_over(
    redis: RedisProcess,
) -> None:
    async with nodes(redis) as (node,):
        await node.append("a")
        fields = [*msgspec.msgpack.decode(encode_record(_event("b"))), "added"]
        await _append_record(redis, node.head, msgspec.msgpack.encode(fields))
        await node.until(lambda: node.texts() == ["a", "b"])


async def test_log_that_a_newer_tocsin_laid_out_is_refused_with_words(redis: RedisProcess) -> None:
    async with nodes(redis) as (node,):
        redis.ask("HSET", "{tocsin}:log", "layout", "2")
        redis.ask("SET", "{tocsin}:once", "whatever it is there")
        await node.until(lambda: "layout 2" in node.journal.status)
        redis.ask("DEL", "{tocsin}:once")
        redis.ask("HSET", "{tocsin}:log", "layout", "1")
        await node.append_at_last("a")


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("events", ("XADD", "*", "name", "value")),
        ("events", ("SET", "value")),
        ("events", ("RPUSH", "value")),
        ("log", ("SET", "value")),
        ("once", ("SADD", "value")),
        ("once-order", ("SET", "value")),
        ("once-before", ("SET", "value")),
        ("ended", ("RPUSH", "value")),
        ("ended-order", ("HSET", "name", "value")),
        ("nodes", ("SET", "value")),
        ("processes", ("SET", "value")),
        ("processes", ("SADD", "1")),
    ],
)
async def test_key_that_another_program_uses_is_left_alone_with_words(
    redis: RedisProcess, key: str, command: Sequence[str]
) -> None:
    name, (verb, *values) = f"{{tocsin}}:{key}", command
    redis.ask(verb, name, *values)
    with pytest.raises(SettingsError, match=f"another program uses the key {name}; set redis_pre"):
        async with nodes(redis):
            pass
    assert redis.ask("KEYS", "*") == f"*1\r\n${len(name)}\r\n{name}\r\n".encode()


async def test_key_that_another_program_takes_while_hubs_run_ends_no_log(
    redis: RedisProcess,
) -> None:
    async with nodes(redis) as (node,):
        await node.append("a")
        redis.ask("SET", "{tocsin}:once-order", "x")
        await node.until(lambda: "another program uses the key" in node.journal.status)
        redis.ask("DEL", "{tocsin}:once-order")
        await node.append_at_last("b")
        assert (node.texts(), node.resets) == (["a", "b"], [])


async def test_append_into_a_key_of_another_program_appends_nothing(redis: RedisProcess) -> None:
    async with nodes(redis) as (node,):
        await node.append("a")
        link = node.store.link(5)
        await node.store.look(link, node.journal.tail.head)
        redis.ask("SET", "{tocsin}:ended-order", "x")
        append = Append([Draft("tick", b"b", "t", final=True)])
        with pytest.raises(UnusableLog, match="another program"):
            await node.store.append(
                link, node.journal.tail.head, [append], [encode_drafts(append.drafts)]
            )
        await link.close()
        assert redis.ask("XLEN", "{tocsin}:events") == b":1\r\n"


async def test_entry_that_another_program_adds_begins_a_new_log_without_a_traceback(
    redis: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with nodes(redis) as (node,):
        await node.append("a")
        redis.ask("XADD", "{tocsin}:events", "*", "name", "value")
        await node.until(lambda: node.resets != [])
        await node.append_at_last("b")
        assert node.texts() == ["b"]
    assert "was written by another program" in caplog.text
    assert not any(record.exc_info for record in caplog.records)


async def test_full_redis_publishes_nothing_and_says_so(redis: RedisProcess) -> None:
    async with nodes(redis) as (node,):
        await node.append("a")
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(Unavailable) as full:
            await node.append("b", "c")
        assert full.value.code == "journal_full"
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        await node.append_at_last("d")
        assert (node.texts(), node.resets) == (["a", "d"], [])


async def test_replica_takes_no_events_and_the_log_stays(redis: RedisProcess) -> None:
    async with nodes(redis) as (node,):
        await node.append("a")
        redis.ask("REPLICAOF", "127.0.0.1", "1")
        await node.until(lambda: "read only" in node.journal.status)
        redis.ask("REPLICAOF", "NO", "ONE")
        await node.append_at_last("b")
        assert (node.texts(), node.resets) == (["a", "b"], [])


def _event(text: str) -> Event:
    return Event(EventId(0, 0), Draft("tick", text.encode()), 0.0)


async def _append_record(redis: RedisProcess, head: EventId, record: bytes) -> None:
    """Append bytes that no node here would write, as another version does."""
    async with nodes(redis) as (node,):
        store = node.store
        link = store.link(5)
        append = Append([Draft("tick", b"")])
        await store.append(link, replace(node.journal.tail.head, id=head), [append], [[record]])
        await link.close()
