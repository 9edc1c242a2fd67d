"""The collector: turns the hub's integers into metrics at the moment of a scrape.

The hub knows nothing of this. What there is to read is in the catalogue; this only shapes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from time import perf_counter

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from tocsin.hub.counters import Histogram
from tocsin.hub.hub import Hub
from tocsin.ops.metrics.catalogue import CATALOGUE, Family, RequestCounts, Source, Value
from tocsin.ops.metrics.process import ProcessCollector

Scrape = Callable[[str], tuple[bytes, str]]


def make_registry(hub: Hub, requests: RequestCounts, lanes: Mapping[str, int]) -> CollectorRegistry:
    """A registry of its own, so that two hubs in one process don't meet in the global one."""
    registry = CollectorRegistry()
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(ProcessCollector())
    registry.register(HubCollector(hub, requests, lanes))
    return registry


def make_scrape(hub: Hub, requests: RequestCounts, lanes: Mapping[str, int]) -> Scrape:
    """What a scrape of `hub` is answered: takes `Accept`, returns the text and its content type."""
    registry = make_registry(hub, requests, lanes)

    def scrape(accept: str) -> tuple[bytes, str]:
        encoder, content_type = choose_encoder(accept)
        began = perf_counter()
        text = encoder(registry)
        hub.counters.scrape_s = perf_counter() - began
        return text, content_type

    return scrape


class HubCollector(Collector):
    """Yields every family of the catalogue, each known label value included, from the start."""

    def __init__(self, hub: Hub, requests: RequestCounts, lanes: Mapping[str, int]) -> None:
        self._source = Source(hub, requests, lanes)

    def describe(self) -> Iterable[Metric]:
        """Nothing: or registering would collect."""
        return []

    def collect(self) -> Iterable[Metric]:
        """All families, read now."""
        for family in CATALOGUE:
            yield as_metric(family, family.read(self._source))


def as_metric(family: Family, value: Value) -> Metric:
    """`value`, as `family` was read, in the form that the client library encodes."""
    if isinstance(value, Histogram):
        return _histogram(family, value)
    if family.kind == "info":
        return InfoMetricFamily(family.stem, family.help, value=_texts(value))
    make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    if not isinstance(value, Mapping):
        return make(family.stem, family.help, value=value)
    metric = make(family.stem, family.help, labels=tuple(family.labels))
    for labels, count in value.items():
        metric.add_metric((labels,) if isinstance(labels, str) else labels, float(count))
    return metric


def _texts(value: Value) -> dict[str, str]:
    assert isinstance(value, Mapping)
    return {str(name): str(text) for name, text in value.items()}


def _histogram(family: Family, histogram: Histogram) -> Metric:
    metric = HistogramMetricFamily(family.stem, family.help)
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    totals = accumulate(histogram.counts)
    metric.add_metric((), list(zip(bounds, totals, strict=True)), sum_value=histogram.sum)
    return metric
