"""What rights cost: the CPU time of a POST and of a delivery, without authentication, with a key, with a token.

    python -m benchmarks.rights_cost [runs]     two minutes

Separate processes differ by more than what is asked for, as memory lies elsewhere in each. So the three hubs stand in
one process, on one loop, and take turns window by window; what is compared are windows that follow one another. In
the next run, a new process, the hubs are made in another order. The figures are medians over the runs, and the
intervals hold what 95 of 100 draws of as many runs, with replacement, have as their medians.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from tocsin import Settings
from tocsin.access.keys import Key, digest_of, new_secret, write_keys
from tocsin.access.rights import Patterns
from tocsin.access.tokens import sign
from tocsin.app import Server

RUNS = 6
CLIENTS = 1_000
POSTS, POST_ROUNDS = 100, 120
"""POSTs of a window without streams, and windows of each hub in a run."""

EVENTS, EVENT_ROUNDS = 4, 40
"""The same with streams: events of a window, one after the other, each delivered to all clients."""

DRAWS = 10_000
WITHOUT, KEY, TOKEN = "without", "key", "token"
LIMITS = {f"POST, {kind}": "us more, wanted: at most 10" for kind in (KEY, TOKEN)}
LIMITS |= {f"delivery, {kind}": "% more, wanted: at most 3" for kind in (KEY, TOKEN)}
SECRET = "0123456789abcdef0123456789abcdef"
RIGHTS = ["orders/*"]
BODY = json.dumps({"type": "notification", "message": "x" * 100, "topic": "orders/1"}).encode()


class Publisher:
    """A hub on this loop, one connection that publishes, and streams."""

    def __init__(self, server: Server, credential: str) -> None:
        self._server = server
        self._bearer = f"Authorization: Bearer {credential}\r\n" if credential else ""
        head = f"POST /api/notify HTTP/1.1\r\nHost: localhost\r\n{self._bearer}"
        head += f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        self._request = head.encode() + BODY
        self._connection = self._connect()
        self._streams: list[socket.socket] = []

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._server.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        return connection

    async def open_streams(self) -> None:
        request = f"GET /events HTTP/1.1\r\nHost: localhost\r\n{self._bearer}\r\n".encode()
        for _ in range(CLIENTS):
            self._streams.append(self._connect())
            self._streams[-1].send(request)
            await asyncio.sleep(0)
        while self._server.hub.counters.delivered or len(self._server.hub.streams) < CLIENTS:
            await asyncio.sleep(0)

    async def cpu_s_of(self, events: int) -> float:
        """Publish so many events, each when the one before has been answered and delivered; what the hub took."""
        counters = self._server.hub.counters
        began = time.thread_time()
        for _ in range(events):
            due = counters.delivered_live + len(self._streams)
            self._connection.send(self._request)
            answer = b""
            while not answer or counters.delivered_live < due:
                await asyncio.sleep(0)
                with suppress(BlockingIOError):
                    answer = self._connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200"), answer
        taken = time.thread_time() - began
        for stream in self._streams:  # so that none lags; a client's part, which isn't counted
            with suppress(BlockingIOError):
                stream.recv(1 << 20)
        return taken

    def close(self) -> None:
        for each in (self._connection, *self._streams):
            each.close()


async def hubs(stack: AsyncExitStack, order: Sequence[str]) -> dict[str, Publisher]:
    """A hub of each kind, made in this order; with rights, everybody may read and publish on `RIGHTS`."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    path, key = f"{folder}/keys.toml", new_secret()
    rights = Patterns(RIGHTS)
    write_keys(
        path,
        {"shop": Key(name="shop", digests=(digest_of(key),), publish=rights, subscribe=rights)},
    )
    claims: dict[str, Any] = {"sub": "shop", "exp": int(time.time()) + 3_600}
    claims["tocsin"] = {"publish": RIGHTS, "subscribe": RIGHTS}
    credentials = {WITHOUT: "", KEY: key, TOKEN: sign(claims, SECRET, None, None)}
    settings: dict[str, dict[str, Any]] = {
        WITHOUT: {},
        KEY: {"keys": path},
        TOKEN: {"jwt_key": SECRET},
    }
    found: dict[str, Publisher] = {}
    for kind in order:
        server = Server(Settings(port=0, canary=0.0, drain_timeout=1.0, **settings[kind]))
        await server.start()
        stack.push_async_callback(server.stop)
        found[kind] = Publisher(server, credentials[kind])
        stack.callback(found[kind].close)
    return found


async def windows(found: dict[str, Publisher], rounds: int, events: int) -> dict[str, list[float]]:
    """Microseconds an event, of each hub by its rounds; who comes first changes from round to round."""
    us: dict[str, list[float]] = {kind: [] for kind in found}
    kinds = list(found)
    for publisher in found.values():
        await publisher.cpu_s_of(events)  # what is made once is made now
    for _ in range(rounds):
        kinds.append(kinds.pop(0))
        for kind in kinds:
            us[kind].append(await found[kind].cpu_s_of(events) / events * 1e6)
    return us


def differences(us: dict[str, list[float]], kind: str) -> float:
    """By how much more than without rights an event of `kind` takes, in the median of the rounds."""
    return statistics.median(a - b for a, b in zip(us[kind], us[WITHOUT], strict=True))


async def one_run(number: int) -> dict[str, float]:
    """Figures of one process: microseconds more a POST, percent more an event that all clients get."""
    order = [WITHOUT, KEY, TOKEN]
    random.Random(number).shuffle(order)
    figures: dict[str, float] = {}
    async with AsyncExitStack() as stack:
        found = await hubs(stack, order)
        posts = await windows(found, POST_ROUNDS, POSTS)
        for publisher in found.values():
            await publisher.open_streams()
        deliveries = await windows(found, EVENT_ROUNDS, EVENTS)
    figures["POST"] = statistics.median(posts[WITHOUT])
    figures["delivery"] = statistics.median(deliveries[WITHOUT]) / CLIENTS
    for kind in (KEY, TOKEN):
        figures[f"POST, {kind}"] = differences(posts, kind)
        base = statistics.median(deliveries[WITHOUT])
        figures[f"delivery, {kind}"] = differences(deliveries, kind) / base * 100
    return figures


def interval(values: Sequence[float]) -> tuple[float, float]:
    """What 95 of 100 medians of as many values, drawn from these, lie within."""
    dice = random.Random(0)
    drawn = sorted(statistics.median(dice.choices(values, k=len(values))) for _ in range(DRAWS))
    return drawn[DRAWS // 40], drawn[-DRAWS // 40]


def main() -> None:
    if sys.argv[1:2] == ["--run"]:
        print(json.dumps(asyncio.run(one_run(int(sys.argv[2])))))
        return
    runs: list[dict[str, float]] = []
    for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS):
        command = [sys.executable, "-m", "benchmarks.rights_cost", "--run", str(number)]
        output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        runs.append(json.loads(output))
    for name in runs[0]:
        values = [figures[name] for figures in runs]
        low, high = interval(values)
        shown = f"{statistics.median(values):7.3f} ({low:.3f} to {high:.3f})"
        print(f"{name:16} {shown} {LIMITS.get(name, 'us')}")


if __name__ == "__main__":
    main()
