"""What a scraper sees: well-formed in both formats, zero from the start, bounded whatever clients send."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest, parser
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser
from tornado.httpclient import AsyncHTTPClient

from tests.conftest import StartHub
from tests.hub_process import HubProcess, free_ports
from tests.patience import wait_until
from tests.raw import exchange
from tests.serving import StreamClient, eventually, publish, serving
from tocsin import Hub
from tocsin.app import Server, Wiring
from tocsin.http.access_log import HANDLERS, MAX_LABELS, AccessLog
from tocsin.http.routes.base import NotFound
from tocsin.ops.metrics import CATALOGUE, HubCollector, Source
from tocsin.ops.metrics.catalogue import DATED

# The library has no types for these.
parse_text: Callable[[str], Iterable[Metric]] = parser.text_string_to_metric_families
parse_openmetrics: Callable[[str], Iterable[Metric]] = (
    openmetrics_parser.text_string_to_metric_families
)
encode_openmetrics: Callable[[CollectorRegistry], bytes] = openmetrics.generate_latest

MAX_SERIES = 500
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Name and sorted labels, to the value."""


def scrape(hub: HubProcess, headers: dict[str, str] | None = None) -> str:
    request = urllib.request.Request(hub.url + "/metrics", headers=headers or {})
    with urllib.request.urlopen(request, timeout=10) as response:
        text: str = response.read().decode()
    return text


def series(families: Iterable[Metric]) -> Series:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def counters(text: str) -> Series:
    """What must never fall: counters, and the buckets, counts and sums of histograms."""
    rising = [f for f in parse_text(text) if f.type in ("counter", "histogram")]
    return series(rising)


def test_promtool_has_nothing_to_say(start_hub: StartHub) -> None:
    said = subprocess.run(
        ["promtool", "check", "metrics"],
        input=scrape(start_hub()),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


async def test_both_formats_say_the_same() -> None:
    async with serving(canary=0) as server:
        await StreamClient.open(server)
        await publish(server, 10)
        await eventually(lambda: server.hub.counters.delivered_live == 10)
        registry = CollectorRegistry()
        registry.register(HubCollector(Source(server.hub, AccessLog().counts, AccessLog().lanes)))
        plain = series(parse_text(generate_latest(registry).decode()))
        modern = series(parse_openmetrics(encode_openmetrics(registry).decode()))
    assert plain == modern
    assert plain["tocsin_events_delivered_total", (("kind", "live"),)] == 10


def test_scraper_gets_the_format_it_asks_for(start_hub: StartHub) -> None:
    hub = start_hub()
    assert not scrape(hub).endswith("# EOF\n")
    modern = scrape(hub, OPENMETRICS)
    assert modern.endswith("# EOF\n")
    # The process's own are spelt alike, but for a counter that OpenMetrics must have a suffix for.
    assert len(series(parse_openmetrics(modern))) == len(series(parse_text(scrape(hub))))


def test_every_known_label_value_is_there_at_0_from_the_start(start_hub: StartHub) -> None:
    text = scrape(start_hub("--canary", "0", "--log-level", "error"))
    families = {family.name: family for family in parse_text(text)}
    for family in CATALOGUE:
        if family.kind not in ("counter", "histogram"):
            continue
        samples = families[family.stem].samples
        if "event_loop" not in family.name:  # a busy machine has held it up already
            assert {sample.value for sample in samples} == {0.0}, family.name
        for label, values in family.labels.items():
            found = {sample.labels[label] for sample in samples}
            assert found == set(values) or not values, family.name


def test_families_are_those_of_the_catalogue_and_the_library(start_hub: StartHub) -> None:
    found = {f.name for f in parse_text(scrape(start_hub())) if f.name.startswith("tocsin_")}
    # The text format knows no info: it is a gauge with its suffix in the name.
    expected = {f.name if f.kind == "info" else f.stem for f in CATALOGUE}
    expected |= {name.removesuffix("total") + "created" for name in DATED}
    assert found == expected


def test_handlers_that_are_counted_by_name_are_those_there_are() -> None:
    edge = Wiring(Hub()).edge(with_metrics=True)
    routes = [*edge.routes.values(), *edge.prefixes.values(), edge.route("/index.html")]
    names = {route.name for route in routes}
    assert names | {NotFound.name} == set(HANDLERS)


def test_series_are_bounded_whatever_clients_send(start_hub: StartHub) -> None:
    hub = start_hub("--log-level", "error")
    before = series(parse_text(scrape(hub)))
    flood_with_topics_and_types(hub.port)
    flood_with_odd_requests(hub.port)
    text = scrape(hub)
    after = series(parse_text(text))
    assert len(after) <= MAX_SERIES
    free = ("tocsin_http_requests_total", "tocsin_events_published_by_type_total")
    assert {key for key in after.keys() - before.keys() if key[0] not in free} == set()
    assert sum(key[0] == free[0] for key in after) <= MAX_LABELS + 1
    types = {dict(labels)["type"]: n for (name, labels), n in after.items() if name == free[1]}
    assert len(types) == 33
    assert (types["type0"], types.get("type9999")) == (1, None)
    assert sum(types.values()) == 10_000


def test_series_of_a_hub_with_everything_on_are_bounded_too(
    start_hub: StartHub, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.toml"
    add = [sys.executable, "-m", "tocsin", "key", "add", "--keys", str(keys), "--publish", "*"]
    add += ["--subscribe", "*", "--end", "*", "all"]
    key = subprocess.run(add, check=True, capture_output=True, text=True).stdout.split()[0]
    hub = start_hub(
        *("--journal", f"sqlite:{tmp_path / 'log.db'}", "--history-events", "1000"),
        *(
            "--window-events",
            "100",
            "--keep-newest",
            "topic1*=5",
            "--keys",
            str(keys),
            "--simulate",
            "0.1",
        ),
        *("--metrics-listen", f"127.0.0.1:{free_ports(1)[0]}", "--canary", "0.2"),
        *("--publish-rate-per-principal", "100000", "--publish-rate-per-address", "100000"),
        *("--publish-bytes-per-principal", "1e9", "--publish-bytes-per-address", "1e9"),
        *("--max-clients-per-principal", "5", "--max-clients-per-address", "5"),
        *("--log-level", "error"),
    )
    authorization = f"Authorization: Bearer {key}\r\n"
    flood_with_topics_and_types(hub.port, authorization)
    flood_with_odd_requests(hub.port)  # by a stranger, and by somebody who is known
    flood_with_odd_requests(hub.port, authorization)
    wait_until(lambda: hub.metric('tocsin_canary_runs_total{outcome="ok"}') > 0)
    found = series(parse_text(hub.text("/metrics")))
    assert found["tocsin_kept_newest_events", ()] > 0
    print(f"{len(found)} series")
    assert len(found) <= MAX_SERIES


def flood_with_topics_and_types(port: int, more: str = "") -> None:
    """Publish 10,000 events, each of a topic and a type of its own; `more` are header lines."""
    for first in range(0, 10_000, 1_000):
        body = "\n".join(
            json.dumps({"type": f"type{n}", "message": "x", "topic": f"topic{n}"})
            for n in range(first, first + 1_000)
        ).encode()
        head = (
            "POST /api/notify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
            f"Content-Length: {len(body)}\r\n{more}\r\n"
        )
        assert exchange(port, head.encode() + body).status == 200


def flood_with_odd_requests(port: int, more: str = "") -> None:
    """Methods, paths, ids and user agents that nobody foresaw, on every route."""
    paths = ["/", "/api/notify", "/api/history", "/api/stats", "/healthz", "/readyz", "/metrics"]
    paths += [f"/path{n}" for n in range(500)] + ["/%00", "/api/history?limit=x", "/events?topic=%"]
    methods = [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "PATCH",
        "OPTIONS",
        "BREW",
        "get",
        "PROPFIND",
    ]
    requests = [(method, path) for path in [*paths[:7], *paths[-3:]] for method in methods]
    requests += [("GET", path) for path in paths[7:]]
    for number, (method, path) in enumerate(requests):
        fields = f"Host: localhost\r\nUser-Agent: agent{number}\r\nConnection: close\r\n{more}"
        exchange(port, f"{method} {path} HTTP/1.1\r\n{fields}\r\n".encode())
    for number in range(50):
        id = f"{number}-x\xe9" if number % 2 else str(number)
        fields = f"Host: localhost\r\nLast-Event-ID: {id}\r\n{more}"
        answer = exchange(port, f"GET /events HTTP/1.1\r\n{fields}\r\n".encode("latin-1"))
        assert answer.status in (200, 401)


def test_scraper_that_takes_gzip_gets_it(start_hub: StartHub) -> None:
    hub = start_hub("--canary", "0")
    plain = urllib.request.Request(hub.url + "/metrics")
    packed = urllib.request.Request(hub.url + "/metrics", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(packed, timeout=10) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in answer.headers["Vary"]
        body = answer.read()
    with urllib.request.urlopen(plain, timeout=10) as answer:
        assert answer.headers["Content-Encoding"] is None
        text = answer.read()
    names = {line.split()[2] for line in text.splitlines() if line.startswith(b"# TYPE")}
    unpacked = gzip.decompress(body)
    assert {
        line.split()[2] for line in unpacked.splitlines() if line.startswith(b"# TYPE")
    } == names
    assert len(body) < len(unpacked) / 4


def test_units_are_told_and_loss_says_since_when_it_counts(start_hub: StartHub) -> None:
    families = {f.name: f for f in parse_openmetrics(scrape(start_hub(), OPENMETRICS))}
    for name, family in families.items():
        unit = name.rpartition("_")[2]
        if name.startswith("tocsin_") and unit in ("seconds", "bytes", "ratio"):
            assert family.unit == unit
    created = [s.value for s in families["tocsin_gaps"].samples if s.name.endswith("_created")]
    assert len(created) == 3
    assert all(0 <= time.time() - at < 600 for at in created)


def test_buckets_are_close_around_the_objective_and_reach_beyond_it(start_hub: StartHub) -> None:
    (family,) = [
        f for f in parse_text(scrape(start_hub())) if f.name == "tocsin_delivery_latency_seconds"
    ]
    bounds = [float(s.labels["le"]) for s in family.samples if s.name.endswith("_bucket")]
    assert {0.1, 0.15, 0.2, 0.25, 0.5} < set(bounds)
    assert {10, 60, 300} < set(bounds)


async def test_counters_never_fall() -> None:
    async with serving(canary=0.05, heartbeat=0.05, history_events=20) as server:
        client = await StreamClient.open(server)
        previous: Series = {}
        for round in range(12):
            await publish(server, 10)
            other = await StreamClient.open(server, f"?last_event_id=0-{round}")
            other.reset()
            runs = server.hub.counters.canary_runs["ok"]
            await eventually(partial(has_run_since, server, runs))
            now = counters(await metrics(server.port))
            assert [key for key, value in previous.items() if now[key] < value] == []
            previous = now
        await client.take(100)


def has_run_since(server: Server, runs: int) -> bool:
    return server.hub.counters.canary_runs["ok"] > runs


async def metrics(port: int) -> str:
    answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/metrics")
    return answer.body.decode()


@pytest.mark.parametrize("name", ["process_resident_memory_bytes", "python_gc_collections_total"])
def test_process_and_its_garbage_collector_are_seen_too(start_hub: StartHub, name: str) -> None:
    assert f"\n{name}" in scrape(start_hub())
