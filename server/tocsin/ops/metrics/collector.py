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
from tocsin.ops.metrics.catalogue import CATALOGUE, DATED, Family, Source, Value
from tocsin.ops.metrics.process import ProcessCollector, start_time

Scrape = Callable[[str], tuple[bytes, str]]


def make_registry(source: Source) -> CollectorRegistry:
    """A registry of its own, so that two hubs in one process don't meet in the global one."""
    registry = CollectorRegistry()
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(ProcessCollector())
    registry.register(HubCollector(source))
    return registry


def make_scrape(source: Source) -> Scrape:
    """What a scrape of `source` is answered: takes `Accept`, returns the text and its content type."""
    registry = make_registry(source)

    def scrape(accept: str) -> tuple[bytes, str]:
        encoder, content_type = choose_encoder(accept)
        began = perf_counter()
        text = encoder(registry)
        source.hub.counters.scrape_s = perf_counter() - began
        return text, content_type

    return scrape


class HubCollector(Collector):
    """Yields every family of the catalogue, each known label value included, from the start."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._created = start_time()

    def describe(self) -> Iterable[Metric]:
        """Nothing: or registering would collect."""
        return []

    def collect(self) -> Iterable[Metric]:
        """All families, read now."""
        for family in CATALOGUE:
            yield as_metric(family, family.read(self._source), self._created)


def as_metric(family: Family, value: Value, created: float) -> Metric:
    """`value`, as `family` was read, in the form that the client library encodes; `created` is when the process began."""
    if isinstance(value, Histogram):
        return _histogram(family, value)
    if family.kind == "info":
        return InfoMetricFamily(family.stem, family.help, value=_texts(value))
    if family.kind == "counter":
        return _counter(family, value, created if family.name in DATED else None)
    if not isinstance(value, Mapping):
        return GaugeMetricFamily(family.stem, family.help, value=value, unit=family.unit)
    metric = GaugeMetricFamily(
        family.stem, family.help, labels=tuple(family.labels), unit=family.unit
    )
    for labels, count in value.items():
        metric.add_metric(_label_values(labels), float(count))
    return metric


def _counter(family: Family, value: Value, created: float | None) -> Metric:
    metric = CounterMetricFamily(
        family.stem, family.help, labels=tuple(family.labels), created=created, unit=family.unit
    )
    values = value.items() if isinstance(value, Mapping) else [((), value)]
    for labels, count in values:
        assert isinstance(count, int | float)
        metric.add_metric(_label_values(labels), float(count), created=created)
    return metric


def _label_values(labels: str | tuple[str, ...]) -> tuple[str, ...]:
    return (labels,) if isinstance(labels, str) else labels


def _texts(value: Value) -> dict[str, str]:
    assert isinstance(value, Mapping)
    return {str(name): str(text) for name, text in value.items()}


def _histogram(family: Family, histogram: Histogram) -> Metric:
    metric = HistogramMetricFamily(family.stem, family.help, unit=family.unit)
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    totals = accumulate(histogram.counts)
    metric.add_metric((), list(zip(bounds, totals, strict=True)), sum_value=histogram.sum)
    return metric
