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


def counted(counter: str, legend: str) -> Query:
    """How much a counter went up in the range shown, to the last one, also where instances came and went.

    `increase` begins at an instance's first sample, which may hold all there is: after a restart everybody comes back
    before the first scrape. And it extrapolates. So what an instance counts is its last value less what it was before
    the range; one that began in it counts from 0. Where it began anew under the same address, `increase` has to do.
    Of an instance that Prometheus did not know before, though it ran already, only what is seen counts.
    """
    last = f"last_over_time({counter}[$__range])"
    before = f"last_over_time({counter}[1h] offset $__range)"
    known_late = (
        "unless on (job, instance) (time() - process_start_time_seconds{*} > $__range_s + 60)"
    )
    seen = f"{last} - ({before} <= {last}) or {last} {known_late}"
    resets = f"resets({counter}[$__range]) == 0"
    return Query(
        f"round(sum(({seen}) and {resets} or increase({counter}[$__range])))",
        legend,
    )
