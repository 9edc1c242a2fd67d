from __future__ import annotations

import asyncio

from tests.hub.hubs import Client, drafts, running
from tests.patience import PATIENCE_S
from tests.serving import eventually
from tocsin import Hub

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
