"""A hub without a listener on the test's own loop, and clients at the other ends of its sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

from tests.patience import PATIENCE_S
from tests.serving import eventually
from tests.sse import EventStreamParser, ServerSentEvent
from tocsin import Draft, Filter, Hub, Settings
from tocsin.core.filters import EVERYTHING
from tocsin.eventlog.journal import Journal
from tocsin.hub.stream import Stream


@asynccontextmanager
async def running(journal: Journal | None = None, **settings: Any) -> AsyncIterator[Hub]:
    """A hub with these settings; ends when the block does."""
    settings.setdefault("drain_timeout", 0.2)
    async with running_as(Settings(**settings), journal) as hub:
        yield hub


@asynccontextmanager
async def running_as(settings: Settings, journal: Journal | None) -> AsyncIterator[Hub]:
    """The same with settings that name a journal."""
    hub = Hub(settings, journal)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()
        while Client.ends:
            Client.ends.pop().close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection, non-blocking."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def tcp_pair(buffer_bytes: int = 16_384) -> tuple[socket.socket, socket.socket]:
    """The same over TCP, with small buffers in the kernel."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        theirs.connect(listener.getsockname())
        ours, _ = listener.accept()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


class Client:
    """The client of one stream, whose body is not chunked."""

    ends: ClassVar[list[socket.socket]] = []

    def __init__(self, hub: Hub, filter: Filter = EVERYTHING, *, tcp: bool = False, **options: Any):
        ours, self.end = tcp_pair() if tcp else pair()
        Client.ends += [ours, self.end]
        self._parser = EventStreamParser()
        self.stream: Stream = hub.subscribe(ours, filter, chunked=False, **options)

    def read(self) -> list[ServerSentEvent]:
        """The events that have come since the last time."""
        events: list[ServerSentEvent] = []
        with suppress(BlockingIOError):
            while data := self.end.recv(65_536):
                events += self._parser.feed(data)
        return events

    def ids(self) -> list[str]:
        """The ids of the published events among them."""
        own = ("connection", "gap", "presence", "busy")
        return [event.last_event_id for event in self.read() if event.type not in own]

    async def is_cut_off(self) -> str:
        """Wait for the end of the connection; returns ``closed`` or ``reset``."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    if not self.end.recv(65_536):
                        return "closed"
                except BlockingIOError:
                    await asyncio.sleep(0.005)
                except ConnectionResetError:
                    return "reset"


async def settled(hub: Hub) -> None:
    """Wait until everything that was published is sent."""
    await eventually(lambda: not hub.lagging and not hub._fan_out.is_under_way)


async def turns_of(work: Awaitable[object]) -> int:
    """How many turns the loop got for others while `work` was done."""
    task = asyncio.ensure_future(work)
    turns = 0
    async with asyncio.timeout(PATIENCE_S):
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
    await task
    return turns


def append_now(hub: Hub, count: int) -> None:
    """Append events, and don't wait for the end of the loop's turn."""
    with hub.end_of_turn:
        hub.append(drafts(count))


def drafts(count: int, topic: str = "default", data: bytes = b"{}") -> list[Draft]:
    return [Draft("tick", data, topic) for _ in range(count)]
