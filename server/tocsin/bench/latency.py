"""Percentiles of latencies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NS_PER_MS = 1_000_000


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of `ordered`, which ascends and isn't empty.

    It is a value that was measured, never one between two: the least value that `percent` of all
    don't exceed.
    """
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(rank, 1) - 1]


@dataclass(frozen=True)
class Latencies:
    """A distribution in milliseconds; all 0 where nothing was measured (`count` is 0)."""

    count: int = 0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    max: float = 0.0

    @classmethod
    def of_ns(cls, values: Iterable[int]) -> Latencies:
        """Of latencies in nanoseconds, in any order."""
        ordered = sorted(values)
        if not ordered:
            return cls()
        p50, p90, p99 = (percentile(ordered, percent) / NS_PER_MS for percent in (50, 90, 99))
        return cls(len(ordered), p50, p90, p99, ordered[-1] / NS_PER_MS)
