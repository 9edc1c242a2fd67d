"""What is counted adds up, over real sockets, while clients come, go, stall and resume."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from contextlib import suppress

from tests.accounting import accounted_for, assert_conserved, recipients
from tests.patience import PATIENCE_S
from tests.serving import StreamClient, eventually, publish, serving
from tocsin import Draft, Hub
from tocsin.app import Server

BIG = b'"' + b"x" * 30_000 + b'"'
QUERIES = ("", "?topic=a", "?topic=b&topic=c", "?topic=*&type=tick", "?topic=quiet")


def is_settled(hub: Hub) -> bool:
    return not hub.lagging and not hub._fan_out.is_under_way


async def test_every_recipient_is_counted_once_more_when_it_is_delivered() -> None:
    async with serving() as server:
        for query in ("", "?topic=a", "?topic=b", "?type=notification"):
            await StreamClient.open(server, query)
        await publish(server, 10, topic="a")
        counters = server.hub.counters
        await eventually(lambda: is_settled(server.hub))
        assert (recipients(server.hub), counters.delivered_live) == (30, 30)
        assert sum(counters.latency_s.counts) == 30
        assert sum(counters.fanout_s.counts) == 3
        assert_conserved(server.hub)


async def test_what_came_before_a_stream_is_replay_and_what_it_lagged_behind_is_catchup() -> None:
    async with serving() as server:
        await publish(server, 5)
        client = await StreamClient.open(server, "?last_event_id=earliest")
        await client.take(6)
        for _ in range(100):
            await server.hub.publish(Draft("notification", BIG))
        await client.take(100)
        await eventually(lambda: is_settled(server.hub))
        counters = server.hub.counters
        assert counters.delivered_replay == 5
        assert counters.delivered_catchup > 0
        assert counters.delivered_live + counters.delivered_catchup == recipients(server.hub) == 100
        assert sum(counters.latency_s.counts) == (
            counters.delivered_live + counters.delivered_catchup
        )


async def test_what_a_stream_closed_before_is_counted_as_undelivered() -> None:
    async with serving(history_events=20) as server:
        slow = stalled(server, "")
        await eventually(lambda: server.hub.streams)
        for _ in range(100):
            await server.hub.publish(Draft("notification", BIG))
        await eventually(lambda: server.hub.counters.closed["slow"] == 1)
        slow.close()
        assert server.hub.counters.undelivered["slow"] >= 20
        await eventually(lambda: recipients(server.hub) == accounted_for(server.hub) == 100)


def stalled(server: Server, query: str) -> socket.socket:
    """A client that asks, and reads nothing until it is told to."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.connect(("127.0.0.1", server.port))
    client.sendall(f"GET /events{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    client.setblocking(False)
    return client


def read_all(client: socket.socket) -> None:
    """Take what is there to be read."""
    with suppress(BlockingIOError, ConnectionError):
        while client.recv(65_536):
            pass


class Churn:
    """Clients and a publisher that do at random what theirs do in life; one seed, one course."""

    def __init__(self, server: Server, seed: int) -> None:
        self._server = server
        self._random = random.Random(seed)
        self._clients: list[socket.socket] = []
        self._acts = [*[self._publish] * 4, *[self._come] * 3, self._go, *[self._read] * 2]

    async def run(self, steps: int) -> None:
        """Do `steps` things, and look after each one whether it all adds up."""
        for _ in range(steps):
            await self._random.choice(self._acts)()
            await asyncio.sleep(self._random.choice([0, 0, 0.002]))
            assert_conserved(self._server.hub)

    async def settle(self) -> None:
        """Let everybody read until nobody lags."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_settled(self._server.hub):
                await self._read()
                await asyncio.sleep(0.001)
                assert_conserved(self._server.hub)

    def close(self) -> None:
        for client in self._clients:
            client.close()

    async def _publish(self) -> None:
        size = self._random.choice([2, 200, 30_000])
        drafts = [
            Draft(self._random.choice(["tick", "tock"]), b"1" * size, self._random.choice("abcd"))
            for _ in range(self._random.choice([1, 1, 20]))
        ]
        await self._server.hub.publish(*drafts)

    async def _come(self) -> None:
        query = self._random.choice(QUERIES)
        behind = self._random.choice([None, 0, 3, 100])
        if behind is not None:
            ring = self._server.hub.ring
            last = ring.id_at(max(ring.head - behind, 0))
            query += f"{'&' if query else '?'}last_event_id={last}"
        self._clients.append(stalled(self._server, query))

    async def _go(self) -> None:
        if self._clients:
            client = self._clients.pop(self._random.randrange(len(self._clients)))
            if self._random.random() < 0.5:  # with a reset, as a client that crashed
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

    async def _read(self) -> None:
        for client in self._clients[self._random.choice([0, 1, 5]) :]:
            read_all(client)


async def test_counts_add_up_while_clients_come_go_stall_and_resume() -> None:
    async with serving(history_events=60, slow_client_timeout=0.5) as server:
        churn = Churn(server, seed=5)
        await churn.run(500)
        await churn.settle()
        hub, counters = server.hub, server.hub.counters
        given_up = sum(counters.undelivered.values())
        assert counters.delivered_live + counters.delivered_catchup + given_up == recipients(hub)
        assert sum(counters.latency_s.counts) == (
            counters.delivered_live + counters.delivered_catchup
        )
        # Or else the course was too tame to show anything.
        assert (
            min(counters.delivered_live, counters.delivered_catchup, counters.delivered_replay)
            > 100
        )
        assert min(counters.closed["slow"], counters.closed["client"], given_up) > 5
        churn.close()
    assert not server.hub.streams
    assert_conserved(server.hub)
