from __future__ import annotations

import asyncio

from tests.accounting import assert_conserved
from tests.hub.hubs import Client, drafts, running
from tests.patience import PATIENCE_S
from tests.serving import eventually
from tocsin import Hub, Settings

LONG_AGO = -1_000.0
MORE_THAN_THE_BUFFERS = 100_000
"""Who has read so much since the last look has got bytes that left since."""


async def look(hub: Hub, client: Client) -> None:
    """Look for slow clients, when this one has had its time since the last look."""
    client.stream.stalled_at = LONG_AGO
    await hub._subscriptions.tick()


async def read(client: Client, size: int) -> int:
    loop, took = asyncio.get_running_loop(), 0
    async with asyncio.timeout(PATIENCE_S):
        while took < size:
            took += len(await loop.sock_recv(client.end, 16_384))
    return took


async def test_reader_of_a_large_event_has_as_long_as_it_takes_while_bytes_leave() -> None:
    async with running() as hub:
        client = Client(hub, tcp=True)
        await hub.publish(*drafts(1, data=b"1" * 2_000_000))
        await eventually(lambda: hub.lagging)
        left = 2_000_000
        while left > MORE_THAN_THE_BUFFERS:
            left -= await read(client, MORE_THAN_THE_BUFFERS)
            await look(hub, client)
            assert client.stream.number in hub.streams
            assert client.stream.stalled_at > LONG_AGO or not hub.lagging
        await read(client, left)
        await eventually(lambda: not hub.lagging)


async def test_client_that_takes_nothing_is_closed_with_a_reset_and_frees_the_kernels_memory() -> (
    None
):
    async with running() as hub:
        client = Client(hub, tcp=True)
        await hub.publish(*drafts(20, data=b"1" * 60_000))
        await eventually(lambda: hub.lagging)

        async def is_closed() -> bool:
            await look(hub, client)
            return not hub.streams

        async with asyncio.timeout(PATIENCE_S):
            while not await is_closed():
                await asyncio.sleep(0.01)  # what was on its way when it was first looked at
        assert hub.counters.closed["slow"] == 1
        assert await client.is_cut_off() == "reset"


async def test_client_that_lost_events_is_closed_with_a_reset() -> None:
    async with running(history_events=5) as hub:
        client = Client(hub, tcp=True)
        for _ in range(20):
            await hub.publish(*drafts(1, data=b"1" * 60_000))
            await asyncio.sleep(0)
        await hub._subscriptions.tick()
        assert hub.counters.closed["slow"] == 1
        assert await client.is_cut_off() == "reset"


async def test_ended_stream_gets_what_was_pending_before_its_last_bytes() -> None:
    async with running(drain_timeout=5) as hub:
        client = Client(hub, tcp=True)
        await hub.publish(*drafts(1, data=b"1" * 500_000))
        await eventually(lambda: hub.lagging)
        drained = asyncio.ensure_future(hub.drain())
        ids: list[str] = []

        def is_over() -> bool:
            ids.extend(client.ids())
            return drained.done()

        await eventually(is_over)
        assert len(ids) == 1
        assert hub.counters.closed["shutdown"] == 1


async def test_stream_that_ends_has_the_time_of_a_slow_client_from_then_on() -> None:
    async with running(drain_timeout=5) as hub:
        client = Client(hub, tcp=True)
        await hub.publish(*drafts(1, data=b"1" * 500_000))
        await eventually(lambda: hub.lagging)
        client.stream.stalled_at = LONG_AGO
        drained = asyncio.ensure_future(hub.drain())
        await asyncio.sleep(0)
        await hub._subscriptions.tick()
        await hub._subscriptions.tick()
        assert client.stream.number in hub.streams
        await eventually(lambda: client.read() is None or drained.done())


async def fall_short(hub: Hub, client: Client) -> int:
    """Publish until the client's socket doesn't take all of the newest event; returns how many those are."""
    published = 0
    while not hub.lagging:
        await hub.publish(*drafts(1, data=b"1" * 60_000))
        published += 1
        await eventually(lambda: not hub._fan_out.is_under_way)
        await asyncio.sleep(0)
        assert published < 1_000
    return published


async def test_event_is_delivered_when_the_socket_has_taken_its_last_byte() -> None:
    now = [1_000.0]
    hub = Hub(Settings(), clock=lambda: now[0])
    await hub.start()
    client, counters = Client(hub, tcp=True), hub.counters
    last = await fall_short(hub, client)
    assert (client.stream.cursor, client.stream.taken_cursor) == (last, last - 1)
    assert (counters.delivered_live, client.stream.undelivered) == (last - 1, 1)
    assert sum(counters.latency_s.counts) == last - 1
    assert hub.lag_events_max == 1
    assert_conserved(hub)
    now[0] += 10_000
    assert hub.lagging_longer_than(30) == 1
    await eventually(lambda: not client.read() and not hub.lagging)
    assert (counters.delivered_live, client.stream.undelivered) == (last, 0)
    assert counters.latency_s.counts[-1] == 1  # beyond all bounds
    assert sum(counters.latency_s.counts) == last
    assert_conserved(hub)
    await hub.stop()


async def test_event_of_which_the_socket_took_a_part_is_not_delivered_when_its_client_goes() -> (
    None
):
    async with running() as hub:
        client = Client(hub, tcp=True)
        last = await fall_short(hub, client)
        client.end.close()
        await eventually(lambda: not hub.streams)
        assert hub.counters.undelivered["client"] == 1
        assert hub.counters.delivered_live == last - 1
        assert sum(hub.counters.latency_s.counts) == last - 1
        assert_conserved(hub)


async def test_replay_and_what_came_since_count_apart_when_they_are_taken_together() -> None:
    async with running() as hub:
        await hub.publish(*drafts(3, data=b"1" * 10_000))
        client = Client(hub, tcp=True, last_event_id=str(hub.ring.id_at(0)))
        await hub.publish(*drafts(60, data=b"1" * 10_000))
        await eventually(lambda: hub.lagging and not hub._fan_out.is_under_way)
        assert client.stream.undelivered > 0
        assert_conserved(hub)
        await eventually(lambda: not client.read() and not hub.lagging)
        counters = hub.counters
        assert counters.delivered_replay == 3
        assert counters.delivered_live + counters.delivered_catchup == 60
        assert sum(counters.latency_s.counts) == 60
        assert_conserved(hub)
