"""What it costs that latencies, sizes, recipients and types are observed while events are delivered."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from peers.base import Server
from plan import Case, Goal, Opened, Row, Sample, Term, Window

from rows.fan_out import CROWD, FEW
from rows.sample import WARM_UP_S
from tocsin.bench import Load, Outcome

WINDOW_S = 0.1
"""How long it is on, then off: two processes differ by more than this costs, and so do two seconds."""

ON, OFF = signal.SIGUSR2, signal.SIGUSR1


def switched(
    publishers: int, message_bytes: int, load_on: Callable[[Load, float], Outcome]
) -> Opened:
    """1,000 clients; deliveries/s with and without, and the median of what a pair of windows kept."""

    @contextmanager
    def opened(server: Server) -> Iterator[Window]:
        def rate(switch: signal.Signals) -> float:
            server.signal(switch)
            return load_on(load, WINDOW_S).deliveries_per_s

        def window(seconds: float) -> Sample:
            pairs = []
            for number in range(round(seconds / WINDOW_S / 2)):
                order = (ON, OFF) if number % 2 else (OFF, ON)
                rates = {switch: rate(switch) for switch in order}
                pairs.append((rates[ON], rates[OFF]))
            return {
                "deliveries_per_s": median(on for on, _ in pairs),
                "without_per_s": median(off for _, off in pairs),
                "kept": median(on / off for on, off in pairs),
            }

        with Load(
            server.target, 1_000, publishers, message_bytes=message_bytes, awake=True
        ) as load:
            load.warm_up(WARM_UP_S)
            yield window

    return opened


def _goal(case: str) -> Goal:
    return Goal(Term(case, "tocsin-switched", "kept"), None, 0.97)


ROW = Row(
    name="metrics",
    title="what metrics cost: deliveries/s with them, and without",
    cases=(
        Case(FEW, ("tocsin-switched",), switched(1, 100, Load.one_after_the_other), quick=False),
        Case(CROWD, ("tocsin-switched",), switched(32, 60, Load.at_once), quick=False),
    ),
    figures=("deliveries_per_s", "without_per_s", "kept"),
    compared=("deliveries_per_s", "kept"),
    window_s=1.0,
    goals=(_goal(FEW), _goal(CROWD)),
    seconds=12.0,
    note="Switched on and off in turn, on the same streams of one process: benchmarks/switched.py.",
)
