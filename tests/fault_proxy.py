"""A TCP proxy that does what bad networks do: waits, trickles, loses, cuts. On command, or by plan."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.patience import PATIENCE_S

T = TypeVar("T")

RESET = struct.pack("ii", 1, 0)
BUFFER_BYTES = 65_536
"""What the proxy's own sockets hold: more would hide from the hub that a client is slow."""


@dataclass(frozen=True)
class Faults:
    """What happens to one connection; by itself nothing.

    Attributes:
        latency_s: how long each piece waits, either way.
        piece_bytes: the answer leaves in pieces of at most so many bytes, a segment each.
        bytes_per_s: how fast the answer passes at most; 0 is without a limit.
        cut_after: the answer ends after so many bytes; None lets it be.
        cut_from: where they are counted from: the first place of these bytes in the answer.
        cut_with_reset: whether it ends by RST, which may take with it what the client hasn't read, or by FIN.
    """

    latency_s: float = 0.0
    piece_bytes: int = BUFFER_BYTES
    bytes_per_s: float = 0.0
    cut_after: int | None = None
    cut_from: bytes = b""
    cut_with_reset: bool = True


NONE = Faults()

Plan = Callable[[str, int], Faults]
"""From the target of a request, and how many requests had the same one before, to what happens to its connection then."""


class FaultProxy:
    """Forwards a free port to `port`, on a thread of its own.

    Attributes:
        cuts: how many connections it has cut.
        lost_bytes: how many bytes went nowhere.
        loses_requests, loses_answers: a black hole in one direction: bytes are taken, and go nowhere.
    """

    def __init__(self, port: int, plan: Plan = lambda target, number: NONE) -> None:
        self.cuts = 0
        self.lost_bytes = 0
        self.loses_requests = False
        self.loses_answers = False
        self._target_port = port
        self._plan = plan
        self._had: Counter[str] = Counter()
        self._open: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1_024)
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(self._listen())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Reset all connections that are open now, and lose no more."""
        self._run(self._cut())

    def close(self) -> None:
        """Cut all, and end."""
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, sock=self._listener, limit=BUFFER_BYTES)

    async def _cut(self) -> None:
        for pair in list(self._open):
            self.cuts += 1
            pair.reset()
        self.loses_requests = self.loses_answers = False

    async def _stop(self) -> None:
        self._server.close()
        await self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.read(BUFFER_BYTES)
            upstream_reader, upstream_writer = await self._connect()
        except OSError:
            _reset(writer)
            return
        pair = _Pair(self, reader, writer, upstream_reader, upstream_writer)
        self._open.add(pair)
        try:
            await pair.forward(first)
        except OSError:
            pair.reset()
        finally:
            self._open.discard(pair)
            pair.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        upstream = socket.socket()
        upstream.setblocking(False)
        upstream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        try:
            await self._loop.sock_connect(upstream, ("127.0.0.1", self._target_port))
        except OSError:
            upstream.close()
            raise
        return await asyncio.open_connection(sock=upstream, limit=BUFFER_BYTES)

    def faults_of(self, request: bytes) -> Faults:
        """What is to happen to a connection on which this request begins."""
        target = request.split(b" ")[1].decode("latin-1") if request.count(b" ") > 1 else ""
        self._had[target] += 1
        return self._plan(target, self._had[target] - 1)


class _Pair:
    """A client's connection, and the one to the hub that belongs to it."""

    def __init__(
        self,
        proxy: FaultProxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._upstream_reader, self._upstream_writer = upstream_reader, upstream_writer
        self._faults = NONE
        self._cut = _Cut(NONE)

    async def forward(self, first: bytes) -> None:
        """Forward both ways until one of them ends; the end of one is that of both."""
        ways = {
            asyncio.ensure_future(self._send_requests(first)),
            asyncio.ensure_future(self._send_answers()),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            results = await asyncio.gather(*ways, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _send_requests(self, data: bytes) -> None:
        self._suffer(data)
        while data:
            await asyncio.sleep(self._faults.latency_s)
            if self._proxy.loses_requests:
                self._proxy.lost_bytes += len(data)
            else:
                self._upstream_writer.write(data)
                await self._upstream_writer.drain()
            data = await self._reader.read(BUFFER_BYTES)
            if data.startswith(b"GET "):  # a browser asks for a stream where it got its page
                self._suffer(data)

    def _suffer(self, request: bytes) -> None:
        self._faults = self._proxy.faults_of(request)
        self._cut = _Cut(self._faults)

    async def _send_answers(self) -> None:
        while data := await self._upstream_reader.read(self._faults.piece_bytes):
            faults, cut = self._faults, self._cut
            await asyncio.sleep(faults.latency_s)
            if self._proxy.loses_answers:
                self._proxy.lost_bytes += len(data)
                continue
            self._writer.write(cut.let_through(data))
            await self._writer.drain()
            if cut.is_due:
                self._proxy.cuts += 1
                if faults.cut_with_reset:
                    self.reset()
                return
            if faults.bytes_per_s:
                await asyncio.sleep(len(data) / faults.bytes_per_s)

    def reset(self) -> None:
        """End both connections by RST."""
        _reset(self._writer)
        _reset(self._upstream_writer)

    def close(self) -> None:
        """End both by FIN, when what was written has left."""
        self._writer.close()
        self._upstream_writer.close()


class _Cut:
    """Where an answer ends."""

    def __init__(self, faults: Faults) -> None:
        self._after = faults.cut_after
        self._from = faults.cut_from
        self._before = b""  # the last bytes that passed: the place may begin in them
        self._counts = not self._from
        self.is_due = False

    def let_through(self, data: bytes) -> bytes:
        """What may pass of the next bytes of the answer."""
        if self._after is None:
            return data
        start = 0
        if not self._counts:
            place = (self._before + data).find(self._from)
            if place < 0:
                self._before = (self._before + data)[1 - len(self._from) :]
                return data
            start = place - len(self._before)
            self._counts = True
        passes = data[: max(start + self._after, 0)]
        self._after -= len(data) - start
        self.is_due = self._after <= 0
        return passes


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
