"""What the monitoring says of limits and of credentials: of who was refused, who will be soon, and when keys end."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.hub_process import HubProcess, free_ports
from tests.monitoring.audience import open_stream
from tests.monitoring.panels import expressions, replaced
from tests.monitoring.test_rules import alerts
from tests.patience import wait_until
from tests.prometheus_process import PrometheusProcess, instance
from tests.raw import exchange, notice
from tocsin.access.limits import TokenBuckets

LIMIT = 'tocsin_limit_used_ratio{limit="%s"}'


def keys_that_end_in(hours: float, folder: Path) -> tuple[str, str]:
    """A file with a key that ends so soon, and one that doesn't; and the first one's secret."""
    file = folder / "keys.toml"
    ends = (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="seconds")
    add = [sys.executable, "-m", "tocsin", "key", "add", "--keys", str(file), "--subscribe", "*"]
    add += ["--publish", "*"]
    made = [
        subprocess.run([*add, *more], check=True, capture_output=True, text=True).stdout
        for more in (("ends", "--expires", ends), ("stays",))
    ]
    return str(file), made[0].split()[0]


def guarded(keys: str) -> HubProcess:
    """A hub with these keys, whose metrics are open on a port of their own."""
    own = f"127.0.0.1:{free_ports(1)[0]}"
    return HubProcess("--canary", "0", "--keys", keys, "--metrics-listen", own)


def test_key_that_ends_soon_is_seen_and_alerts(tmp_path: Path) -> None:
    file, _ = keys_that_end_in(hours=48, folder=tmp_path)
    with (
        closing(guarded(file)) as hub,
        closing(PrometheusProcess(hub, hurry=600)) as prometheus,
    ):
        wait_until(lambda: "TocsinKeyExpires" in prometheus.firing(), what="the alert")
        (expr,) = expressions("When does the next key expire?")
        left_s = prometheus.value(replaced(expr, instance(hub)))
        assert 47 * 3_600 < left_s <= 48 * 3_600


def test_streams_whose_credentials_end_soon_are_counted(tmp_path: Path) -> None:
    file, secret = keys_that_end_in(hours=0.1, folder=tmp_path)
    with closing(guarded(file)) as hub:
        assert hub.metric("tocsin_streams_expiring") == 0
        request = urllib.request.Request(
            f"{hub.url}/events", headers={"Authorization": f"Bearer {secret}"}
        )
        with urllib.request.urlopen(request, timeout=30):
            assert hub.metric("tocsin_streams_expiring") == 1
        wait_until(lambda: hub.metric("tocsin_streams_expiring") == 0)


def test_who_publishes_at_their_limit_is_seen_and_refused_by_reason() -> None:
    flags = ("--publish-rate-per-address", "1", "--max-clients-per-address", "4", "--canary", "0")
    with closing(HubProcess(*flags)) as hub:
        rate, clients = "publish_rate_per_address", "max_clients_per_address"
        assert hub.metric(LIMIT % rate) == 0
        for _ in range(9):
            hub.publish()
        assert hub.metric(LIMIT % rate) > 0.5
        body = notice()
        head = (
            f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        request = f"POST /api/notify HTTP/1.1\r\n{head}\r\n".encode() + body
        wait_until(lambda: exchange(hub.port, request).status == 429)
        assert hub.metric('tocsin_publish_rejected_total{reason="rate_limited"}') == 1
        assert hub.metric(LIMIT % rate) > 0.8
        streams = [open_stream(hub.port) for _ in range(3)]
        wait_until(lambda: hub.metric(LIMIT % clients) == 0.75)
        streams += [open_stream(hub.port) for _ in range(2)]
        assert hub.metric('tocsin_streams_rejected_total{reason="address"}') == 1
        for stream in streams:
            stream.close()


def test_emptiest_bucket_is_known_without_a_walk() -> None:
    buckets = TokenBuckets(rate=2)
    assert buckets.used(100) == 0
    buckets.take("a", 10, 100)  # 5 of the 10 seconds that it holds
    buckets.take("b", 4, 100)
    assert buckets.used(100) == pytest.approx(0.5)
    assert buckets.used(102) == pytest.approx(0.3)
    buckets.take("b", 100, 102)
    assert buckets.used(102) == 1
    assert buckets.used(time.monotonic() + 1e9) == 0


def test_limits_that_are_not_set_are_at_0() -> None:
    with closing(HubProcess("--canary", "0")) as hub:
        hub.publish()
        for line in hub.text("/metrics").splitlines():
            if line.startswith("tocsin_limit_used_ratio"):
                assert line.endswith(" 0.0"), line
    assert "tocsin_limit_used_ratio" in alerts()["TocsinLimitNear"]["expr"]
