"""A minute of steady traffic, and what the dashboard makes of it. `make soak` runs this."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

from tests.hub_process import HubProcess
from tests.monitoring.audience import Audience
from tests.monitoring.panels import expressions, replaced
from tests.prometheus_process import PrometheusProcess, instance

EVENTS = 600
SECONDS = 60
CLIENTS = 3


@pytest.mark.soak
def test_600_events_in_60_s_read_as_10_a_second() -> None:
    with (
        closing(HubProcess("--canary", "1")) as hub,
        closing(PrometheusProcess(hub, interval_s=1)) as prometheus,
        Audience(hub.port, CLIENTS),
    ):
        prometheus.wait_for_scrapes(hub)
        started = time.monotonic()
        for number in range(EVENTS):
            time.sleep(max(0.0, started + number * SECONDS / EVENTS - time.monotonic()))
            hub.publish()
        end = time.time()

        def shown(title: str) -> float:
            (expr,) = expressions(title)
            return prometheus.value(replaced(expr, instance(hub), rate="50s"), at=end)

        rates = shown("How many events come in?"), shown("How many deliveries go out?")
        print(f"events/s, deliveries/s: {rates}")
        assert rates[0] == pytest.approx(EVENTS / SECONDS, rel=0.05)
        assert rates[1] == pytest.approx(EVENTS / SECONDS * CLIENTS, rel=0.05)
        prometheus.wait_for_scrapes(hub, count=2)
        assert prometheus.value("sum(tocsin_events_published_total)") == EVENTS
        assert prometheus.value("sum(tocsin_events_delivered_total)") == EVENTS * CLIENTS
