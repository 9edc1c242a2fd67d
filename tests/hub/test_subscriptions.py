from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.accounting import assert_conserved
from tests.hub.hubs import Client, drafts, pair, running, settled, turns_of
from tests.serving import eventually
from tocsin import Filter
from tocsin.core.filters import EVERYTHING
from tocsin.errors import Busy
from tocsin.hub.replay_cache import MAX_BYTES, ReplayCache
from tocsin.hub.stream import Stream
from tocsin.hub.subscriptions import Subscriptions

# --- admission ------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["full", "draining", "patterns"])
async def test_busy_hub_leaves_the_connection_to_who_brought_it(reason: str) -> None:
    limits: dict[str, Any] = {"full": {"max_clients": 1}, "patterns": {"max_patterns": 1}}
    limits = limits.get(reason, {})
    async with running(**limits) as hub:
        Client(hub)
        hub.draining = reason == "draining"
        ours, theirs = pair()
        assert hub.refuses(Filter(["a"])) == reason
        with pytest.raises(Busy) as busy:
            hub.subscribe(ours, Filter(["a"]))
        assert (busy.value.reason, busy.value.code) == (reason, reason)
        assert 3_000 <= busy.value.retry_ms <= 9_000
        assert hub.counters.rejected[reason] == 1
        ours.send(b"come back later")
        assert theirs.recv(100) == b"come back later"
        ours.close()
        theirs.close()
        hub.draining = False


async def test_patterns_of_equal_filters_count_once_and_are_free_again_when_the_streams_left() -> (
    None
):
    async with running(max_patterns=4) as hub:
        both = [Client(hub, Filter(["a", "b*"], ["t", "u"])) for _ in range(2)]
        with pytest.raises(Busy):
            Client(hub, Filter(["c"]))
        for client in both:
            client.end.close()
        await eventually(lambda: not hub.streams)
        Client(hub, Filter(["c", "d", "e", "f"]))


async def test_filters_that_mean_the_same_share_a_group() -> None:
    async with running() as hub:
        for patterns in ([], ["*"], ["*", "u1"], ["*", "a*"]):
            Client(hub, Filter(patterns))
        assert len(hub._fan_out) == 1


@pytest.mark.parametrize("failing", ["start", "is closed"])
async def test_stream_that_could_not_be_opened_leaves_nothing(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise MemoryError("no memory")

    async with running() as hub:
        ours, theirs = pair()
        if failing == "start":
            monkeypatch.setattr(Stream, "start", broken)
        else:
            ours.close()
        with pytest.raises((MemoryError, ValueError, OSError)):
            hub.subscribe(ours, EVERYTHING, presence=True)
        monkeypatch.undo()
        assert (hub.streams, hub.lagging, len(hub._fan_out)) == ({}, {}, 0)
        assert ours.fileno() == -1
        (receipt,) = await hub.publish(*drafts(1))
        assert receipt.recipients == 0
        assert_conserved(hub)
        theirs.close()


# --- replays --------------------------------------------------------------------------------------


async def test_replay_that_nobody_counted_is_told_apart_from_what_came_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running() as hub:
        await hub.publish(*drafts(60, data=b"1" * 30_000))
        monkeypatch.setattr(hub.ring, "count", lambda *_: None)
        client = Client(hub, tcp=True, last_event_id="earliest")
        await hub.publish(*drafts(40, data=b"1" * 30_000))
        ids: list[str] = []

        def has_all() -> bool:
            assert_conserved(hub)
            ids.extend(client.ids())
            return len(ids) == 100

        await eventually(has_all)
        await settled(hub)
        counters = hub.counters
        assert counters.delivered_replay == 60
        assert counters.delivered_catchup + counters.delivered_live == 40


def test_replay_cache_is_bounded_in_bytes_and_lets_go() -> None:
    cache = ReplayCache()
    for number in range(100):
        piece: Any = type("Piece", (), {"payload": bytes(MAX_BYTES // 10)})
        group: Any = "group"
        cache.keep(group, number, piece)
        assert cache.bytes <= MAX_BYTES
    cache.clear()
    assert (cache.bytes, len(cache._pieces)) == (0, 0)


async def test_streams_that_return_to_the_same_place_share_a_piece_until_the_next_tick() -> None:
    async with running() as hub:
        await hub.publish(*drafts(10))
        for _ in range(3):
            assert len(Client(hub, last_event_id="earliest").ids()) == 10
        cache = hub._subscriptions._replay_cache
        assert len(cache._pieces) == 1
        await hub._subscriptions.tick()
        assert cache.bytes == 0


# --- walks give the loop its turn -----------------------------------------------------------------


@pytest.mark.parametrize("walk", ["send_heartbeats", "tick", "drain", "reset"])
async def test_walk_over_all_streams_gives_the_loop_its_turn(
    walk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.hub.turns.TURN_S", 0.0)  # each stream is a turn of its own
    async with running() as hub:
        for _ in range(30):
            Client(hub, presence=True)
        subscriptions = hub._subscriptions
        if walk == "reset":
            subscriptions.reset()
            assert subscriptions._ending
            assert await turns_of(subscriptions._ending) >= 30
            assert not hub.streams
        else:
            assert await turns_of(getattr(subscriptions, walk)()) >= 30


async def test_lagging_streams_are_looked_at_only_for_what_was_evicted_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(history_events=30) as hub:
        Client(hub, Filter(["a"]), tcp=True)
        await hub.publish(*drafts(1, "a", b"1" * 2_000_000))
        await eventually(lambda: hub.lagging)
        (stream,) = hub.lagging
        looks: list[int] = []
        has_lost = hub.ring.has_lost

        def look(cursor: int, filter: Filter) -> bool:
            looks.append(cursor)
            return has_lost(cursor, filter)

        monkeypatch.setattr(hub.ring, "has_lost", look)
        await hub._subscriptions.tick()
        assert looks == []
        await hub.publish(*drafts(40, "b"))  # evicts what the stream has
        floor = hub.ring.floor
        for _ in range(3):
            await hub._subscriptions.tick()
        assert looks == [1]
        assert stream.looked_to == floor > stream.cursor
        assert hub.counters.closed["slow"] == 0


async def test_storm_of_returns_gives_the_loop_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.hub.turns.TURN_S", 0.0)
    advanced = 0
    advance = Stream.advance

    def count(stream: Stream) -> None:
        nonlocal advanced
        advanced += 1
        advance(stream)

    async with running() as hub:
        await hub.publish(*drafts(20, data=b"1" * 60_000))
        clients = [Client(hub, last_event_id="earliest") for _ in range(20)]
        monkeypatch.setattr(Stream, "advance", count)
        hub._subscriptions._ready.extend(client.stream for client in clients)
        hub._subscriptions._advance()
        assert advanced == 1
        for turn in range(1, 20):
            assert advanced == turn
            await asyncio.sleep(0)
        for client in clients:
            client.end.close()
        await eventually(lambda: not hub.streams)


async def test_stream_that_fails_is_closed_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as hub:
        await hub.publish(*drafts(20, data=b"1" * 60_000))
        broken, whole = (Client(hub, last_event_id="earliest") for _ in range(2))
        piece_after = Subscriptions.piece_after

        def fail(self: Subscriptions, stream: Stream) -> Any:
            if stream is broken.stream:
                raise RuntimeError("a bug")
            return piece_after(self, stream)

        monkeypatch.setattr(Subscriptions, "piece_after", fail)
        ids: list[str] = []

        def has_all() -> bool:
            ids.extend(whole.ids())
            return len(ids) == 20

        broken.read()
        await eventually(has_all)
        await eventually(lambda: broken.read() == [] and hub.counters.closed["error"] == 1)
        assert "a stream failed" in caplog.text
        await asyncio.sleep(0)
        assert list(hub.streams.values()) == [whole.stream]
