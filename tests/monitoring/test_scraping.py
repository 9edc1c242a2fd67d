"""Prometheus and a hub that doesn't show its metrics to everybody."""

from __future__ import annotations

from contextlib import closing

from tests.conftest import StartHub
from tests.patience import wait_until
from tests.prometheus_process import PrometheusProcess

TOKEN = "correct-horse-battery-staple"


def test_hub_with_a_token_is_scraped_by_who_has_it(start_hub: StartHub) -> None:
    hub = start_hub(env={"TOCSIN_METRICS_TOKEN": TOKEN})
    with (
        closing(PrometheusProcess(hub, token=TOKEN)) as invited,
        closing(PrometheusProcess(hub)) as stranger,
    ):
        wait_until(lambda: invited.query("up") and stranger.query("up"), what="a scrape by each")
        assert invited.value("up") == 1
        assert invited.value("tocsin_ready") == 1
        assert stranger.value("up") == 0
        assert stranger.query("tocsin_ready") == []
