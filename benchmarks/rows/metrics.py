"""What it costs that latencies, sizes, recipients and types are observed while events are delivered."""

from __future__ import annotations

import signal
from collections.abc import Callable
from statistics import median

from peers.base import Server
from plan import Case, Goal, Measure, Row, Sample, Term

from rows.fan_out import CROWD, FEW
from rows.sample import WARM_UP_S
from tocsin.bench import Load, Outcome

WINDOWS = 20
"""With and without, each; in turn on the same streams, since two processes differ by more than this costs."""

SWITCHES = {"deliveries_per_s": signal.SIGUSR2, "without_per_s": signal.SIGUSR1}


def switched(publishers: int, load_on: Callable[[Load, float], Outcome]) -> Measure:
    """1,000 clients; medians of deliveries/s with and without."""

    def measure(server: Server, seconds: float) -> Sample:
        rates: dict[str, list[float]] = {figure: [] for figure in SWITCHES}
        with Load(server.target, 1_000, publishers, message_bytes=100, awake=True) as load:
            load.warm_up(WARM_UP_S)
            for number in range(WINDOWS):
                for figure in sorted(SWITCHES, reverse=bool(number % 2)):
                    server.signal(SWITCHES[figure])
                    outcome = load_on(load, seconds / WINDOWS / 2)
                    rates[figure].append(outcome.deliveries_per_s)
        return {figure: median(found) for figure, found in rates.items()}

    return measure


def _goal(case: str) -> Goal:
    sides = [Term(case, "tocsin-switched", figure) for figure in SWITCHES]
    return Goal(*sides, 0.97)


ROW = Row(
    name="metrics",
    title="what metrics cost: deliveries/s with them, and without",
    cases=(
        Case(FEW, ("tocsin-switched",), switched(1, Load.one_after_the_other), quick=False),
        Case(CROWD, ("tocsin-switched",), switched(32, Load.at_once), quick=False),
    ),
    figures=tuple(SWITCHES),
    goals=(_goal(FEW), _goal(CROWD)),
    seconds=12.0,
    note="Switched on and off in turn, on the same streams of one process: benchmarks/switched.py.",
)
