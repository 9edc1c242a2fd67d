"""Runs a row: rounds over its cases and peers, one server at a time, alternating."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import peers
from peers.base import Peer
from plan import Case, Row, Samples

from tocsin.bench import BenchError

PEERS = {peer.name: peer for peer in peers.ALL}


@dataclass(frozen=True)
class Pace:
    """How thoroughly to measure.

    Args:
        rounds: how often each server is started and measured.
        seconds: how long each measurement publishes; None is what the row says.
        quick: only what the ratios need, and short.
        deadline: nothing is begun after it, on the clock of `time.monotonic`.
    """

    rounds: int
    seconds: float | None
    quick: bool
    deadline: float

    def seconds_of(self, row: Row) -> float:
        """How long the row's measurements publish."""
        return self.seconds or (row.quick_seconds if self.quick else row.seconds)

    def cases_of(self, row: Row) -> list[tuple[Case, list[Peer]]]:
        """What is measured in each round."""
        if not self.quick:
            return [(case, [PEERS[name] for name in case.peers]) for case in row.cases]
        return [
            (case, [PEERS[name] for name in row.quick_peers(case)])
            for case in row.cases
            if case.quick
        ]


@dataclass
class Record:
    """What a row gave."""

    samples: Samples = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    """What couldn't be measured, and why; the same failure once."""
    rounds: int = 0
    seconds: float = 0.0
    date: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return dict(vars(self))


def install(rows: list[Row], pace: Pace) -> set[str]:
    """Install the peers of `rows`; the names of those that can't be had."""
    wanted = {peer.name: peer for row in rows for _, some in pace.cases_of(row) for peer in some}
    missing = set()
    for peer in wanted.values():
        try:
            peer.install()
        except BenchError as error:
            missing.add(peer.name)
            say(f"{peer.title}: not installed: {error}")
    return missing


def run(row: Row, pace: Pace, missing: set[str]) -> Record:
    """Measure `row`, in every round each case on each peer, every other round in the other order."""
    record = Record(seconds=pace.seconds_of(row), date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    cases = [
        (case, [peer for peer in some if peer.name not in missing])
        for case, some in pace.cases_of(row)
    ]
    record.versions = {peer.name: peer.version() for _, some in cases for peer in some}
    for number in range(pace.rounds):
        for case, some in cases:
            for peer in some if number % 2 == 0 else some[::-1]:
                if time.monotonic() > pace.deadline:
                    _fail(record, f"{case.name}, {peer.title}: no time left")
                    continue
                _measure(row, case, peer, record)
        record.rounds = number + 1
    return record


def _measure(row: Row, case: Case, peer: Peer, record: Record) -> None:
    """One sample; a server that fails three times in a row's case isn't asked again."""
    label = f"{case.name}, {peer.title}"
    if sum(failure.startswith(label + ":") for failure in record.failures) >= 1:
        return
    say(f"{row.name}: {label} ... ", end="")
    begun = time.monotonic()
    try:
        with peer.start(case.flags) as server, case.load(server) as window:
            sample = window(record.seconds)
    except (BenchError, OSError) as error:  # a socket's errors, where a row speaks HTTP itself
        say(f"failed: {error}")
        _fail(record, f"{label}: {error}")
        return
    record.samples.setdefault(case.name, {}).setdefault(peer.name, []).append(sample)
    first = row.figures[0]
    say(f"{first} {sample[first]:,.2f} ({time.monotonic() - begun:.1f} s)")


def _fail(record: Record, failure: str) -> None:
    if failure not in record.failures:
        record.failures.append(failure)


def say(text: str, end: str = "\n") -> None:
    """Tell the person who waits."""
    sys.stderr.write(text + end)
    sys.stderr.flush()
