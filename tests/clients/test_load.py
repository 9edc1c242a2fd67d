"""Clients killed and brought back at random, under a thousand events a second."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S
from tests.raw import notice
from tests.serving import eventually
from tests.sse import EventStreamParser

CLIENTS = 12
PUBLISHERS = 8
EVENTS_PER_S = 1_000


@dataclass
class Reader:
    """One client over many lives: it resumes from the last ID each time."""

    hub: HubProcess
    dice: random.Random
    seen: list[str] = field(default_factory=list)
    cursor: str = ""
    lives: int = 0

    async def churn(self, is_over: Callable[[], bool]) -> None:
        """Live for 10 to 400 ms, and again, until it is over."""
        while not is_over():
            await self.live(self.dice.uniform(0.01, 0.4))

    async def live(self, seconds: float, last: str | None = None) -> None:
        """Read for so long, or until the event `last` has come; then go, with a reset."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.hub.port)
        header = f"Last-Event-ID: {self.cursor}\r\n" if self.cursor else ""
        writer.write(f"GET /events HTTP/1.0\r\nHost: localhost\r\n{header}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        parser = EventStreamParser()
        try:
            async with asyncio.timeout(seconds):
                while self.cursor != last:
                    data = await reader.read(self.dice.choice((500, 65_536)))
                    assert data, "the stream ended"
                    for event in parser.feed(data):
                        assert event.type in ("connection", "notification"), event
                        self.cursor = event.last_event_id
                        if event.type == "notification":
                            self.seen.append(self.cursor)
        except TimeoutError:
            pass
        writer.transport.abort()
        self.lives += 1


async def publish(hub: HubProcess, is_enough: Callable[[int], bool]) -> list[str]:
    """A thousand single POSTs a second at most, over some connections at once; the IDs in their order."""
    ids: list[str] = []
    started = time.monotonic()
    numbers = itertools.count()

    async def publisher() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        body = notice(type="notification", message="x" * 40)
        head = (
            "POST /api/notify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        while not is_enough(len(ids)):
            await asyncio.sleep(started + next(numbers) / EVENTS_PER_S - time.monotonic())
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"}")
            ids.append(answer.partition(b'"id":"')[2].partition(b'"')[0].decode())
        writer.close()

    await asyncio.gather(*(publisher() for _ in range(PUBLISHERS)))
    return sorted(ids, key=lambda each: int(each.partition("-")[2]))


@pytest.mark.parametrize(
    ("lives", "events"), [(150, 3_000), pytest.param(3_000, 30_000, marks=pytest.mark.soak)]
)
async def test_killed_and_reconnected_clients_lose_nothing_and_repeat_nothing(
    start_hub: StartHub, lives: int, events: int
) -> None:
    hub = start_hub("--history-events", "200000")
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    readers = [Reader(hub, random.Random(seed + number)) for number in range(CLIENTS)]
    log: list[str] = []
    churning = [asyncio.ensure_future(reader.churn(lambda: bool(log))) for reader in readers]
    await eventually(lambda: all(reader.cursor for reader in readers), "a welcome for each")

    def is_enough(published: int) -> bool:
        return published >= events and sum(reader.lives for reader in readers) >= lives

    log += await publish(hub, is_enough)
    await asyncio.gather(*churning)
    await asyncio.gather(*(reader.live(PATIENCE_S, log[-1]) for reader in readers))
    for reader in readers:
        assert reader.seen == log
    assert hub.metric('tocsin_resumes_total{outcome="gap"}') == 0
    assert hub.metric('tocsin_resumes_total{outcome="complete"}') >= lives - CLIENTS
