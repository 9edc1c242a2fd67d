"""Alerts in a real Prometheus: what they are for is done to real hubs, and they fire, and clear.

The project's rules run a hundred and twenty times faster. Some alerts are left to test_alerts_soak.py, as they look at
hours and days, and some to test_truth.py, test_losses.py and test_rights.py, which do to hubs what these are for.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest

from tests.http.test_slow_clients import stalled_client
from tests.hub_process import HubProcess, free_ports
from tests.monitoring.audience import Audience, open_stream
from tests.monitoring.test_rules import alerts
from tests.patience import wait_until
from tests.prometheus_process import PrometheusProcess, instance
from tests.raw import notice, post, read_answer

HURRY = 120
INTERVAL_S = 0.25
PATIENCE_S = 120.0  # a quarter of a minute is enough, unless the machine does much else

pytestmark = pytest.mark.timeout(600)  # the first test waits for all of it

CANARY_S = 0.5

HUBS = {
    "lost": ("--canary", "0"),
    "full": ("--canary", "0", "--max-clients", "5", "--max-clients-per-address", "5"),
    "slow": ("--canary", "0", "--history-events", "5", "--slow-client-timeout", "0.5"),
    "mute": ("--canary", str(CANARY_S)),
    "held": ("--canary", "0"),
    "poor": ("--canary", "0"),
    "left": ("--canary", "0", "--drain-timeout", "600", "--slow-client-timeout", "600"),
}
"""What becomes of each hub, and its flags."""

IN_THE_SOAK = {
    "TocsinDeliverySlowFastBurn",
    "TocsinDeliverySlowSlowBurn",
    "TocsinDeliverySlowDayBurn",
    "TocsinDeliverySlowThreeDayBurn",
    "TocsinJournalDiskFills",
}
ELSEWHERE = {
    "TocsinJournalDown",
    "TocsinJournalTailLags",
    "TocsinKeyExpires",
    # In such a hurry a busy machine is enough for it, which then doesn't clear.
    "TocsinEventLoopStalled",
}
LIVE = sorted(set(alerts()) - IN_THE_SOAK - ELSEWHERE)


class Watch:
    """Notes what fires, four times a second."""

    def __init__(self, *watched: PrometheusProcess) -> None:
        self._watched = watched
        self._done = threading.Event()
        self.fired: dict[str, dict[str, Any]] = {}
        self.firing: set[str] = set()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._done.set()
        self._thread.join(10)

    def wait_until_fired(self, *alerts: str) -> None:
        """Wait until each has fired, or fail and name those that haven't."""
        deadline = time.monotonic() + PATIENCE_S
        while missing := set(alerts) - self.fired.keys():
            assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {missing}"
            time.sleep(INTERVAL_S)

    def wait_until_clear(self) -> None:
        """Wait until nothing fires, or fail and name what does."""
        deadline = time.monotonic() + PATIENCE_S
        while self.firing:
            assert time.monotonic() < deadline, f"not cleared within {PATIENCE_S} s: {self.firing}"
            time.sleep(INTERVAL_S)

    def _look(self) -> None:
        while not self._done.wait(INTERVAL_S):
            try:
                seen = [alert for each in self._watched for alert in each.alerts()]
            except OSError:
                continue  # too busy to answer: it is asked again
            firing = [alert for alert in seen if alert["state"] == "firing"]
            for alert in firing:
                self.fired.setdefault(alert["labels"]["alertname"], alert)
            self.firing = {alert["labels"]["alertname"] for alert in firing} & set(LIVE)


@contextmanager
def over_and_over(act: Callable[[], None]) -> Iterator[None]:
    """Do it again and again in a thread, until the block ends."""
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            with suppress(OSError):  # hubs that are done harm to don't always answer
                act()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield
        finally:
            done.set()
        running.result(10)  # what went wrong in there


def cut_slow_clients(hub: HubProcess) -> None:
    """Five clients that read nothing, until the hub has cut them."""
    cut = 'tocsin_streams_closed_total{reason="slow"}'
    before = hub.metric(cut)
    with ExitStack() as clients:
        for _ in range(5):
            clients.enter_context(closing(stalled_client(hub.port)))
        while hub.metric(cut) < before + 5:
            for _ in range(5):
                hub.publish(message="x" * 60_000)
            time.sleep(0.25)


def come_back_too_late(hub: HubProcess) -> None:
    open_stream(hub.port, last_event_id="1-1").close()
    time.sleep(0.1)


def ask_for_room(hub: HubProcess) -> None:
    open_stream(hub.port).close()
    time.sleep(0.2)


def hold_up(hub: HubProcess) -> None:
    """Nothing runs half of the time, 200 ms at a time."""
    hub.signal(signal.SIGSTOP)
    time.sleep(0.2)
    hub.signal(signal.SIGCONT)
    time.sleep(0.2)


@contextmanager
def descriptors(hub: HubProcess, limit: int) -> Iterator[None]:
    """The hub may open so many descriptors; what is open stays."""
    limits = resource.prlimit(hub.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(hub.pid, resource.RLIMIT_NOFILE, (limit, limits[1]))
    yield
    resource.prlimit(hub.pid, resource.RLIMIT_NOFILE, limits)


def hardly_more(hub: HubProcess) -> int:
    """A few more descriptors than it has open."""
    return int(hub.metric("process_open_fds") / 0.85)


def too_few_for_a_canary(hub: HubProcess) -> int:
    """Three more descriptors than it has open between two canaries: a run of one takes four."""
    fewest = 1_000
    until = time.monotonic() + 4 * CANARY_S  # a run takes some milliseconds of each
    while time.monotonic() < until:
        fewest = min(fewest, len(os.listdir(f"/proc/{hub.pid}/fd")))
        time.sleep(0.01)
    return fewest + 3


@contextmanager
def leaving(hub: HubProcess) -> Iterator[None]:
    """A hub that stops, held by a client that doesn't read; a publisher that doesn't believe it."""
    with closing(stalled_client(hub.port)):
        wait_until(lambda: hub.metric("tocsin_clients") == 1, PATIENCE_S)
        for _ in range(30):
            hub.publish(message="x" * 60_000)
        with socket.create_connection(("127.0.0.1", hub.port), timeout=10) as publisher:
            publisher.sendall(post(notice()))
            assert read_answer(publisher).status == 200
            hub.signal(signal.SIGTERM)
            with over_and_over(lambda: be_refused(publisher)):
                yield
    hub.restart()


def be_refused(publisher: socket.socket) -> None:
    publisher.sendall(post(notice()))
    read_answer(publisher)
    time.sleep(0.1)


def die_and_crash(hub: HubProcess, prometheus: PrometheusProcess, watch: Watch) -> None:
    """Down until that is noticed, and then start after start, each of them scraped."""
    hub.kill()
    watch.wait_until_fired("TocsinDown", "TocsinMassDisconnect")
    deadline = time.monotonic() + PATIENCE_S
    while "TocsinCrashLooping" not in watch.fired:
        assert time.monotonic() < deadline, "TocsinCrashLooping doesn't fire"
        hub.restart()
        prometheus.wait_for_scrapes(hub, count=1)


def go_wrong(causes: ExitStack, hubs: dict[str, HubProcess]) -> None:
    """To each hub what it is named for, until `causes` ends."""
    causes.enter_context(descriptors(hubs["poor"], hardly_more(hubs["poor"])))
    causes.enter_context(over_and_over(lambda: hold_up(hubs["held"])))
    causes.enter_context(over_and_over(lambda: cut_slow_clients(hubs["slow"])))
    causes.enter_context(over_and_over(lambda: come_back_too_late(hubs["slow"])))
    causes.enter_context(over_and_over(lambda: ask_for_room(hubs["full"])))
    causes.enter_context(descriptors(hubs["mute"], too_few_for_a_canary(hubs["mute"])))
    causes.enter_context(leaving(hubs["left"]))


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    """All that was seen while everything went wrong, and then right again."""
    with ExitStack() as stack:
        start = stack.enter_context
        # A hub that leaves accepts nobody new, a Prometheus that lost its connection neither.
        more = {"left": ("--metrics-listen", f"127.0.0.1:{free_ports(1)[0]}")}
        hubs = {
            name: start(closing(HubProcess(*flags, *more.get(name, ()))))
            for name, flags in HUBS.items()
        }
        prometheus = start(
            closing(PrometheusProcess(*hubs.values(), interval_s=INTERVAL_S, hurry=HURRY))
        )
        lonely = start(closing(PrometheusProcess(interval_s=INTERVAL_S, hurry=HURRY)))
        watch = start(closing(Watch(prometheus, lonely)))
        start(Audience(hubs["mute"].port, 25))
        with ExitStack() as causes:
            causes.enter_context(Audience(hubs["lost"].port, 300))  # most of all clients
            causes.enter_context(Audience(hubs["full"].port, 5))
            causes.enter_context(Audience(hubs["poor"].port, 30))
            prometheus.wait_for_scrapes(*hubs.values())
            go_wrong(causes, hubs)
            long_ago = f'tocsin_clients{{instance="{instance(hubs["lost"])}"}} offset 5s'
            wait_until(lambda: prometheus.query(long_ago), PATIENCE_S, "a past")
            die_and_crash(hubs["lost"], prometheus, watch)
            watch.wait_until_fired(*LIVE)
        lonely.scrape(hubs["lost"])
        watch.wait_until_clear()
        yield watch


@pytest.mark.parametrize("alert", LIVE)
def test_alert_fires_in_time_and_clears(watch: Watch, alert: str) -> None:
    assert alert in watch.fired
    assert alert not in watch.firing


@pytest.mark.parametrize("alert", LIVE)
def test_alerts_texts_are_filled_in(watch: Watch, alert: str) -> None:
    texts = watch.fired[alert]["annotations"].values()
    assert not [text for text in texts if "<no value>" in text or "{{" in text or "<error" in text]


def test_alerts_that_are_left_to_others_exist() -> None:
    assert set(alerts()) > IN_THE_SOAK | ELSEWHERE
