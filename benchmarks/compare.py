"""Measures the hub of this checkout beside that of another commit, in neighbouring windows of one run.

usage: python benchmarks/compare.py --base COMMIT [--variant NAME ...] [--peers] [--only ROW ...] [--rounds N]
                                    [--windows N] [--seconds S] [--output FILE]

The other commit's code comes from a git worktree in benchmarks/.cache/commits, and runs under the same
interpreter with the same packages. A variant is this checkout's hub on ``uvloop``, or under another
interpreter, such as ``python3.13``, which is looked for on PATH and in pyenv; it is told against this
checkout's hub. With --peers the row's other servers take their turns too.

In each round all servers of a case are started anew, with a load each; then windows go round over them,
forwards and backwards in turn. A gain is how many times as good one is as the other, above 1 is better
whatever the figure: the median of the gains of neighbouring windows, with the quartiles behind it.
Everything measured is written to FILE, by default benchmarks/.cache/compare.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import machine
import rows
from peers import hub
from peers.base import CACHE, LOAD_CORE, Peer
from peers.hub import Build, Hub
from plan import FIGURES, Case, Goal, Row, Sample
from report import table
from rounds import PEERS, say
from windows import Stand

from tocsin.bench import BenchError

ROUNDS, WINDOWS = 3, 8
WINDOWS_A_SERVER_EACH = 2
"""Where each window needs a server of its own, and the rounds' beginnings are nothing special."""

BUSY = 0.95
"""From this share of its core on, the generator may be what was measured."""


@dataclass(frozen=True)
class Contender:
    """A hub's build, or a peer, and what it is told against."""

    name: str
    against: str
    build: Build | None = None

    def peer(self, case: Case) -> Peer | None:
        """What to start for `case`; None where it takes no part."""
        if self.build:
            kinds = [name for name in case.peers if name in hub.KINDS]
            return Hub(kinds[0], self.build) if kinds else None
        return PEERS[self.name] if self.name in case.peers else None


Windows = dict[str, list[Sample | None]]
"""Samples by contender; those with the same index are neighbours. None is one that failed."""


class Gain(NamedTuple):
    """How many times as good `of` is as `over`, by neighbouring windows."""

    row: str
    case: str
    figure: str
    of: str
    over: str
    value: float
    over_value: float
    median: float
    quartiles: tuple[float, float]
    pairs: int
    wanted: float | None

    @property
    def is_reached(self) -> bool:
        """Whether it is good enough."""
        return self.wanted is None or self.median >= self.wanted


class Held(NamedTuple):
    """What a row's goal comes to on one contender's hub."""

    row: str
    goal: Goal
    of: str
    ratio: float


def main() -> None:
    """The command."""
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are stopped
    os.sched_setaffinity(0, {LOAD_CORE})
    chosen = [row for row in rows.ALL if not options.only or row.name in options.only]
    try:
        contenders = contenders_of(options, chosen)
    except BenchError as error:
        sys.exit(str(error))
    results: dict[str, Any] = {
        "command": shlex.join(sys.argv),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": machine.describe(),
        "versions": {c.name: version(c) for c in contenders},
        "rows": {},
    }
    gains: list[Gain] = []
    held: list[Held] = []
    for row in chosen:
        measured, failures = measure(row, contenders, options)
        gains += [
            gain for case, w in measured.items() for gain in gains_of(row, case, w, contenders)
        ]
        held += held_of(row, measured, contenders)
        results["rows"][row.name] = {"windows": measured, "failures": failures}
        results["gains"] = [gain._asdict() | {"reached": gain.is_reached} for gain in gains]
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n")
    print(render(results, gains, held))
    say(f"written to {options.output}")


def parse_options() -> argparse.Namespace:
    """The flags."""
    names = [row.name for row in rows.ALL]
    parser = argparse.ArgumentParser(description="Measure two hubs side by side.")
    parser.add_argument("--base", metavar="COMMIT", help="the older hub")
    parser.add_argument(
        "--variant", action="append", default=[], help="uvloop, python3.13, ...; repeatable"
    )
    parser.add_argument("--peers", action="store_true", help="the rows' other servers too")
    parser.add_argument("--only", action="append", choices=names, help="this row; repeatable")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"by default {ROUNDS}")
    parser.add_argument(
        "--windows", type=int, default=WINDOWS, help=f"on each server a round; by default {WINDOWS}"
    )
    parser.add_argument("--seconds", type=float, help="of a window; by default what the row says")
    parser.add_argument("--output", type=Path, default=CACHE / "compare.json", help="a file")
    options = parser.parse_args()
    if not (options.base or options.variant or options.peers):
        parser.error("nothing to compare with: --base, --variant or --peers")
    return options


def contenders_of(options: argparse.Namespace, chosen: Sequence[Row]) -> list[Contender]:
    """Who is measured: the base first, this checkout's hub, its variants, the peers.

    Raises:
        BenchError: a commit or a variant can't be had.
    """
    contenders = []
    if options.base:
        base = hub.build_of(options.base)
        contenders.append(Contender(base.name, "", base))
    this = Build("new")
    contenders.append(Contender("new", contenders[0].name if contenders else "", this))
    contenders += [Contender(name, "new", hub.variant(name)) for name in options.variant]
    for contender in contenders:
        assert contender.build
        say(f"{contender.name}: {contender.build.check()}")
    if options.peers:
        wanted = {name: None for row in chosen for case in row.cases for name in case.peers}
        contenders += [
            Contender(name, "new") for name in wanted if name not in hub.KINDS and installed(name)
        ]
    return contenders


def installed(name: str) -> bool:
    """Whether the peer can be had; says why not."""
    try:
        PEERS[name].install()
    except BenchError as error:
        say(f"{name}: not installed: {error}")
        return False
    return True


def version(contender: Contender) -> str:
    """What is measured, for the results."""
    peer = Hub(hub.TOCSIN, contender.build) if contender.build else PEERS[contender.name]
    return peer.version()


# --- measuring --------------------------------------------------------------------------------


def measure(
    row: Row, contenders: Sequence[Contender], options: argparse.Namespace
) -> tuple[dict[str, Windows], list[str]]:
    """The windows of each case in which two or more take part, and what failed."""
    measured: dict[str, Windows] = {}
    failures: list[str] = []
    seconds = options.seconds or row.window_s
    for case in row.cases:
        taking_part = {c.name: peer for c in contenders if (peer := c.peer(case))}
        if not any(c.build for c in contenders if c.name in taking_part):
            continue
        windows = min(options.windows, WINDOWS_A_SERVER_EACH) if case.once else options.windows
        measured[case.name] = {name: [] for name in taking_part}
        for number in range(options.rounds):
            begun = time.monotonic()
            order = list(taking_part.items())[:: 1 if number % 2 == 0 else -1]
            for name, samples in one_round(case, order, windows, seconds, failures).items():
                measured[case.name][name] += samples
            took_s = time.monotonic() - begun
            say(f"{row.name}: {case.name}: round {number + 1} took {took_s:.0f} s")
    return measured, failures


def one_round(
    case: Case,
    order: Sequence[tuple[str, Peer]],
    windows: int,
    seconds: float,
    failures: list[str],
) -> Windows:
    """Start all in `order`, and go round over them, forwards and backwards in turn."""
    samples: Windows = {name: [] for name, _ in order}
    with ExitStack() as stack:
        stands: dict[str, Stand] = {}
        for name, peer in order:
            try:
                stands[name] = stack.enter_context(Stand(peer, case))
            except BenchError as error:
                fail(failures, case, name, error)
        for number in range(windows):
            for name, _ in order[:: 1 if number % 2 == 0 else -1]:
                sample = None
                if name in stands:
                    try:
                        sample = stands[name].window(seconds)
                    except BenchError as error:
                        fail(failures, case, name, error)
                        del stands[name]
                samples[name].append(sample)
    return samples


def fail(failures: list[str], case: Case, name: str, error: BenchError) -> None:
    """Keep what failed, once."""
    failure = f"{case.name}, {name}: {error}"
    if failure not in failures:
        failures.append(failure)
        say(f"failed: {failure}")


# --- telling ----------------------------------------------------------------------------------


def gains_of(row: Row, case: str, windows: Windows, contenders: Iterable[Contender]) -> list[Gain]:
    """Each contender's gains over what it is told against; this hub's over a peer."""
    gains = []
    for contender in contenders:
        of, over = contender.name, contender.against
        if not contender.build:
            of, over = over, of
        for figure in row.compared:
            pairs = pairs_of(windows, of, over, figure)
            if not pairs:
                continue
            each = [FIGURES[figure].gain(value, than) for value, than in pairs]
            is_judged = contender.name == "new" and figure == row.compared[0]
            gains.append(
                Gain(
                    row.name,
                    case,
                    figure,
                    of,
                    over,
                    statistics.median(value for value, _ in pairs),
                    statistics.median(than for _, than in pairs),
                    statistics.median(each),
                    quartiles(each),
                    len(pairs),
                    row.gain if is_judged else None,
                )
            )
    return gains


def pairs_of(windows: Windows, of: str, over: str, figure: str) -> list[tuple[float, float]]:
    """The figure in the windows of both, neighbour by neighbour; those where either is 0 tell nothing."""
    both = zip(windows.get(of, []), windows.get(over, []), strict=False)
    pairs = [(a[figure], b[figure]) for a, b in both if a and b and figure in a and figure in b]
    return [(a, b) for a, b in pairs if a > 0 and b > 0]


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third."""
    if len(values) < 2:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, method="inclusive")
    return first, third


def held_of(
    row: Row, measured: Mapping[str, Windows], contenders: Iterable[Contender]
) -> list[Held]:
    """The row's goals on each hub, against the same peers."""
    held = []
    for contender in contenders:
        if not contender.build:
            continue
        samples: dict[str, dict[str, list[Sample]]] = {}
        for case, windows in measured.items():
            by_peer = samples.setdefault(case, {})
            for name, values in windows.items():
                done = [value for value in values if value is not None]
                if name == contender.name:
                    by_peer.update(dict.fromkeys(hub.KINDS, done))
                else:
                    by_peer[name] = done
        for goal in row.goals:
            ratio = goal.ratio(samples)
            if ratio is not None:
                held.append(Held(row.name, goal, contender.name, ratio))
    return held


def render(results: Mapping[str, Any], gains: Iterable[Gain], held: Iterable[Held]) -> str:
    """What people read."""
    parts = [f"{name}: {text}" for name, text in results["versions"].items()]
    parts += ["", gains_table(gains)]
    goals = [goal_line(each) for each in held]
    if goals:
        parts.append(table(("work", "load", "goal", "hub", "is", "wanted", "reached"), goals))
    for row, record in results["rows"].items():
        parts += [f"{row}: {line}" for line in busy_lines(record["windows"])]
        parts += [f"{row}: failed: {failure}" for failure in record["failures"]]
    return "\n".join(parts)


def gains_table(gains: Iterable[Gain]) -> str:
    """A line for each gain."""
    head = (
        "work",
        "load",
        "figure",
        "of",
        "over",
        "gain (quartiles)",
        "pairs",
        "wanted",
        "reached",
    )
    return table(
        head,
        [
            [
                gain.row,
                gain.case,
                FIGURES[gain.figure].title,
                f"{gain.of} {FIGURES[gain.figure].show(gain.value)}",
                f"{gain.over} {FIGURES[gain.figure].show(gain.over_value)}",
                f"{gain.median:.3f} ({gain.quartiles[0]:.3f} to {gain.quartiles[1]:.3f})",
                str(gain.pairs),
                f"{gain.wanted:g}" if gain.wanted else "",
                ("yes" if gain.is_reached else "**no**") if gain.wanted else "",
            ]
            for gain in gains
        ],
    )


def goal_line(each: Held) -> list[str]:
    """A line for a goal on one hub."""
    goal = each.goal
    title = FIGURES[goal.of.figure].title
    if goal.over:
        case = "" if goal.over.case == goal.of.case else f", {goal.over.case}"
        peer = "itself" if goal.over.peer in hub.KINDS else goal.over.peer
        title += f" over {peer}'s{case}"
    return [
        each.row,
        goal.of.case,
        title,
        each.of,
        f"{each.ratio:.2f}",
        f"{'at most' if goal.at_most else 'at least'} {goal.bound:g}",
        "yes" if goal.is_reached(each.ratio) else "**no**",
    ]


def busy_lines(measured: Mapping[str, Windows]) -> list[str]:
    """Where the generator was at its limit, so that its speed was measured, not the server's."""
    lines = []
    for case, windows in measured.items():
        for name, samples in windows.items():
            shares = [sample["load_busy"] for sample in samples if sample and "load_busy" in sample]
            if shares and statistics.median(shares) >= BUSY:
                share = statistics.median(shares)
                lines.append(f"{case}, {name}: the generator was at its limit ({share:.0%})")
    return lines


if __name__ == "__main__":
    main()
