"""A restart with thousands of streams: nobody is refused, and they come back spread over the window."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import time
from collections import Counter

import pytest

from tests.patience import PATIENCE_S
from tests.process.test_listening import activated
from tests.sse import EventStreamParser

STREAMS = 5_000
RETRY_MS = 3_000


class Client:
    """Follows one stream: it comes back when it is told to, from where it was."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.parser = EventStreamParser()
        self.events: list[str] = []
        self.returned_at = 0.0
        self.told_ms = 0
        self.refused = 0
        self.is_open = asyncio.Event()

    async def follow(self) -> None:
        while True:
            await self._read_one()
            self.is_open.clear()
            self.told_ms = self.parser.retry_ms or 0
            await asyncio.sleep(self.told_ms / 1_000)
            self.returned_at = time.monotonic()

    async def _read_one(self) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            self.refused += 1
            return
        last = self.parser.last_event_id
        fields = (
            f"Host: localhost\r\n{f'Last-Event-ID: {last}' + chr(13) + chr(10) if last else ''}"
        )
        writer.write(f"GET /events HTTP/1.0\r\n{fields}\r\n".encode())
        try:
            await reader.readuntil(b"\r\n\r\n")
            while piece := await reader.read(65_536):
                for event in self.parser.feed(piece):
                    self.events.append(event.type)
                    if event.type == "connection":
                        self.is_open.set()
        except (OSError, asyncio.IncompleteReadError):
            self.refused += 1
        finally:
            writer.transport.abort()


@pytest.mark.soak
async def test_thousands_come_back_spread_over_the_window_and_none_is_refused() -> None:
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0), backlog=4_096) as listening:
        port = listening.getsockname()[1]
        flags = ("--retry", str(RETRY_MS), "--drain-timeout", "30", "--log-level", "warning")
        first = await loop.run_in_executor(None, lambda: activated(listening, *flags))
        clients = [Client(port) for _ in range(STREAMS)]
        following = []
        for client in clients:
            following.append(asyncio.ensure_future(client.follow()))
            if len(following) % 200 == 0:
                await asyncio.gather(*[each.is_open.wait() for each in clients[: len(following)]])
        began = time.monotonic()
        first.send_signal(signal.SIGTERM)
        assert await loop.run_in_executor(None, first.wait, PATIENCE_S) == 0
        drained_s = time.monotonic() - began
        second = await loop.run_in_executor(None, lambda: activated(listening, *flags))
        async with asyncio.timeout(2 * PATIENCE_S):
            for client in clients:
                while not client.returned_at:
                    await asyncio.sleep(0.05)
                await client.is_open.wait()
        seconds = Counter(int(client.returned_at - began) for client in clients)
        print(f"drained in {drained_s:.2f} s; returns by second: {sorted(seconds.items())}")
        assert sum(client.refused for client in clients) == 0
        assert {client.events.count("busy") for client in clients} == {1}
        assert {client.events.count("gap") for client in clients} <= {0, 1}  # the log is in memory
        # Six seconds of even returns, 833 in each; when they did come is this machine's business, too.
        told = Counter(client.told_ms // 1_000 for client in clients)
        assert set(told) == set(range(3, 9)), told
        assert all(700 < count < 970 for count in told.values()), told
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        await asyncio.sleep(0)  # the transports' turn to close
        for hub in (first, second):
            hub.kill()
            hub.communicate()
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
