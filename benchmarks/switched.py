"""The hub, with a switch for what observes latencies, sizes, recipients and types: to measure what it costs.

usage: python benchmarks/switched.py serve ...      as `tocsin`; SIGUSR1 is off, SIGUSR2 on again
"""

from __future__ import annotations

import signal
from typing import Any

from tocsin.cli import main
from tocsin.punctuality import Punctuality
from tocsin.tally import Histogram, Tally

OBSERVERS = {
    (kind, name): getattr(kind, name)
    for kind, names in (
        (Punctuality, ("note", "fold")),
        (Histogram, ("observe", "observe_each", "observe_since")),
        (Tally, ("count_published", "count_live")),
    )
    for name in names
}


def nothing(*_: Any) -> None:
    """In the place of an observer."""


def off(*_: Any) -> None:
    """Observe nothing."""
    for kind, name in OBSERVERS:
        setattr(kind, name, nothing)


def on(*_: Any) -> None:
    """Observe again."""
    for (kind, name), observer in OBSERVERS.items():
        setattr(kind, name, observer)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, off)
    signal.signal(signal.SIGUSR2, on)
    main()
