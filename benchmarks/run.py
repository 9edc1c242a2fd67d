"""Measures Tocsin and its peers side by side, and writes docs/benchmarks.md.

usage: python benchmarks/run.py [--quick] [--only ROW ...] [--rounds N] [--seconds S] [--output FOLDER] [--list]

Needs two cores, Linux, gcc, node and npm, Go for Centrifugo (two minutes, once; without it that peer is left
out), and root for Debian's nginx packages if they aren't there; run it with the Python that Tocsin is installed in. Everything else is installed to benchmarks/.cache/.
All connections stay on the loopback, every measurement is bounded in time, and every server is stopped.

A full run takes about an hour; one row alone replaces that row's results only. A quick run takes less than
four minutes, measures each server once and only what the ratios need, and writes to
benchmarks/.cache/: its figures show that all works, not how fast it is.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import machine
import report
import rounds
import rows
from peers import python
from peers.base import CACHE, LOAD_CORE, run
from rounds import PEERS, Pace, say

from tocsin.bench import BenchError

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"

ROUNDS = 5
QUICK_S = 210.0
FULL_S = 2 * 3600.0


def main() -> None:
    """The command."""
    options = parse_options()
    if options.list:
        print("\n".join(f"{row.name:<20} {row.title}" for row in rows.ALL))
        return
    if (os.cpu_count() or 1) < 2:
        sys.exit("two cores are needed: one for the server, one for the load")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are stopped
    os.sched_setaffinity(0, {LOAD_CORE})
    chosen = [row for row in rows.ALL if not options.only or row.name in options.only]
    folder = options.output / "benchmarks"
    results = load_results(folder, options.quick)
    pace = pace_of(options)
    missing = rounds.install(chosen, pace)
    for row in chosen:
        results["rows"][row.name] = rounds.run(row, pace, missing).as_json()
        save(results, folder)
    results["plots"] = draw(folder)
    save(results, folder)
    text = report.render(results, rows.ALL)
    (options.output / "benchmarks.md").write_text(text)
    print(text)
    say(f"written to {options.output / 'benchmarks.md'}")


def parse_options() -> argparse.Namespace:
    """The flags."""
    names = [row.name for row in rows.ALL]
    parser = argparse.ArgumentParser(description="Measure Tocsin and its peers side by side.")
    parser.add_argument(
        "--quick", action="store_true", help="under 4 minutes, to see that it works"
    )
    parser.add_argument("--only", action="append", choices=names, help="this row; repeatable")
    parser.add_argument("--rounds", type=int, help=f"rounds, by default {ROUNDS}; quick: 1")
    parser.add_argument("--seconds", type=float, help="how long each measurement publishes")
    parser.add_argument("--output", type=Path, help="where benchmarks.md goes; by default docs/")
    parser.add_argument("--list", action="store_true", help="name the rows, and end")
    options = parser.parse_args()
    options.output = options.output or (CACHE / "quick" if options.quick else DOCS)
    return options


def pace_of(options: argparse.Namespace) -> Pace:
    """How thoroughly, by the flags."""
    return Pace(
        rounds=options.rounds or (1 if options.quick else ROUNDS),
        seconds=options.seconds,
        quick=options.quick,
        deadline=time.monotonic() + (QUICK_S if options.quick else FULL_S),
    )


def load_results(folder: Path, quick: bool) -> dict[str, Any]:
    """What was measured before, with today's machine; a quick run begins anew."""
    results: dict[str, Any] = {"rows": {}, "plots": {}}
    file = folder / "results.json"
    if file.exists() and not quick:
        results = json.loads(file.read_text())
    results["machine"] = machine.describe()
    results["titles"] = {name: peer.title for name, peer in PEERS.items()}
    return results


def save(results: dict[str, Any], folder: Path) -> None:
    """Keep what there is, after each row."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")


def draw(folder: Path) -> dict[str, str]:
    """Draw the plots; the file's name by row. Without matplotlib there are none."""
    try:
        python.install()
        names = run(python.PYTHON, HERE / "plots.py", folder / "results.json", folder).split()
    except BenchError as error:
        say(f"no plots: {error}")
        return {}
    return {name.removesuffix(".svg"): name for name in names}


if __name__ == "__main__":
    main()
