"""What the hub itself says of how late events reach sockets, to be read beside what the clients saw."""

from __future__ import annotations

import http.client
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.bench.latency import Latencies
from tocsin.bench.target import Target

TIMEOUT_S = 10.0
MAX_BYTES = 4 * 1024 * 1024

BUCKET = re.compile(
    r'^tocsin_delivery_latency_seconds_bucket\{le="([^"]+)"\} ([0-9.e+]+)$', re.MULTILINE
)


@dataclass(frozen=True)
class HubLatency:
    """The histogram at one moment: upper bounds in seconds, the last one infinite, and how many lie below each.

    `why_not` says why there is none; it is empty where there is one.
    """

    bounds: Sequence[float] = ()
    totals: Sequence[float] = ()
    why_not: str = ""

    @classmethod
    def of_text(cls, text: str) -> HubLatency:
        """As the metrics hold it."""
        found = BUCKET.findall(text)
        if not found:
            return cls(why_not="/metrics holds no such histogram")
        return cls([float(bound) for bound, _ in found], [float(total) for _, total in found])

    @classmethod
    def at(cls, target: Target) -> HubLatency:
        """As the hub says now; never fails."""
        path = target.publish.removesuffix("/api/notify") + "/metrics"
        connection = http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            if answer.status != 200:
                return cls(why_not=f"{path} answers {answer.status}")
            return cls.of_text(answer.read(MAX_BYTES).decode("utf-8", "replace"))
        except (OSError, http.client.HTTPException) as error:
            return cls(why_not=f"{path}: {error}")
        finally:
            connection.close()

    def since(self, before: HubLatency) -> Latencies:
        """What came in since `before`, of the same hub: each percentile by interpolation, the largest as its bucket's bound."""
        was = before.totals or [0.0] * len(self.totals)
        totals = [now - then for now, then in zip(self.totals, was, strict=True)]
        if not totals or totals[-1] <= 0:
            return Latencies()
        p50, p90, p99 = (self._quantile(totals, share) for share in (0.5, 0.9, 0.99))
        highest = self._bound_below(next(n for n, t in enumerate(totals) if t == totals[-1]))
        return Latencies(int(totals[-1]), p50, p90, p99, highest)

    def _quantile(self, totals: Sequence[float], share: float) -> float:
        """Milliseconds below which `share` of all lie, if they lie evenly in their buckets."""
        wanted = share * totals[-1]
        at = next(n for n, total in enumerate(totals) if total >= wanted)
        below = totals[at - 1] if at else 0.0
        low = self.bounds[at - 1] if at else 0.0
        if at == len(totals) - 1:
            return low * 1000
        return 1000 * (low + (self.bounds[at] - low) * (wanted - below) / (totals[at] - below))

    def _bound_below(self, at: int) -> float:
        """The upper bound of a bucket in milliseconds; of the last one, its lower."""
        return 1000 * self.bounds[min(at, len(self.bounds) - 2)]
