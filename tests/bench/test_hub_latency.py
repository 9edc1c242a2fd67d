"""What the hub says of its latency, beside what the clients of `tocsin bench` saw."""

from __future__ import annotations

import io
import re

import pytest

from tests.conftest import StartHub
from tocsin.bench import bench
from tocsin.bench.hub_latency import HubLatency

TEXT = """\
tocsin_delivery_latency_seconds_bucket{le="0.001"} %d.0
tocsin_delivery_latency_seconds_bucket{le="0.002"} %d.0
tocsin_delivery_latency_seconds_bucket{le="+Inf"} %d.0
"""


def test_percentiles_are_of_what_came_in_between() -> None:
    before, after = HubLatency.of_text(TEXT % (5, 5, 9)), HubLatency.of_text(TEXT % (55, 105, 109))
    latencies = after.since(before)
    assert (latencies.count, latencies.max) == (100, 2)
    assert latencies.p50 == pytest.approx(1)
    assert latencies.p99 == pytest.approx(1.98)


def test_beyond_all_bounds_the_last_bound_is_told() -> None:
    latencies = HubLatency.of_text(TEXT % (0, 0, 10)).since(HubLatency.of_text(TEXT % (0, 0, 0)))
    assert (latencies.p50, latencies.max) == (2, 2)


def test_nothing_delivered_is_nothing_measured() -> None:
    same = HubLatency.of_text(TEXT % (1, 2, 3))
    assert same.since(same).count == 0


def run(url: str) -> str:
    out = io.StringIO()
    outcome = bench(url, clients=20, publishers=2, seconds=1, rate=50, out=out, progress=None)
    assert (outcome.missing, outcome.errors) == (0, {})
    return out.getvalue()


def rows(text: str) -> dict[str, list[float]]:
    found = re.findall(r"^(to each|the hub's) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$", text, re.M)
    return {name: list(map(float, values)) for name, *values in found}


def test_hubs_own_latencies_stand_beside_those_of_the_clients(start_hub: StartHub) -> None:
    found = rows(run(start_hub().url))
    assert found.keys() == {"to each", "the hub's"}
    # What is behind the socket, and the way there, comes on top for the clients.
    assert 0 < found["the hub's"][0] <= found["to each"][0] + 5


def test_hub_that_hides_its_metrics_is_measured_all_the_same(start_hub: StartHub) -> None:
    hub = start_hub(env={"TOCSIN_METRICS_TOKEN": "correct-horse-battery"})
    assert "the hub's     is not to be had: /metrics answers 401" in run(hub.url)


@pytest.mark.soak
def test_hub_and_clients_agree_to_5_ms_at_the_99th_percentile(start_hub: StartHub) -> None:
    """On a quiet machine; the best of three, as another program's turn is nobody's latency."""
    hub = start_hub()
    apart = []
    for _ in range(3):
        out = io.StringIO()
        bench(hub.url, clients=200, publishers=4, seconds=10, rate=100, out=out, progress=None)
        print(out.getvalue())
        found = rows(out.getvalue())
        apart.append(abs(found["to each"][2] - found["the hub's"][2]))
    assert min(apart) < 5
