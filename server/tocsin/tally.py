"""The hub's plain integers. Metrics, stats and the page read the same numbers.

An integer add costs 25 ns where a metric object's `inc()` costs 350; a collector turns the integers
into metrics when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

from tocsin.resume import Resume

CLOSE_REASONS = ("client", "slow", "shutdown")
REJECT_REASONS = ("full", "draining", "invalid")
PUBLISH_REJECT_REASONS = ("invalid", "too_large", "unsupported", "unavailable")
GAP_REASONS = ("evicted", "restart", "unknown")
SOURCES = ("api", "simulation", "other")
RATE_WINDOW_S = 10

DURATION_BOUNDS_S = (1, 10, 30, 60, 300, 1_800, 3_600, 14_400, 86_400)
REPLAY_BOUNDS = (0, 1, 10, 100, 1_000, 10_000, 100_000)


class Histogram:
    """Counts by bucket; `bounds` are the inclusive upper ends, the last bucket has none."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, weight: int = 1) -> None:
        """Count `value`, `weight` times."""
        self.counts[bisect_left(self.bounds, value)] += weight
        self.sum += value * weight


class Tally:
    """What has happened since the process began. Every known label value is there, at 0."""

    def __init__(self) -> None:
        self.published = dict.fromkeys(SOURCES, 0)
        self.publish_rejected = dict.fromkeys(PUBLISH_REJECT_REASONS, 0)
        self.last_event_time = 0.0
        self.delivered_live = 0
        self.delivered_replay = 0
        self.heartbeats = 0
        self.opened = {"new": 0, "resumed": 0}
        self.closed = dict.fromkeys(CLOSE_REASONS, 0)
        self.rejected = dict.fromkeys(REJECT_REASONS, 0)
        self.resumes = {"complete": 0, "gap": 0}
        self.gaps = dict.fromkeys(GAP_REASONS, 0)
        self.durations_s = Histogram(DURATION_BOUNDS_S)
        self.replayed = Histogram(REPLAY_BOUNDS)
        self._samples: deque[tuple[float, int, int]] = deque(maxlen=RATE_WINDOW_S + 1)

    @property
    def delivered(self) -> int:
        """Events handed to sockets, live and replayed."""
        return self.delivered_live + self.delivered_replay

    def count_published(self, source: str, time: float) -> None:
        """One event of `source` entered the log at `time`."""
        self.published[source if source in self.published else "other"] += 1
        self.last_event_time = time

    def count_opened(self, resume: Resume) -> None:
        """A stream opened there."""
        self.opened["resumed" if resume.resumed else "new"] += 1
        if resume.resumed:
            self.resumes["gap" if resume.gap else "complete"] += 1
            self.replayed.observe(resume.replayed)
        if resume.gap:
            self.gaps[resume.gap.reason] += 1

    def count_closed(self, reason: str, duration_s: float) -> None:
        """A stream closed after `duration_s`."""
        self.closed[reason] += 1
        self.durations_s.observe(duration_s)

    def sample(self, now: float) -> None:
        """Note the totals for the rates; to be called about once a second."""
        self._samples.append((now, sum(self.published.values()), self.delivered))

    def rates(self) -> dict[str, float]:
        """Events published and delivered a second, over the last ten seconds."""
        if len(self._samples) < 2:
            return {"published": 0.0, "delivered": 0.0}
        (then, published, delivered), (now, *newest) = self._samples[0], self._samples[-1]
        span = now - then
        return {
            "published": round((newest[0] - published) / span, 3),
            "delivered": round((newest[1] - delivered) / span, 3),
        }
