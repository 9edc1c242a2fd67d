"""A client that doesn't read costs the hub little, and the others nothing."""

from __future__ import annotations

import socket

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import wait_until
from tests.serving import StreamClient, eventually, publish, serving
from tocsin import Draft

BIG = b'"' + b"x" * 60_000 + b'"'


def stalled_client(port: int) -> socket.socket:
    """A client that asks for everything and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.connect(("127.0.0.1", port))
    client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client


async def test_stream_that_falls_out_of_the_history_is_closed_and_can_resume() -> None:
    async with serving(history_events=20) as server:
        slow = stalled_client(server.port)
        await eventually(lambda: server.hub.streams)
        for _ in range(100):
            await server.hub.publish(Draft("notification", BIG))
        await eventually(lambda: server.hub.counters.closed["slow"] == 1)
        slow.close()
        again = await StreamClient.open(server, Last_Event_ID=f"{server.hub.ring.epoch}-1")
        _, gap = await again.take(2)
        assert (gap.type, gap.json["missed"]) == ("gap", 79)


async def test_stream_without_progress_is_closed_after_the_timeout() -> None:
    async with serving(slow_client_timeout=0.2) as server:
        slow = stalled_client(server.port)
        await eventually(lambda: server.hub.streams)
        for _ in range(40):
            await server.hub.publish(Draft("notification", BIG))
        await eventually(lambda: server.hub.counters.closed["slow"] == 1)
        slow.close()


async def test_stream_that_lagged_catches_up_without_loss() -> None:
    async with serving() as server:
        client = await StreamClient.open(server)
        await client.next()
        ids = [
            str((await server.hub.publish(Draft("notification", BIG)))[0].id) for _ in range(100)
        ]
        await eventually(lambda: server.hub.lagging)
        assert [event.last_event_id for event in await client.take(100)] == ids
        await eventually(lambda: not server.hub.lagging)
        (id,) = await publish(server)
        assert (await client.next()).last_event_id == id


async def test_stalled_stream_does_not_hold_up_the_others() -> None:
    async with serving() as server:
        slow = stalled_client(server.port)
        reader = await StreamClient.open(server)
        await reader.next()
        for _ in range(60):
            receipts = await server.hub.publish(Draft("notification", BIG))
            assert (await reader.next()).last_event_id == str(receipts[0].id)
        assert len(server.hub.lagging) == 1
        slow.close()


def test_client_that_never_reads_adds_a_bounded_piece_of_memory(start_hub: StartHub) -> None:
    hub = start_hub("--history-bytes", str(4 * 2**20), "--slow-client-timeout", "600")
    publish_megabytes(hub, 8)  # the ring is full from here on, and doesn't grow
    before = hub.memory_kib()
    slow = [stalled_client(hub.port) for _ in range(50)]
    wait_until(lambda: hub.metric("tocsin_clients") == 50)
    publish_megabytes(hub, 3)  # within the history: nobody is closed
    assert hub.metric("tocsin_lagging_clients") == 50
    assert (hub.memory_kib() - before) / len(slow) < 64
    for client in slow:
        client.close()


def publish_megabytes(hub: HubProcess, megabytes: int) -> None:
    for _ in range(megabytes * 20):
        hub.publish(message="x" * 50_000)
