"""A hub with its listener on the test's own loop, and a client that reads its streams."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar, Protocol, Self

from tests.patience import PATIENCE_S
from tests.sse import EventStreamParser, ServerSentEvent
from tocsin import Draft, Settings
from tocsin.app import Server


class Transport:
    """How tests reach their servers: plainly, until a test says otherwise."""

    settings: ClassVar[dict[str, Any]] = {}
    ssl: ClassVar[ssl.SSLContext | None] = None


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Server]:
    """A server on a free port, with these settings; ends when the block does."""
    settings.setdefault("drain_timeout", 1.0)
    server = Server(Settings(port=0, **Transport.settings, **settings))
    await server.start()
    try:
        yield server
    finally:
        await StreamClient.close_all()
        await server.stop()


async def publish(server: Server, count: int = 1, **fields: Any) -> list[str]:
    """Publish `count` events without HTTP, and return their ids."""
    drafts = [
        Draft(fields.get("type", "notification"), b"{}", **_topic(fields)) for _ in range(count)
    ]
    return [str(receipt.id) for receipt in await server.hub.publish(*drafts)]


def _topic(fields: dict[str, Any]) -> dict[str, Any]:
    return {"topic": fields["topic"]} if "topic" in fields else {}


async def eventually(condition: Callable[[], object], what: str = "") -> None:
    """Wait for `condition`, and fail if it doesn't come true within `PATIENCE_S`."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


class Listening(Protocol):
    """Whatever listens on a port of this machine: a server, a hub's process, a proxy."""

    port: int


class StreamClient:
    """One open stream, read by the reference parser. Takes chunked and close-delimited bodies."""

    opened: ClassVar[list[StreamClient]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = EventStreamParser()
        self._events: list[ServerSentEvent] = []
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    @classmethod
    async def open(
        cls,
        server: Server | Listening,
        query: str = "",
        version: str = "1.1",
        method: str = "GET",
        **headers: str,
    ) -> Self:
        """Connect, send the request, and read the answer's head."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            server.port,
            ssl=Transport.ssl,
            server_hostname="localhost" if Transport.ssl else None,
        )
        fields = {"Host": "localhost", **{k.replace("_", "-"): v for k, v in headers.items()}}
        lines = [
            f"{method} /events{query} HTTP/{version}",
            *(f"{k}: {v}" for k, v in fields.items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        client = cls(reader, writer)
        cls.opened.append(client)
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)).decode("latin-1")
        status_line, *lines = head.strip().split("\r\n")
        client.status = int(status_line.split()[1])
        client.headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        return client

    @classmethod
    async def close_all(cls) -> None:
        """Close what tests opened, so that no socket outlives its loop."""
        while cls.opened:
            writer = cls.opened.pop()._writer
            writer.close()
            with suppress(OSError):  # of TLS too, whose end may be cut short
                await writer.wait_closed()

    @property
    def retry_ms(self) -> int | None:
        return self._parser.retry_ms

    @property
    def last_event_id(self) -> str:
        return self._parser.last_event_id

    async def next(self) -> ServerSentEvent:
        """The next event; fails at the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._events:
                piece = await self._read()
                assert piece, "the stream ended"
                self._take(piece)
        return self._events.pop(0)

    async def next_or_end(self) -> ServerSentEvent | None:
        """The next event; None at a clean end of the body."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._events:
                piece = await self._read()
                if not piece:
                    return None
                self._take(piece)
        return self._events.pop(0)

    async def take(self, count: int) -> list[ServerSentEvent]:
        """The next `count` events."""
        return [await self.next() for _ in range(count)]

    async def read_to_end(self) -> list[ServerSentEvent]:
        """All events up to a clean end of the body."""
        async with asyncio.timeout(PATIENCE_S):
            while piece := await self._read():
                self._take(piece)
        events, self._events = self._events, []
        return events

    async def is_quiet(self, seconds: float = 0.1) -> bool:
        """Whether no event comes for a moment."""
        try:
            async with asyncio.timeout(seconds):
                while not self._events:
                    piece = await self._read()
                    if not piece:
                        return True
                    self._take(piece)
        except TimeoutError:
            return True
        return False

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """Close with RST."""
        self._writer.transport.abort()

    def _take(self, piece: bytes) -> None:
        self.body += piece
        self._events += self._parser.feed(piece)

    async def _read(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return await self._reader.read(65_536)
        size = int(await self._reader.readuntil(b"\r\n"), 16)
        return (await self._reader.readexactly(size + 2))[:-2]
