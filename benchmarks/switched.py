"""The hub, with a switch for what observes latencies, sizes, recipients and types: to measure what it costs.

usage: python benchmarks/switched.py serve ...      as `tocsin`; SIGUSR1 is off, SIGUSR2 on again
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

from tocsin.cli.main import main
from tocsin.hub.counters import Counters, Histogram
from tocsin.hub.delivery_latency import DeliveryLatency

METHODS = (
    (DeliveryLatency, ("note", "fold")),
    (Histogram, ("observe_since", "settle")),
    (Counters, ("count_published", "count_live")),
)
observers: dict[tuple[Any, str], Any] = {
    (kind, name): getattr(kind, name) for kind, names in METHODS for name in names
}
make = Histogram.__init__


def make_switched(histogram: Histogram, bounds: Sequence[float]) -> None:
    """Make a histogram whose own observers are switched too."""
    make(histogram, bounds)
    for name in ("observe", "observe_each"):
        observers[histogram, name] = getattr(histogram, name)


def nothing(*_: Any) -> None:
    """In the place of an observer."""


def off(*_: Any) -> None:
    """Observe nothing."""
    for owner, name in observers:
        setattr(owner, name, nothing)


def on(*_: Any) -> None:
    """Observe again."""
    for (owner, name), observer in observers.items():
        setattr(owner, name, observer)


if __name__ == "__main__":
    Histogram.__init__ = make_switched  # type: ignore[method-assign]
    signal.signal(signal.SIGUSR1, off)
    signal.signal(signal.SIGUSR2, on)
    main()
