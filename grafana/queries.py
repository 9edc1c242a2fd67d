"""PromQL that several panels ask in the same way. All of it sums over the instances.

Where nothing was counted, a share and a quantile are NaN, which Grafana writes as that, in the colour of the worst.
The comparisons here leave nothing instead, and the panel says in words what that means.
"""

from __future__ import annotations

from grafana.panel import Query


def quantiles(histogram: str, *shares: float) -> list[Query]:
    """What so many of the observations lie below: 0.5 is the median."""
    return [
        Query(
            f"histogram_quantile({share}, sum by (le) (rate({histogram}_bucket{{*}}[*]))) >= 0",
            "median" if share == 0.5 else f"{share:.0%} below",
        )
        for share in shares
    ]


def buckets(histogram: str) -> list[Query]:
    """The buckets of a histogram, for a heatmap."""
    return [Query(f"sum by (le) (increase({histogram}_bucket{{*}}[*]))", "{{le}}")]


def rates(counter: str, label: str) -> list[Query]:
    """How much a second, by a label."""
    return [Query(f"sum by ({label}) (rate({counter}{{*}}[*]))", f"{{{{{label}}}}}")]


def share(part: str, whole: str, legend: str = "") -> Query:
    """What share of `whole` the counter `part` is; nothing where nothing was counted."""
    return Query(f"sum(rate({part}[*])) / (sum(rate({whole}[*])) > 0)", legend)
