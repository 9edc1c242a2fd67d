"""A hub under a limit of memory from outside: row F25 of docs/reliability.md, and the sum of docs/deployment.md."""

from __future__ import annotations

import resource
import socket
import threading
from collections import Counter
from contextlib import ExitStack, suppress

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S
from tests.raw import exchange, get, notice, post, read_answer

MIB = 2**20
PROCESS = 60 * MIB
HISTORY, BODIES, ANSWERS = 16 * MIB, 4 * MIB, 4 * MIB
FLAGS = (
    *("--history-bytes", str(HISTORY)),
    *("--max-bodies-bytes", str(BODIES)),
    *("--max-answers-bytes", str(ANSWERS)),
    *("--canary", "0", "--log-level", "warning"),
)
READERS, UNREAD, UNSENT, PUBLISHERS = 50, 20, 50, 4
READER = 2 * 64 * 1024
"""A piece of an event stream that its reader doesn't take, and the event that made it longer."""
REPLAYS = 8 * MIB
SUM = PROCESS + HISTORY + BODIES + ANSWERS + REPLAYS + READERS * READER
"""What docs/deployment.md adds up to, of these settings and readers; a hub in memory has nothing that waits."""
LARGEST = notice(message="x" * 65_000)


def kib_of(hub: HubProcess, field: str) -> int:
    """A line of the hub's status."""
    with open(f"/proc/{hub.pid}/status") as status:
        return int(next(line for line in status if line.startswith(f"{field}:")).split()[1])


def limit_data(hub: HubProcess, size: int) -> None:
    """Let the hub have so many bytes of its own, and no more: beyond it each request for memory fails."""
    resource.prlimit(hub.pid, resource.RLIMIT_DATA, (size, size))


def flood(hub: HubProcess, posts: int) -> Counter[int]:
    """Publish so many of the largest events by several connections, for as long as there is a hub; the statuses."""
    statuses: Counter[int] = Counter()

    def publish() -> None:
        with suppress(OSError):
            for number in range(posts // PUBLISHERS):
                with socket.create_connection(("127.0.0.1", hub.port), PATIENCE_S) as connection:
                    connection.sendall(post(LARGEST.replace(b"xx", b"%02d" % (number % 100), 1)))
                    statuses[read_answer(connection).status] += 1

    publishers = [threading.Thread(target=publish) for _ in range(PUBLISHERS)]
    for each in publishers:
        each.start()
    for each in publishers:
        each.join()
    return statuses


def open_bad_clients(hub: HubProcess, stack: ExitStack) -> None:
    """Streams and pages of history that nobody reads, and bodies that lack their last byte."""
    requests = [get("/events?last_event_id=earliest")] * READERS
    requests += [get("/api/history?limit=1000")] * UNREAD
    requests += [post(LARGEST)[:-1]] * UNSENT  # leaves the publishers room for theirs
    for request in requests:
        client = stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", hub.port))
        client.sendall(request)


@pytest.mark.parametrize("posts", [1_200, pytest.param(30_000, marks=pytest.mark.soak)])
def test_hub_stays_up_within_the_sum_that_is_documented(start_hub: StartHub, posts: int) -> None:
    hub = start_hub(*FLAGS)
    limit_data(hub, SUM * 13 // 10)
    with ExitStack() as stack:
        assert flood(hub, 400) == {200: 400}
        open_bad_clients(hub, stack)
        assert flood(hub, posts) == {200: posts}
        assert exchange(hub.port, get("/readyz")).status == 200
    peak = kib_of(hub, "VmHWM") * 1_024
    print(f"\n{peak / MIB:.0f} MiB at most, where the settings add up to {SUM / MIB:.0f}")
    assert peak < SUM * 1.3
    assert "Traceback" not in hub.log(), hub.log()


def test_hub_whose_limit_is_too_small_ends_with_words_or_says_what_it_refuses(
    start_hub: StartHub,
) -> None:
    hub = start_hub(*FLAGS)
    limit_data(hub, kib_of(hub, "VmData") * 1_024 + HISTORY // 2)
    statuses = flood(hub, 1_200)
    assert set(statuses) <= {200, 500, 503, 0}
    if exchange_or_none(hub) == 200:  # it goes on without what it had no memory for
        assert statuses[500] + statuses[503]
        return
    assert hub.wait() != 0
    assert "the hub failed" in hub.log() or "Fatal Python error" in hub.log()


def exchange_or_none(hub: HubProcess) -> int:
    """What the hub says of its health; 0 where it says nothing."""
    with suppress(OSError):
        return exchange(hub.port, get("/healthz")).status
    return 0
