"""What is measured: rows of cases, the figures they give, and the ratios they should reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from peers.base import Server

Sample = dict[str, float]
"""The figures of one round on one server, by the names in `FIGURES`."""

Measure = Callable[[Server, float], Sample]
"""Takes a fresh server, and how long to publish in seconds."""

Samples = dict[str, dict[str, list[Sample]]]
"""A row's samples by case and peer, a round each."""


class Figure(NamedTuple):
    """How a figure is shown."""

    title: str
    form: str

    def show(self, value: float) -> str:
        """The figure as people read it."""
        return self.form.format(value)


FIGURES = {
    "deliveries_per_s": Figure("deliveries/s", "{:,.0f}"),
    "without_per_s": Figure("deliveries/s without metrics", "{:,.0f}"),
    "kept": Figure("with metrics over without, by neighbours", "{:.3f}"),
    "published_per_s": Figure("POSTs/s", "{:,.0f}"),
    "events_per_s": Figure("events/s", "{:,.0f}"),
    "caught_up_per_s": Figure("clients caught up/s", "{:,.0f}"),
    "kib_per_client": Figure("KiB a client", "{:.2f}"),
    "fan_out_p50": Figure("p50 to the last reader, ms", "{:.2f}"),
    "fan_out_p99": Figure("p99 to the last reader, ms", "{:.2f}"),
    "delivery_p99": Figure("p99 to each reader, ms", "{:.2f}"),
    "us_per_delivery": Figure("server µs a delivery", "{:.2f}"),
    "us_per_publish": Figure("server µs a POST", "{:.1f}"),
    "us_per_replayed": Figure("server µs a replayed event", "{:.3f}"),
    "server_busy": Figure("server's core", "{:.0%}"),
    "load_busy": Figure("generator's core", "{:.0%}"),
}


@dataclass(frozen=True)
class Case:
    """One kind of load of a row, on each of `peers` in turn.

    `quick` tells whether a quick run takes it, and then on the peers of the row's goals only.
    """

    name: str
    peers: tuple[str, ...]
    measure: Measure
    quick: bool = True


class Term(NamedTuple):
    """One side of a ratio."""

    case: str
    peer: str
    figure: str


@dataclass(frozen=True)
class Goal:
    """What the ratio of two medians should be: at least `bound`, or at most.

    `aim` is what we hope for beyond the bound. Where `over` is None, `of` is a ratio itself.
    """

    of: Term
    over: Term | None
    bound: float
    at_most: bool = False
    aim: float | None = None

    def ratio(self, samples: Samples) -> float | None:
        """The ratio of the medians; None where one side wasn't measured."""
        of = middle(samples, self.of)
        over = middle(samples, self.over) if self.over else 1.0
        return of / over if of is not None and over else None

    def is_reached(self, ratio: float) -> bool:
        """Whether `ratio` is good enough."""
        return ratio <= self.bound if self.at_most else ratio >= self.bound


@dataclass(frozen=True)
class Row:
    """One line of the table that the hub is held to.

    Args:
        name: a word for ``--only``.
        title: the work, in words.
        cases: the loads.
        goals: the ratios wanted; none where the row only reports.
        figures: what its own table shows.
        seconds: how long each measurement publishes.
        note: what a reader should know.
    """

    name: str
    title: str
    cases: tuple[Case, ...]
    figures: tuple[str, ...]
    goals: tuple[Goal, ...] = ()
    seconds: float = 3.0
    quick_seconds: float = 0.7
    note: str = ""

    def quick_peers(self, case: Case) -> tuple[str, ...]:
        """The peers of `case` without which no ratio can be told; the first one, if there is no goal."""
        wanted = {term.peer for goal in self.goals for term in (goal.of, goal.over) if term}
        return tuple(peer for peer in case.peers if peer in wanted) or case.peers[:1]


def middle(samples: Samples, term: Term) -> float | None:
    """The median over the rounds; None where nothing was measured."""
    values = [s[term.figure] for s in samples.get(term.case, {}).get(term.peer, [])]
    return median(values) if values else None
