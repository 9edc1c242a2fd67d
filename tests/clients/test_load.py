"""Clients killed and brought back at random, under a thousand events a second."""

from __future__ import annotations

import asyncio
import random
import threading
import time

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.raw import notice
from tests.sse import EventStreamParser

CLIENTS = 12
SECONDS = 8.0
EVENTS_PER_S = 1_000


def publish(hub: HubProcess, ids: list[str]) -> None:
    """A thousand single POSTs a second, over eight connections at once."""
    asyncio.run(_publish(hub, ids))


async def _publish(hub: HubProcess, ids: list[str]) -> None:
    started = time.monotonic()
    total = int(SECONDS * EVENTS_PER_S)
    numbers = iter(range(total))

    async def worker() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        body = notice(type="notification", message="x" * 40)
        head = (
            "POST /api/notify HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        for number in numbers:
            await asyncio.sleep(started + number / EVENTS_PER_S - time.monotonic())
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"}")
            ids.append(answer.partition(b'"id":"')[2].partition(b'"')[0].decode())
        writer.close()

    await asyncio.gather(*(worker() for _ in range(8)))


async def listen(hub: HubProcess, dice: random.Random, until: threading.Event) -> list[str]:
    """All ids one client sees over many lives, resuming from the last one each time."""
    seen: list[str] = []
    cursor = ""
    while True:
        finishing = until.is_set()
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        header = f"Last-Event-ID: {cursor}\r\n" if cursor else ""
        writer.write(f"GET /events HTTP/1.0\r\nHost: hub\r\n{header}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        parser = EventStreamParser()
        life = 1.0 if finishing else dice.uniform(0.01, 0.4)
        try:
            async with asyncio.timeout(life):
                while data := await reader.read(dice.choice((500, 65_536))):
                    for event in parser.feed(data):
                        assert event.type in ("connection", "notification"), event
                        cursor = event.last_event_id
                        if event.type == "notification":
                            seen.append(cursor)
        except TimeoutError:
            pass
        writer.transport.abort()
        if finishing:
            return seen


def test_killed_and_reconnected_clients_lose_nothing_and_repeat_nothing(
    start_hub: StartHub,
) -> None:
    hub = start_hub("--history-events", "20000")
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    ids: list[str] = []
    until = threading.Event()

    async def run() -> list[list[str]]:
        clients = [listen(hub, random.Random(seed + n), until) for n in range(CLIENTS)]
        tasks = [asyncio.ensure_future(client) for client in clients]
        await asyncio.to_thread(publish, hub, ids)
        until.set()
        return await asyncio.gather(*tasks)

    seen = asyncio.run(run())
    log = sorted(ids, key=lambda each: int(each.partition("-")[2]))
    assert len(log) == SECONDS * EVENTS_PER_S
    for each in seen:
        first = log.index(each[0])
        assert first < 1_000
        assert each == log[first:]
    assert hub.metric('tocsin_resumes_total{outcome="gap"}') == 0
    assert hub.metric('tocsin_resumes_total{outcome="complete"}') > 100
