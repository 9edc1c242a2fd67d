"""A connection to Redis that a test can cut, or hold the answers of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Passes on what comes.

    Attributes:
        port: where it listens.
        holds_answers: whether what Redis says is kept back from now on.
    """

    def __init__(self, redis_port: int) -> None:
        self.port = 0
        self.holds_answers = False
        self._redis_port = redis_port
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Reset every connection; what was kept back is gone."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def turn_to(self, redis_port: int) -> None:
        """Pass on to another Redis, as after a failover."""
        self._redis_port = redis_port
        self.cut()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._redis_port)
        except ConnectionError:
            writer.transport.abort()
            return
        self._writers |= {writer, forth}
        with suppress(ConnectionError):
            await asyncio.gather(self._pass(reader, forth, False), self._pass(back, writer, True))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_answer: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                while is_answer and self.holds_answers:
                    await asyncio.sleep(0.01)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
        self._writers.discard(writer)


@asynccontextmanager
async def proxy_to(redis_port: int) -> AsyncIterator[Proxy]:
    """A proxy in front of Redis at this port."""
    proxy = Proxy(redis_port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.holds_answers = False
        proxy.cut()
        server.close()
