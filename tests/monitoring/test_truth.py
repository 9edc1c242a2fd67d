"""What the monitoring says of hubs to which something was done, beside what their clients saw.

Each of these once told something else: red where all was well, green where clients waited for minutes.
"""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import pytest

from tests.hub_process import HubProcess
from tests.monitoring.panels import expressions, replaced
from tests.monitoring.test_rules import alerts
from tests.patience import PATIENCE_S, wait_until
from tests.prometheus_process import PrometheusProcess, instance

pytestmark = pytest.mark.timeout(300)

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
LATE_S = 0.25
END_TO_END = "Does it work end to end?"
FAULT = "TocsinCanaryFailing"


def hub_with_clock(offset: str, *flags: str) -> HubProcess:
    """A hub whose clock is off by `offset`, as ``-45s``; its monotonic one isn't."""
    env = {"LD_PRELOAD": FAKETIME, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return HubProcess(*flags, env=env)


def shown(prometheus: PrometheusProcess, title: str, *hubs: HubProcess, **spans: str) -> float:
    """The number that the first query of a panel comes to; -1 where it comes to nothing."""
    found = prometheus.query(replaced(expressions(title)[0], *map(instance, hubs), **spans))
    return found[0][1] if found else -1


# --- the canary: any interval of scrapes and runs, any clock ------------------------------------------


def test_healthy_hubs_are_green_whatever_the_intervals_and_the_clocks() -> None:
    with ExitStack() as stack:
        start = stack.enter_context
        hubs = [
            start(closing(HubProcess("--canary", "0.3"))),
            start(closing(HubProcess("--canary", "60"))),
            start(closing(hub_with_clock("-45s", "--canary", "1"))),
            start(closing(hub_with_clock("+45s", "--canary", "1"))),
        ]
        began = time.time()
        often = start(closing(PrometheusProcess(*hubs, interval_s=0.3)))
        seldom = start(closing(PrometheusProcess(*hubs, interval_s=3)))
        for prometheus in (often, seldom):
            prometheus.wait_for_scrapes(*hubs, count=2)
            asked = replaced(expressions(END_TO_END)[0], *map(instance, hubs))
            end = time.time()
            values = [v for _, v in prometheus.range(asked, max(began, end - 6), end, 0.1)]
            # 0 before the first scrapes, and 1 ever after.
            assert values[-1] == 1
            assert sorted(values) == values
            assert prometheus.query(alerts()[FAULT]["expr"]) == []


def test_hub_that_is_down_is_a_hub_on_which_it_does_not_work() -> None:
    with (
        closing(HubProcess("--canary", "0.3")) as one,
        closing(HubProcess("--canary", "0.3")) as other,
        closing(PrometheusProcess(one, other)) as prometheus,
    ):
        wait_until(lambda: shown(prometheus, END_TO_END, one, other) == 1, what="both")
        other.kill()
        wait_until(lambda: shown(prometheus, END_TO_END, one, other) == 0.5, what="one of two")
        one.kill()
        wait_until(lambda: shown(prometheus, END_TO_END, one, other) == 0, what="none")


# --- how late events are --------------------------------------------------------------------------------


class Timed:
    """Clients that read at a pace, and note how late each event is: of those that say when they were sent.

    Args:
        port: of the hub.
        count: of clients.
        bytes_per_s: that each of them reads; None as fast as they come.
        held_bytes: that the kernel holds for each of them, or twice that.
    """

    def __init__(
        self,
        port: int,
        count: int,
        bytes_per_s: float | None = None,
        held_bytes: int = 4_096,
    ) -> None:
        self.bytes_per_s = bytes_per_s
        self._held_bytes = held_bytes
        self.late: list[float] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._read, args=(port,), daemon=True) for _ in range(count)
        ]
        self._open = threading.Semaphore(0)
        for thread in self._threads:
            thread.start()
        for _ in self._threads:
            assert self._open.acquire(timeout=PATIENCE_S)

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _read(self, port: int) -> None:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._held_bytes)
            client.connect(("127.0.0.1", port))
            client.settimeout(0.05)
            client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            held, is_open = b"", False
            while not self._over.is_set():
                began, pace = time.monotonic(), self.bytes_per_s
                try:
                    held += client.recv(2_048 if pace else 65_536)
                except TimeoutError:
                    continue
                *lines, held = held.split(b"\n")
                for line in lines:
                    if not is_open and line.startswith(b"event: connection"):
                        is_open = True
                        self._open.release()
                    if line.startswith(b"data: ") and b'"sent":' in line:
                        sent = json.loads(line[len(b"data: ") :])["data"]["sent"]
                        self.late.append(time.time() - sent)
                if pace:
                    time.sleep(max(began + 2_048 / pace - time.monotonic(), 0))


@contextmanager
def published_steadily(hub: HubProcess, per_s: float, message: str = "x") -> Iterator[None]:
    """Events at fixed moments, each by a connection of its own, whether or not the hub answers."""
    over = threading.Event()
    senders: list[threading.Thread] = []

    def send() -> None:
        with suppress(OSError):
            hub.publish(message=message, data={"sent": time.time()})

    def run() -> None:
        began, number = time.monotonic(), 0
        while not over.wait(max(began + number / per_s - time.monotonic(), 0)):
            senders.append(threading.Thread(target=send, daemon=True))
            senders[-1].start()
            number += 1

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE_S)
        for sender in senders:
            sender.join(PATIENCE_S)


def delivered(hub: HubProcess) -> int:
    kinds = ("live", "catchup")
    return int(sum(hub.metric(f'tocsin_events_delivered_total{{kind="{k}"}}') for k in kinds))


def late_by_hub(hub: HubProcess, bound: str = "0.25") -> tuple[int, int]:
    """How many deliveries the hub says were late, and how many there were."""
    count = hub.metric("tocsin_delivery_latency_seconds_count")
    return int(count - hub.metric(f'tocsin_delivery_latency_seconds_bucket{{le="{bound}"}}')), int(
        count
    )


def test_events_that_wait_for_slow_readers_are_late_and_the_readers_alert() -> None:
    with (
        closing(HubProcess("--canary", "0", "--slow-client-timeout", "60")) as hub,
        closing(PrometheusProcess(hub, interval_s=0.5, hurry=120)) as prometheus,
        closing(Timed(hub.port, 4, bytes_per_s=20_000)) as readers,
    ):
        prometheus.wait_for_scrapes(hub)
        for _ in range(120):  # 1.2 MB: ten times what the kernel holds for a client
            hub.publish(message="x" * 10_000, data={"sent": time.time()})
        wait_until(lambda: hub.metric("tocsin_lagging_long_clients") == 4, what="10 s of lag")
        wait_until(lambda: "TocsinClientsLag" in prometheus.firing(), what="the alert")
        readers.bytes_per_s = None
        wait_until(lambda: len(readers.late) == 480, what="all events")
        wait_until(lambda: hub.metric("tocsin_lagging_clients") == 0)
        late, count = late_by_hub(hub)
        seen = sum(each > LATE_S for each in readers.late)
        assert count == delivered(hub) == 480
        # What the kernel took early is read late: that is all that the hub doesn't know.
        assert 0.5 * seen < late <= seen
        assert late_by_hub(hub, "5.0")[0] > 0
        prometheus.wait_for_scrapes(hub)
        assert shown(prometheus, "Do clients get their events in time?", hub, rate="60s") < 0.8


def test_stall_counts_for_the_events_that_came_in_meanwhile_and_in_seconds() -> None:
    with (
        closing(HubProcess("--canary", "0")) as hub,
        closing(PrometheusProcess(hub, hurry=20)) as prometheus,  # half a minute of the ten
        closing(Timed(hub.port, 3)) as readers,
    ):
        prometheus.wait_for_scrapes(hub, count=2)
        with published_steadily(hub, per_s=40):
            for _ in range(2):
                time.sleep(0.5)
                hub.signal(signal.SIGSTOP)
                time.sleep(2)
                hub.signal(signal.SIGCONT)
                time.sleep(0.5)
        published = int(hub.metric('tocsin_events_published_total{source="api"}'))
        wait_until(lambda: len(readers.late) == 3 * published, what="all events")
        late, count = late_by_hub(hub)
        seen = sum(each > LATE_S for each in readers.late)
        assert count == delivered(hub) == 3 * published
        assert seen > 200
        assert late == pytest.approx(seen, rel=0.15)
        stalled_s = hub.metric("tocsin_event_loop_stalled_seconds_total")
        assert 3 < stalled_s < 60  # two of 2 s, less up to 250 ms each; more on a busy machine
        wait_until(lambda: "TocsinEventLoopStalled" in prometheus.firing(), what="the alert")
