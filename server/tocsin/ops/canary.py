"""The canary: proves from end to end, every few seconds, that what is published arrives.

A run opens a stream over a connection to the hub's own listener, publishes by a POST, and waits for the event. It
takes the way of everybody's events from the reading of a request on, so it fails when theirs fail. The connection
is a pair of sockets and not the network: hosts, TLS, rights and other processes on the port don't matter to it. Its
topic is a reserved one: no client gets it, and no count or history shows it but the canary's own metrics.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import msgspec

from tocsin.hub.hub import Hub

TOPIC = "tocsin/canary"
TYPE = "canary"

TIMEOUT_S = 5.0
"""How long a run may take: the highest bound of the latencies."""

log = logging.getLogger("tocsin.ops.canary")


class Canary:
    """Runs every `interval_s` seconds, and counts in the hub's counters how that went.

    Args:
        hub: whose listener it is.
        connect: opens a connection to it that is known as the hub's own.
        interval_s: between the end of a run and the next one's begin.
        timeout_s: of one run, after which it has failed.
    """

    def __init__(
        self,
        hub: Hub,
        connect: Callable[[], socket.socket],
        interval_s: float,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._counters = hub.counters
        self._connect = connect
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._failing = False
        self._flight: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run from now on, on the running loop."""
        self._counters.canary_interval_s = self._interval_s
        self._counters.canary_since = time.monotonic()
        self._flight = asyncio.ensure_future(self._run_on())

    async def stop(self) -> None:
        """End; a run that is under way is not counted."""
        self._counters.canary_interval_s = 0.0
        if self._flight:
            self._flight.cancel()
            with suppress(asyncio.CancelledError):
                await self._flight

    async def _run_on(self) -> None:
        while True:
            await self.run()
            await asyncio.sleep(self._interval_s)

    async def run(self) -> None:
        """One run, counted."""
        try:
            async with asyncio.timeout(self._timeout_s):
                latency_s = await self._measure()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self._note_failure(error)  # a timeout is an OSError, a connection cut off an EOFError
            return
        self._failing = False
        self._counters.canary_runs["ok"] += 1
        self._counters.canary_s.observe(latency_s)
        self._counters.canary_last_success = time.time()
        self._counters.canary_since = time.monotonic()

    def _note_failure(self, error: Exception) -> None:
        self._counters.canary_runs["failed"] += 1
        if not self._failing:  # the first one tells; the metrics count the others
            log.error("canary failed", extra={"why": repr(error), "timeout_s": self._timeout_s})
        self._failing = True

    async def _measure(self) -> float:
        """Seconds from sending the POST to having its event.

        Raises:
            OSError, EOFError, ValueError, asyncio.LimitOverrunError: it didn't come.
        """
        nonce = secrets.token_hex(8)
        async with self._asking(f"GET /events?topic={TOPIC} HTTP/1.1") as stream:
            await stream.readuntil(b"event: connection\n")
            body = msgspec.json.encode({"type": TYPE, "message": nonce, "topic": TOPIC})
            began = time.perf_counter()
            async with self._asking("POST /api/notify HTTP/1.1", body):
                await stream.readuntil(nonce.encode())
                return time.perf_counter() - began

    @asynccontextmanager
    async def _asking(
        self, request_line: str, body: bytes = b""
    ) -> AsyncIterator[asyncio.StreamReader]:
        """Send a request over a connection of its own; yields the answer, behind its status line."""
        reader, writer = await asyncio.open_connection(sock=self._connect())
        try:
            fields = ["Host: tocsin"]
            if body:
                fields += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
            head = "\r\n".join([request_line, *fields, "", ""])
            writer.write(head.encode() + body)
            status = await reader.readline()
            if b" 200 " not in status:
                raise ValueError(f"the hub answered {status.decode('latin-1').strip()!r}")
            yield reader
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
