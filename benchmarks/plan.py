"""What is measured: rows of cases, the figures they give, and the ratios they should reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from peers.base import Server

Sample = dict[str, float]
"""The figures of one round on one server, by the names in `FIGURES`."""

Window = Callable[[float], Sample]
"""Measures once; takes how long to publish in seconds, where the load has no end of its own."""

Opened = Callable[[Server], AbstractContextManager[Window]]
"""Opens a load on a fresh server: the window on it may be used again and again until the load is closed."""


def each_time(measure: Callable[[Server, float], Sample]) -> Opened:
    """A load of which nothing stays open between two windows."""

    @contextmanager
    def opened(server: Server) -> Iterator[Window]:
        yield lambda seconds: measure(server, seconds)

    return opened


Samples = dict[str, dict[str, list[Sample]]]
"""A row's samples by case and peer, a round each."""


class Figure(NamedTuple):
    """How a figure is shown."""

    title: str
    form: str
    is_cost: bool = False
    """Whether less is better."""

    def gain(self, value: float, than: float) -> float:
        """How many times as good `value` is as `than`; above 1 is better, whatever the figure."""
        return than / value if self.is_cost else value / than

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
    "streams_per_s": Figure("streams/s", "{:,.0f}"),
    "kib_per_client": Figure("KiB a client", "{:.2f}", is_cost=True),
    "kept_mib": Figure("memory kept, MiB", "{:.1f}", is_cost=True),
    "peak_mib": Figure("memory at most, MiB", "{:.1f}", is_cost=True),
    "fan_out_p50": Figure("p50 to the last reader, ms", "{:.2f}", is_cost=True),
    "fan_out_p99": Figure("p99 to the last reader, ms", "{:.2f}", is_cost=True),
    "delivery_p99": Figure("p99 to each reader, ms", "{:.2f}", is_cost=True),
    "slowest_post_ms": Figure("slowest POST, ms", "{:.1f}", is_cost=True),
    "turn_ms": Figure("longest turn of the loop, ms", "{:.1f}", is_cost=True),
    "turn_cpu_ms": Figure("longest turn, ms of CPU", "{:.1f}", is_cost=True),
    "us_per_delivery": Figure("server µs a delivery", "{:.2f}", is_cost=True),
    "us_per_publish": Figure("server µs a POST", "{:.1f}", is_cost=True),
    "us_per_replayed": Figure("server µs a replayed event", "{:.3f}", is_cost=True),
    "us_per_stream": Figure("server µs a stream", "{:.1f}", is_cost=True),
    "ms_per_return": Figure("server ms a return", "{:.2f}", is_cost=True),
    "ms_per_page": Figure("server ms a page", "{:.2f}", is_cost=True),
    "ms_per_body": Figure("server ms a body", "{:.2f}", is_cost=True),
    "ms_per_batch": Figure("server ms a batch", "{:,.0f}", is_cost=True),
    "server_cpu_s": Figure("server's CPU in all, s", "{:.2f}", is_cost=True),
    "server_busy": Figure("server's core", "{:.0%}"),
    "load_busy": Figure("generator's core", "{:.0%}"),
}


@dataclass(frozen=True)
class Case:
    """One kind of load of a row, on each of `peers` in turn.

    Args:
        name: the load in words.
        peers: the servers' names.
        load: opens it.
        quick: whether a quick run takes it, and then on the peers of the row's goals only.
        once: whether each window needs a server that has done nothing yet.
        flags: what the server's command ends with.
    """

    name: str
    peers: tuple[str, ...]
    load: Opened
    quick: bool = True
    once: bool = False
    flags: tuple[str, ...] = ()


class Term(NamedTuple):
    """One side of a ratio."""

    case: str
    peer: str
    figure: str


@dataclass(frozen=True)
class Goal:
    """What the ratio of two medians should be: at least `bound`, or at most.

    `aim` is what we hope for beyond the bound. Where `over` is None, `of` itself is what is bounded.
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
        compared: the figures that tell two hubs apart; the first one is judged.
        gain: how many times as good as an older hub the judged figure has to be.
        seconds: how long each measurement publishes.
        quick_seconds: the same in a quick run.
        window_s: the same where windows on two servers alternate.
        note: what a reader should know.
    """

    name: str
    title: str
    cases: tuple[Case, ...]
    figures: tuple[str, ...]
    compared: tuple[str, ...] = ()
    goals: tuple[Goal, ...] = ()
    gain: float = 0.97
    seconds: float = 3.0
    quick_seconds: float = 0.7
    window_s: float = 0.5
    note: str = ""

    def quick_peers(self, case: Case) -> tuple[str, ...]:
        """The peers of `case` without which no ratio can be told; the first one, if there is no goal."""
        wanted = {term.peer for goal in self.goals for term in (goal.of, goal.over) if term}
        return tuple(peer for peer in case.peers if peer in wanted) or case.peers[:1]


def middle(samples: Samples, term: Term) -> float | None:
    """The median over the rounds; None where nothing was measured."""
    values = [s[term.figure] for s in samples.get(term.case, {}).get(term.peer, [])]
    return median(values) if values else None
