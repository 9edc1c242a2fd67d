"""What rights cost: the hub's CPU time of a POST and of a delivery, without authentication, with a key, with a token.

    python -m benchmarks.rights_cost [rounds]

The hubs run side by side and are asked in turn, so that what else the machine does meets all of them; what is
compared is the CPU time of their processes, and the medians of many short windows.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.readers import read_on

CLIENTS = 1_000
POSTS = 2_000
"""POSTs of a window without streams."""

EVENTS = 100
"""Events of a window, each delivered to all clients, one after the other."""

WITHOUT, KEY, TOKEN = "without", "with a key", "with a token"
MOST_OF_POST_US, MOST_OF_DELIVERIES = 10.0, 0.03
SECRET = "0123456789abcdef0123456789abcdef"
BODY = json.dumps({"type": "notification", "message": "x" * 100, "topic": "orders/1"}).encode()


def tocsin(*arguments: str) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "tocsin", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]


class Hub:
    """A hub and its streams.

    Args:
        flags: of its rights.
        credential: that everybody sends; empty is none.
    """

    def __init__(self, flags: tuple[str, ...], credential: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        command = [sys.executable, "-m", "tocsin", "serve", "--port", str(self._port)]
        self._process = subprocess.Popen(
            [*command, "--canary", "0", "--log-level", "warning", *flags],
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout
        self._process.stdout.readline()
        self._bearer = f"Authorization: Bearer {credential}\r\n" if credential else ""
        self._publisher = socket.create_connection(("127.0.0.1", self._port))
        self._publisher.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"POST /api/notify HTTP/1.1\r\nHost: localhost\r\n{self._bearer}"
        head += f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        self._request = head.encode() + BODY
        self._readers = 0

    def open_streams(self) -> None:
        """Open them in a process of their own, which reads what comes."""
        ours, theirs = socket.socketpair()
        self._readers = os.fork()
        if self._readers == 0:
            read_streams(self._port, self._bearer, theirs)
        ours.recv(1)

    def publish(self, count: int) -> None:
        """POST so many events, each when the one before is answered."""
        for _ in range(count):
            self._publisher.sendall(self._request)
            answer = self._publisher.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200"), answer

    def cpu_of(self, count: int) -> float:
        """Seconds of CPU that the hub takes for so many events."""
        before = self._cpu_s()
        self.publish(count)
        time.sleep(0.02)  # for the last pass, if it is still under way
        return self._cpu_s() - before

    def _cpu_s(self) -> float:
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def close(self) -> None:
        if self._readers:
            os.kill(self._readers, signal.SIGKILL)
            os.waitpid(self._readers, 0)
        self._publisher.close()
        self._process.kill()
        self._process.wait()


def read_streams(port: int, bearer: str, told: socket.socket) -> None:
    """Open `CLIENTS` streams, say so, and read until killed."""
    ends = []
    for _ in range(CLIENTS):
        end = socket.create_connection(("127.0.0.1", port))
        end.sendall(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\n".encode())
        assert b"event: connection" in end.recv(65_536)
        end.setblocking(False)
        ends.append(end)
    told.send(b".")
    read_on(ends)


@contextmanager
def hubs() -> Iterator[dict[str, Hub]]:
    """A hub of each kind; with rights, everybody may read and publish on `orders/*`."""
    rights = ("--publish", "orders/*", "--subscribe", "orders/*")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = f"{folder}/keys.toml"
        key = tocsin("key", "add", "shop", "--keys", file, *rights)
        token = tocsin("token", "make", "shop", "--jwt-key", SECRET, *rights)
        found = {
            WITHOUT: Hub((), ""),
            KEY: Hub(("--keys", file), key),
            TOKEN: Hub(("--jwt-key", SECRET), token),
        }
        for hub in found.values():
            stack.callback(hub.close)
        yield found


def measure(found: dict[str, Hub], rounds: int, events: int) -> dict[str, list[float]]:
    """Microseconds an event, of each kind of hub, a window each in turn."""
    us: dict[str, list[float]] = {kind: [] for kind in found}
    for hub in found.values():
        hub.publish(events)
    for number in range(rounds):
        kinds = list(found) if number % 2 else list(found)[::-1]
        for kind in kinds:
            us[kind].append(found[kind].cpu_of(events) / events * 1e6)
    return us


def tell(what: str, us: dict[str, list[float]], share: float = 1.0) -> dict[str, float]:
    """Print the medians, and return by how much each differs from the hub without rights, pair by pair."""
    more = {}
    for kind, times in us.items():
        pairs = [one - other for one, other in zip(times, us[WITHOUT], strict=True)]
        more[kind] = statistics.median(pairs)
        print(
            f"{what}, {kind:13} {statistics.median(times) * share:8.3f} us"
            f"  {more[kind] * share:+.3f} us"
        )
    return more


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with hubs() as found:
        posts = tell("a POST", measure(found, rounds, POSTS))
        for hub in found.values():
            hub.open_streams()
        deliveries = measure(found, rounds, EVENTS)
        events = tell("a delivery", deliveries, 1 / CLIENTS)
    base = statistics.median(deliveries[WITHOUT])
    for kind in (KEY, TOKEN):
        more = (events[kind] - posts[kind]) / base  # without what the POST of each event takes
        print(
            f"{kind}: {posts[kind]:.1f} us a POST, at most {MOST_OF_POST_US};"
            f" {more:+.1%} of a delivery, at most {MOST_OF_DELIVERIES:.0%}"
        )


if __name__ == "__main__":
    main()
