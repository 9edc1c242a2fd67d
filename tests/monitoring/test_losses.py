"""What the monitoring says of hubs that lose something, start, stop, or share a log, beside what was done to them."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.hub_process import HubProcess, free_ports
from tests.monitoring.audience import Audience, open_stream
from tests.monitoring.panels import expressions
from tests.monitoring.test_truth import shown
from tests.patience import PATIENCE_S, wait_until
from tests.prometheus_process import PrometheusProcess
from tests.redis_process import RedisProcess

pytestmark = pytest.mark.timeout(300)

# --- losses, starts and ends ------------------------------------------------------------------------------


def test_gaps_of_a_hub_that_comes_back_at_another_address_are_counted_to_the_last_and_alert() -> (
    None
):
    clients = 40
    with ExitStack() as stack:
        before = stack.enter_context(closing(HubProcess("--canary", "0")))
        prometheus = stack.enter_context(closing(PrometheusProcess(before)))
        newest = before.publish()["id"]
        prometheus.wait_for_scrapes(before)
        before.kill()
        after = stack.enter_context(closing(HubProcess("--canary", "0")))
        for _ in range(clients):  # before the first scrape, as it is after a restart
            open_stream(after.port, last_event_id=newest).close()
        prometheus.scrape(after)
        prometheus.wait_for_scrapes(after)
        title = "Does anybody lose events?"
        assert shown(prometheus, title, before, after, span="120s") == clients
        wait_until(lambda: "TocsinEventsLost" in prometheus.firing(), what="the alert")
        (alert,) = [
            each
            for each in prometheus.alerts()
            if each["labels"]["alertname"] == "TocsinEventsLost"
        ]
        assert alert["annotations"]["description"].startswith(f"{clients} streams")


def test_hub_that_is_told_to_stop_is_seen_to_be_not_ready_before_it_is_gone() -> None:
    port = free_ports(1)[0]
    flags = ("--canary", "0", "--drain-delay", "60", "--metrics-listen", f"127.0.0.1:{port}")
    with (
        closing(HubProcess(*flags)) as hub,
        closing(PrometheusProcess(hub)) as prometheus,
    ):
        wait_until(lambda: [v for _, v in prometheus.query("tocsin_ready")] == [1])
        hub.signal(signal.SIGTERM)
        wait_until(lambda: [v for _, v in prometheus.query("tocsin_ready")] == [0])
        assert prometheus.value("up") == 1
        assert shown(prometheus, "Is each hub ready, and its journal up?", hub) == 0
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as probe:
            probe.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            assert b" 503 " in probe.recv(4_096).split(b"\r\n")[0]
        assert hub.publish()["success"]  # it still serves


def test_hubs_that_die_one_after_the_other_at_addresses_of_their_own_are_a_crash_loop() -> None:
    with closing(PrometheusProcess(interval_s=0.25, hurry=60)) as prometheus:  # 15 s of the 15 min
        for _ in range(3):
            with closing(HubProcess("--canary", "0")) as hub:
                prometheus.scrape(hub)
                prometheus.wait_for_scrapes(hub)
        wait_until(lambda: "TocsinCrashLooping" in prometheus.firing(), what="the alert")


def test_alerts_of_another_job_are_not_counted() -> None:
    with closing(PrometheusProcess()) as prometheus:  # knows no hub
        (expr,) = expressions("Is any alert firing?")
        for job, count in (("tocsin", 1), ("other", 0)):
            chosen = expr.replace("$job", job)
            # TocsinAbsent is pending for minutes; its series is there all the same.
            chosen = chosen.replace('alertstate="firing"', 'alertstate="pending"')
            wait_until(lambda e=chosen, n=count: prometheus.value(e) == n, what=f"{job}: {count}")  # type: ignore[misc]


# --- nodes of one log ---------------------------------------------------------------------------------------


def test_nodes_of_one_log_publish_each_event_once_and_say_when_redis_is_gone() -> None:
    with (
        closing(RedisProcess()) as redis,
        closing(HubProcess("--canary", "0", "--journal", redis.url)) as one,
        closing(HubProcess("--canary", "0", "--journal", redis.url)) as other,
        closing(PrometheusProcess(one, other, interval_s=0.5, hurry=30)) as prometheus,
        Audience(other.port, 2),
    ):
        for number in range(20):
            (one, other)[number % 2].publish(type="tick")
        for hub in (one, other):
            wait_until(lambda hub=hub: hub.metric("tocsin_log_events_total") == 20)  # type: ignore[misc]
        prometheus.wait_for_scrapes(one, other)
        assert prometheus.value("sum(tocsin_events_published_total)") == 20
        assert prometheus.value("sum(tocsin_events_published_by_type_total)") == 20
        assert prometheus.value("sum(tocsin_fanout_recipients_sum)") == 40
        assert prometheus.value("max(tocsin_journal_tail_lag_events)") == 0
        os.kill(redis.pid, signal.SIGSTOP)
        down = {"TocsinJournalDown", "TocsinJournalTailLags"}
        wait_until(lambda: down <= prometheus.firing(), what="the alerts")
        os.kill(redis.pid, signal.SIGCONT)
        wait_until(lambda: not down & prometheus.firing(), what="an end of the alerts")
        assert one.metric("tocsin_journal_reconnects_total") >= 1


def test_files_of_a_journal_are_seen_to_grow(tmp_path: Any) -> None:
    with closing(HubProcess("--canary", "0", "--journal", f"sqlite:{tmp_path / 'log.db'}")) as hub:
        before = hub.metric("tocsin_journal_file_bytes")
        assert before > 0
        assert hub.metric("tocsin_journal_disk_free_bytes") > 0
        for _ in range(20):
            hub.publish(message=secrets.token_hex(50_000 // 2))
        # The look at the disk is some seconds old at most.
        wait_until(lambda: hub.metric("tocsin_journal_file_bytes") > before + 250_000)


def test_commits_and_what_is_read_behind_the_window_are_counted_to_the_last(tmp_path: Any) -> None:
    flags = ("--canary", "0", "--window-events", "10")
    with closing(HubProcess(*flags, "--journal", f"sqlite:{tmp_path / 'log.db'}")) as hub:
        for number in range(50):
            hub.publish(message=str(number))
        assert hub.metric("tocsin_journal_commit_duration_seconds_count") == 50
        assert hub.metric("tocsin_history_read_events_total") == 0
        with closing(socket.create_connection(("127.0.0.1", hub.port), PATIENCE_S)) as stream:
            stream.sendall(
                b"GET /events?last_event_id=earliest HTTP/1.1\r\nHost: localhost\r\n\r\n"
            )
            received = b""
            while received.count(b"event: notification") < 50:
                piece = stream.recv(65_536)
                assert piece, received
                received += piece
        # The 40 that left the window, and of those behind them what is on the way.
        assert 40 <= hub.metric("tocsin_history_read_events_total") <= 50
        reads = hub.metric('tocsin_history_reads_total{outcome="ok"}')
        assert reads == hub.metric("tocsin_history_read_duration_seconds_count") >= 1
        assert hub.metric('tocsin_events_delivered_total{kind="replay"}') == 50
