"""The catalogue of metrics: a collector that reads the hub's integers when it is asked.

The hub knows nothing of this. No label ever holds an id, a path, an address or a topic, so the number
of series is bounded whatever clients send.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from tocsin.hub import Hub
from tocsin.logs import RECORDS
from tocsin.requests import RequestCounts
from tocsin.tally import Histogram
from tocsin.version import VERSION


def make_registry(hub: Hub, requests: RequestCounts) -> CollectorRegistry:
    """A registry of its own, so that two hubs in one process don't meet in the global one."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(HubCollector(hub, requests))
    return registry


class HubCollector(Collector):
    """Yields every family of the catalogue, each known label value included, from the start."""

    def __init__(self, hub: Hub, requests: RequestCounts) -> None:
        self._hub = hub
        self._requests = requests

    def describe(self) -> Iterable[Metric]:
        """Nothing: or registering would collect."""
        return []

    def collect(self) -> Iterable[Metric]:
        """All families, read now."""
        yield from self._streams()
        yield from self._publishing()
        yield from self._delivery()
        yield from self._history()
        yield from self._process()

    def _streams(self) -> Iterable[Metric]:
        hub, tally = self._hub, self._hub.tally
        yield _gauge("clients", "Open event streams.", len(hub.streams))
        yield _gauge("clients_limit", "Open event streams at most.", hub.clients_limit)
        yield _gauge("lagging_clients", "Streams behind the head.", len(hub.lagging))
        yield _counter("streams_opened", "Streams opened.", "kind", tally.opened)
        yield _counter(
            "streams_closed", "Streams closed, by who or what ended them.", "reason", tally.closed
        )
        yield _counter("streams_rejected", "Streams not opened.", "reason", tally.rejected)
        yield _histogram(
            "stream_duration_seconds", "How long closed streams lasted.", tally.durations_s
        )
        yield _counter("resumes", "Streams that named a last event id.", "outcome", tally.resumes)
        yield _counter("gaps", "Gaps that clients were told of.", "reason", tally.gaps)
        yield _histogram("replayed_events", "Events replayed to a resumed stream.", tally.replayed)

    def _publishing(self) -> Iterable[Metric]:
        tally = self._hub.tally
        yield _counter("events_published", "Events accepted.", "source", tally.published)
        yield _counter(
            "publish_rejected", "Publish requests refused.", "reason", tally.publish_rejected
        )
        yield _gauge(
            "last_event_timestamp_seconds",
            "Unix time of the newest event; 0 before the first.",
            tally.last_event_time,
        )

    def _delivery(self) -> Iterable[Metric]:
        tally = self._hub.tally
        delivered = {"live": tally.delivered_live, "replay": tally.delivered_replay}
        yield _counter("events_delivered", "Events handed to sockets.", "kind", delivered)
        yield CounterMetricFamily("tocsin_heartbeats", "Heartbeats sent.", value=tally.heartbeats)

    def _history(self) -> Iterable[Metric]:
        ring, settings = self._hub.ring, self._hub.settings
        yield _gauge("history_events", "Events kept.", len(ring))
        yield _gauge("history_bytes", "Encoded bytes of events kept.", ring.bytes)
        yield _gauge("history_limit_events", "Events kept at most.", settings.history_events)
        yield _gauge("history_limit_bytes", "Bytes kept at most.", settings.history_bytes)
        yield _gauge(
            "history_limit_age_seconds",
            "Age kept at most; 0 is no limit.",
            settings.history_age,
        )
        yield _gauge(
            "history_oldest_event_timestamp_seconds",
            "Unix time of the oldest event kept; 0 if none is.",
            ring.oldest.time if ring.oldest else 0,
        )
        yield _counter("history_evicted", "Events that left the history.", "reason", ring.evicted)

    def _process(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "tocsin_http_requests",
            "HTTP requests answered; streams are counted as streams.",
            labels=("handler", "method", "code"),
        )
        for labels, count in self._requests.items():
            requests.add_metric(labels, count)
        yield requests
        yield _counter("log_messages", "Log records, also those not written.", "level", RECORDS)
        yield _gauge("ready", "Whether the hub takes events and streams.", self._hub.is_ready)
        yield InfoMetricFamily("tocsin_build", "The version.", value={"version": VERSION})


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tocsin_{name}", text, value=value)


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"tocsin_{name}", text, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(f"tocsin_{name}", text)
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    totals = accumulate(histogram.counts)
    family.add_metric((), list(zip(bounds, totals, strict=True)), sum_value=histogram.sum)
    return family
