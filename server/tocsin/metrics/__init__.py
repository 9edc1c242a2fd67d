"""Prometheus metrics: the catalogue says what there is, the collector reads it when it is asked."""

from tocsin.metrics.catalogue import CATALOGUE, Family, Source
from tocsin.metrics.collector import HubCollector, make_registry

__all__ = ["CATALOGUE", "Family", "HubCollector", "Source", "make_registry"]
