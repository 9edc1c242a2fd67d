"""Prometheus metrics: the catalogue says what there is, the collector reads it when it is asked."""

from tocsin.ops.metrics.catalogue import CATALOGUE, Family, Source
from tocsin.ops.metrics.collector import HubCollector, make_registry, make_scrape

__all__ = ["CATALOGUE", "Family", "HubCollector", "Source", "make_registry", "make_scrape"]
