"""docs/scaling.md against the script that its tables come from, and that against what was measured."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scaling() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scaling", ROOT / "benchmarks/scaling.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def test_tables_are_those_that_the_script_prints(scaling: ModuleType) -> None:
    document = (ROOT / "docs/scaling.md").read_text()
    assert scaling.rewrite(document) == document, "run `python benchmarks/scaling.py --write`"


def test_model_says_what_was_measured(scaling: ModuleType) -> None:
    points = scaling.checks(scaling.measured())
    assert len(points) >= 2
    for point in points:
        assert 0.7 < point.model / point.measured < 1.4, point


def test_more_clients_and_more_events_need_no_less(scaling: ModuleType) -> None:
    costs, load = scaling.measured(), scaling.Load
    needed = [scaling.processes_for(load(n, 1, n), costs) for n in (1_000, 10**5, 10**6, 10**7)]
    assert needed == sorted(needed)
    assert needed[0] == 1
    assert scaling.processes_for(load(10**7, 10**6, 1), costs) is None


def test_two_processes_deliver_as_much_for_their_work_as_one(scaling: ModuleType) -> None:
    """By the figures that the document shows."""
    deliveries = scaling.read_results("processes.json")["deliveries"]
    one, two = (
        scaling.figure(deliveries[f"{count}, Redis"], "all_us_per_delivery")
        for count in ("one process", "two processes")
    )
    assert one / two > 0.9
