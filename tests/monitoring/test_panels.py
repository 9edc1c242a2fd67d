"""Every query of the dashboard, against a real Prometheus that scraped real hubs: one busy, one idle, one hurt."""

from __future__ import annotations

import math
import re
import time
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.http.test_slow_clients import stalled_client
from tests.hub_process import HubProcess
from tests.monitoring.audience import Audience, open_stream
from tests.monitoring.panels import (
    DASHBOARD,
    expressions,
    legend_labels,
    marks,
    panels,
    queries,
    replaced,
)
from tests.patience import wait_until
from tests.prometheus_process import PrometheusProcess, Sample, instance

CLIENTS = 5
EVENTS_PER_S = 20
SECONDS = 10
WINDOW_S = 8
NEARLY = 0.2  # a busy machine holds up scrapes and publishers; `make soak` asks for 0.05
TYPES = ("notification", "system_alert", "data_updated", "build.finished")

EMPTY_WHEN_IDLE = {
    # Panels that have nothing to say of a hub that does nothing, each with the words of its `noValue`.
    "Do clients get their events in time?",
    "Does it work end to end?",
    "How long ago was the last event?",
    "How long does a publisher wait?",
    "How large are events?",
    "Is the objective kept?",
    "How late do events reach clients?",
    "How long until everybody has an event?",
    "How many clients is an event for?",
    "How many events are for nobody?",
    "How long is the canary on its way?",
    "What share of returns is told of a gap?",
    "How many events does a return replay?",
    "How long may a client be away?",
    "How long does a commit take?",
    "When does the next key expire?",
    "What stays of topics though the history moved on?",
}

ELSEWHERE = {"When does the next key expire?"}
"""Panels that the busy hub has nothing for; test_rights.py has."""


@dataclass(frozen=True)
class Scene:
    """What was done, and where it can be seen."""

    prometheus: PrometheusProcess
    busy: HubProcess
    idle: HubProcess
    hurt: HubProcess
    published: list[float]
    """The times of the busy hub's events."""
    end: float
    """When the load on the busy hub ended."""

    def ask(self, expr: str, *hubs: HubProcess, **spans: str) -> list[Sample]:
        """What a panel's query comes to at the end of the load."""
        expr = replaced(expr, *map(instance, hubs), **spans)
        return self.prometheus.query(expr, at=self.end)

    def ask_now(self, expr: str, *hubs: HubProcess, **spans: str) -> list[Sample]:
        """What a panel's query comes to now."""
        return self.prometheus.query(replaced(expr, *map(instance, hubs), **spans))


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    busy = HubProcess(
        *("--heartbeat", "1", "--history-events", "60", "--history-age", "3600"),
        *("--canary", "0.5", "--keep-newest", "t/1*=1"),
    )
    idle = HubProcess("--canary", "0")
    hurt = HubProcess("--canary", "0", "--history-events", "20", "--slow-client-timeout", "1")
    prometheus = PrometheusProcess(busy, idle, hurt)
    try:
        prometheus.wait_for_scrapes(busy, idle, hurt)
        published = load(busy)
        end = time.time()
        hurts(hurt, prometheus)
        prometheus.wait_for_scrapes(busy, idle, hurt)
        yield Scene(prometheus, busy, idle, hurt, published, end)
    finally:
        prometheus.close()
        for hub in (busy, idle, hurt):
            hub.close()


def load(hub: HubProcess) -> list[float]:
    """So many events a second to clients that read, while others come back and make mistakes."""
    published = []
    with Audience(hub.port, CLIENTS):
        first = hub.publish()["id"]
        started = time.monotonic()
        for number in range(EVENTS_PER_S * SECONDS):
            time.sleep(max(0.0, started + number / EVENTS_PER_S - time.monotonic()))
            newest = hub.publish(type=TYPES[number % 4], topic=f"t/{number}", data={"n": number})
            published.append(time.time())
            if number % EVENTS_PER_S == 0:
                open_stream(hub.port, last_event_id=newest["id"]).close()
                open_stream(hub.port, last_event_id=first).close()
                make_mistakes(hub)
    return published


def make_mistakes(hub: HubProcess) -> None:
    for path in ("/none", "/events?topic=*a", "/api/history?limit=x"):
        with pytest.raises(urllib.error.HTTPError):
            hub.text(path)
    with pytest.raises(urllib.error.HTTPError):
        hub.publish(type="not a type")


def hurts(hub: HubProcess, prometheus: PrometheusProcess) -> None:
    """One gap, one slow client cut, one restart and the gap that it makes, in this order."""
    first = hub.publish()["id"]
    for _ in range(30):
        hub.publish()
    open_stream(hub.port, last_event_id=first).close()
    slow = stalled_client(hub.port)
    wait_until(lambda: hub.metric("tocsin_clients") == 1)
    for _ in range(15):
        hub.publish(message="x" * 60_000)
    cut = 'tocsin_streams_closed_total{reason="slow"}'
    wait_until(lambda: hub.metric(cut) == 1)
    slow.close()
    prometheus.wait_for_scrapes(hub)
    hub.restart()
    prometheus.wait_for_scrapes(hub)
    open_stream(hub.port, last_event_id=first).close()


BUDGET = "How much of the error budget is left?"
"""Less than nothing where the machine is so busy that deliveries are late."""


def by_title(panel: dict[str, Any]) -> str:
    return str(panel["title"])


@pytest.mark.parametrize(
    "panel", [each for each in panels() if each["title"] not in ELSEWHERE], ids=by_title
)
def test_panel_has_figures_under_load(scene: Scene, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        samples = scene.ask(target["expr"], scene.busy)
        if target["range"]:
            samples += over_time(scene, target["expr"])
        assert samples, target["expr"]
        assert all(math.isfinite(value) for _, value in samples), (target["expr"], samples)
        for label in legend_labels(target):
            assert all(labels.get(label) for labels, _ in samples), (label, samples)
        if panel["title"] == BUDGET:
            assert all(value <= 1 for _, value in samples), (target["expr"], samples)
        elif panel["fieldConfig"]["defaults"]["unit"] == "percentunit":
            assert all(0 <= value <= 1 for _, value in samples), (target["expr"], samples)
        else:
            assert all(value >= 0 for _, value in samples), (target["expr"], samples)


def over_time(scene: Scene, expr: str) -> list[Sample]:
    """The query over the last seconds of the load, as Grafana asks for a line."""
    asked = replaced(expr, instance(scene.busy))
    return scene.prometheus.range(asked, scene.end - 4, scene.end, 0.5)


def test_panels_without_an_answer_on_an_idle_hub_are_these(scene: Scene) -> None:
    empty = set()
    for title, target in queries():
        samples = scene.ask(target["expr"], scene.idle)
        assert all(math.isfinite(value) for _, value in samples), target["expr"]
        if not samples:
            empty.add(title)
    assert empty == EMPTY_WHEN_IDLE


def test_rate_of_events_is_what_was_published(scene: Scene) -> None:
    (expr,) = expressions("How many events come in?")
    ((_, shown),) = scene.ask(expr, scene.busy, rate=f"{WINDOW_S}s")
    sent = sum(scene.end - WINDOW_S < at <= scene.end for at in scene.published) / WINDOW_S
    assert shown == pytest.approx(sent, rel=NEARLY)
    (expr,) = expressions("Who publishes?")
    by_source = {labels["source"]: v for labels, v in scene.ask(expr, scene.busy, rate="8s")}
    assert by_source["api"] == pytest.approx(sent, rel=NEARLY)


def test_rate_of_deliveries_is_events_times_clients(scene: Scene) -> None:
    (expr,) = expressions("What goes out, live and replayed?")
    by_kind = {labels["kind"]: v for labels, v in scene.ask(expr, scene.busy, rate="8s")}
    sent = sum(scene.end - WINDOW_S < at <= scene.end for at in scene.published) / WINDOW_S
    assert by_kind["live"] == pytest.approx(sent * CLIENTS, rel=NEARLY)


def test_number_of_deliveries_is_exact(scene: Scene) -> None:
    live = f'tocsin_events_delivered_total{{instance="{instance(scene.busy)}",kind="live"}}'
    assert scene.prometheus.value(live) == (len(scene.published) + 1) * CLIENTS


def test_clients_are_summed_over_the_hubs(scene: Scene) -> None:
    (expr,) = expressions("How many clients are connected?")
    each = [scene.ask(expr, hub)[0][1] for hub in (scene.busy, scene.idle)]
    assert each == [CLIENTS, 0]
    ((_, total),) = scene.ask(expr, scene.busy, scene.idle, scene.hurt)
    assert total == CLIENTS


def test_forced_gaps_and_a_slow_client_show_as_such(scene: Scene) -> None:
    told, cut = (
        scene.ask_now(expr, scene.hurt, span="120s")
        for expr in expressions("Does anybody lose events?")
    )
    assert [value for _, value in told] == [2]  # one by eviction, one by the restart
    assert [value for _, value in cut] == [1]
    (expr,) = expressions("Why are gaps told?")
    rates = {row["reason"]: v for row, v in scene.ask_now(expr, scene.hurt, rate="120s")}
    assert {reason for reason, rate in rates.items() if rate > 0} == {"evicted", "restart"}
    (expr,) = expressions("How many are cut as too slow?")
    assert [value > 0 for _, value in scene.ask_now(expr, scene.hurt, rate="120s")] == [True]


def test_restart_shows_as_a_start_and_a_shorter_life(scene: Scene) -> None:
    starts = dict(marks())["Starts"]
    ((labels, _),) = scene.ask_now(starts, scene.hurt, scene.idle, rate="120s")
    assert labels["instance"] == instance(scene.hurt)
    (expr,) = expressions("How long has each hub been up?")
    lives = {row["instance"]: v for row, v in scene.ask_now(expr, scene.hurt, scene.idle)}
    assert lives[instance(scene.hurt)] < lives[instance(scene.idle)]


def test_version_is_marked_when_it_comes(scene: Scene) -> None:
    query = replaced(dict(marks())["Versions"], instance(scene.idle), rate="5s")
    samples = scene.prometheus.range(query, scene.end - 60, scene.end, 1)
    versions = {labels["version"] for labels, _ in samples}
    assert versions == {scene.idle.get("/api/stats")["version"]}
    assert len(samples) < 10  # at the start, and no longer


def test_marks_of_alerts_can_be_asked_for(scene: Scene) -> None:
    assert scene.ask(dict(marks())["Alerts"]) == []


def test_variables_list_the_job_and_the_hubs(scene: Scene) -> None:
    listed = {}
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert found
            selector = found[1].replace("$job", "tocsin")
            listed[variable["name"]] = scene.prometheus.label_values(found[2], selector)
    hubs = (scene.busy, scene.idle, scene.hurt)
    assert listed == {"job": ["tocsin"], "instance": sorted(map(instance, hubs))}


def test_objective_and_share_of_late_deliveries_are_recorded(scene: Scene) -> None:
    assert scene.prometheus.value("tocsin:delivery_objective:ratio") == 0.999
    late = scene.prometheus.value('job:tocsin_deliveries_late:ratio_rate5m{job="tocsin"}')
    assert 0 <= late <= 1
