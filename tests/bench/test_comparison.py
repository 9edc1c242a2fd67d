"""What benchmarks/ makes of its samples: the arithmetic, and names that exist. Nothing is measured here."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def compare() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("compare")


def test_gain_is_the_median_of_neighbouring_windows(compare: ModuleType) -> None:
    row = next(row for row in compare.rows.ALL if row.name == "publish")
    windows = {
        "old": [{"us_per_publish": cost} for cost in (60.0, 40.0, 90.0)],
        "new": [{"us_per_publish": cost} for cost in (30.0, 40.0, 30.0)],
    }
    contenders = [
        compare.Contender("old", "", compare.hub.THIS),
        compare.Contender("new", "old", compare.hub.THIS),
    ]
    (gain,) = compare.gains_of(row, "any load", windows, contenders)
    assert (gain.of, gain.over, gain.median, gain.quartiles) == ("new", "old", 2.0, (1.5, 2.5))
    assert gain.is_reached


def test_window_that_failed_has_no_neighbour(compare: ModuleType) -> None:
    windows = {"old": [None, {"cost": 4.0}, {"cost": 6.0}], "new": [{"cost": 1.0}, {"cost": 2.0}]}
    assert compare.pairs_of(windows, "new", "old", "cost") == [(2.0, 4.0)]


def test_rows_name_cases_peers_and_figures_that_exist(compare: ModuleType) -> None:
    for row in compare.rows.ALL:
        cases = {case.name: case for case in row.cases}
        assert {*row.figures, *row.compared} <= set(compare.FIGURES), row.name
        assert all(set(case.peers) <= set(compare.PEERS) for case in row.cases), row.name
        for goal in row.goals:
            for term in (goal.of, goal.over):
                assert term is None or term.peer in cases[term.case].peers, (row.name, term)
                assert term is None or term.figure in compare.FIGURES, (row.name, term)


def test_every_row_of_the_hub_can_be_compared(compare: ModuleType) -> None:
    for row in compare.rows.ALL:
        of_the_hub = any(set(compare.hub.KINDS) & set(case.peers) for case in row.cases)
        assert bool(row.compared) == of_the_hub, row.name


def test_longest_turn_is_the_one_that_kept_the_loop(compare: ModuleType, tmp_path: Path) -> None:
    turns_module = importlib.import_module("turns")
    turns = turns_module.Turns(tmp_path / "turns")

    async def hold_the_loop() -> None:
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass
        await asyncio.sleep(0)

    def new_loop() -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(turns_module.TimedSelector(turns))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.sleep(0.01))
        turns.reset()
        runner.run(hold_the_loop())
    passed_s, ran_s = turns_module.Turns(tmp_path / "turns").longest_s()
    assert passed_s >= 0.05
    assert 0.05 <= ran_s < 5
