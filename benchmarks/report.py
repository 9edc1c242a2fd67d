"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from plan import FIGURES, Goal, Row, Sample
from rounds import PEERS

INTRODUCTION = """\
# Benchmarks

Made by `python benchmarks/run.py`; the raw figures of every round are in
[results.json](benchmarks/results.json).

Each server runs alone on core 0 with its default settings (Tocsin: metrics, log, limits and checks on; the
peers: no access log), the load generator on core 1, over the loopback. In each round every server is started
anew and measured in turn, every other round in the opposite order. A figure is the median over the rounds,
with the least and the greatest behind it; a ratio is that of two medians. A measurement with a single
missing delivery or refused POST counts as failed, not as fast. All servers get the same POST bodies; what
they make of them differs (a block of Tocsin's is the longest, as it carries type, time, source, topic and id).

"To the last reader" is the time from before a POST's first byte to the moment when the last of all clients
has read the event. The cores' columns show who was at work: a server whose share is near 100 % was the limit.
The generator never sleeps while it waits for something to read, so that no server pays for waking it, as
none does with clients on other machines; its share is without that waiting. Its sockets acknowledge every
second event. What it can read at most is the last table's subject.

A turn of the loop is the time from one wait for sockets to the next, in which nobody else is served; the
longest one is taken from the hub's own selector (benchmarks/with_loop.py), by the clock and in processor time.
Where a goal has no server to be measured against, the figure itself is what is bounded.

A hub of another commit is measured beside this one by `python benchmarks/compare.py --base COMMIT`, in
neighbouring windows of one run; `--variant uvloop` and `--variant python3.13` are told against this hub in
the same way, and `--peers` lets the servers of the tables below take their turns too.
"""


def render(results: dict[str, Any], rows: Sequence[Row]) -> str:
    """The whole document; rows without results are left out."""
    measured = [row for row in rows if row.name in results["rows"]]
    parts = [INTRODUCTION, _machine(results["machine"]), _goals(results, measured)]
    parts += [_row(row, results["rows"][row.name], results["plots"]) for row in measured]
    return "\n".join(parts)


def _machine(machine: dict[str, str]) -> str:
    facts = "; ".join(f"{name}: {value}" for name, value in machine.items())
    return f"## Machine\n\n{facts}.\n"


def _goals(results: dict[str, Any], rows: Iterable[Row]) -> str:
    head = ("work", "load", "figure", "Tocsin", "against", "ratio", "wanted", "reached")
    lines = [
        _goal(row, goal, results["rows"][row.name]["samples"]) for row in rows for goal in row.goals
    ]
    return "## What is wanted, and what is reached\n\n" + table(head, lines)


def _goal(row: Row, goal: Goal, samples: dict[str, dict[str, list[Sample]]]) -> list[str]:
    ratio = goal.ratio(samples)
    wanted = f"{'at most' if goal.at_most else 'at least'} {goal.bound:.2f}"
    if goal.aim:
        wanted += f" (aim {goal.aim:g})"
    against = _against(goal, samples)
    return [
        row.title,
        goal.of.case,
        FIGURES[goal.of.figure].title,
        _cell(samples, *goal.of),
        against,
        "" if ratio is None else f"{ratio:.2f}",
        wanted,
        "not measured" if ratio is None else "yes" if goal.is_reached(ratio) else "**no**",
    ]


def _against(goal: Goal, samples: dict[str, dict[str, list[Sample]]]) -> str:
    if goal.over is None:
        return ""
    case = f" ({goal.over.case})" if goal.over.case != goal.of.case else ""
    return f"{PEERS[goal.over.peer].title}: {_cell(samples, *goal.over)}{case}"


def _row(row: Row, record: dict[str, Any], plots: dict[str, str]) -> str:
    parts = [f"## {row.title[0].upper()}{row.title[1:]}\n"]
    rounds, seconds = record["rounds"], record["seconds"]
    parts.append(
        f"`python benchmarks/run.py --only {row.name}`; {record['date']}; rounds: {rounds},"
        f" of {seconds:g} s each where something is published.\n"
    )
    if row.note:
        parts.append(row.note + "\n")
    parts.append(_figures(row, record["samples"]))
    parts += [f"Not measured: {failure}\n" for failure in record["failures"]]
    if row.name in plots:
        parts.append(f"![{row.title}](benchmarks/{plots[row.name]})\n")
    versions = sorted({f"{PEERS[name].title}: {v}" for name, v in record["versions"].items()})
    parts.append("Versions: " + "; ".join(versions) + ".\n")
    return "\n".join(parts)


def _figures(row: Row, samples: dict[str, dict[str, list[Sample]]]) -> str:
    head = ("load", "server", *(FIGURES[name].title for name in row.figures))
    lines = [
        [case, PEERS[peer].title, *(_cell(samples, case, peer, name) for name in row.figures)]
        for case, by_peer in samples.items()
        for peer in by_peer
    ]
    return table(head, lines)


def _cell(samples: dict[str, dict[str, list[Sample]]], case: str, peer: str, name: str) -> str:
    """The median, and the least and greatest if they differ from it."""
    values = [s[name] for s in samples.get(case, {}).get(peer, []) if name in s]
    if not values:
        return ""
    shown = [FIGURES[name].show(value) for value in (median(values), min(values), max(values))]
    return shown[0] if len(set(shown)) == 1 else f"{shown[0]} ({shown[1]} to {shown[2]})"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in rows) + "\n"
