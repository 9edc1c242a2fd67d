from __future__ import annotations

import random
from itertools import chain

from tocsin.eventlog.sorted_names import CHUNK, FRESH, SortedNames


def beginning_with(names: SortedNames, prefix: str) -> list[str]:
    return list(chain(*names.beginning_with(prefix)))


def made(*names: str) -> tuple[dict[str, int], SortedNames]:
    live = dict.fromkeys(names, 0)
    sorted_names = SortedNames(live)
    sorted_names.add(names)
    return live, sorted_names


def test_names_that_begin_alike_are_found_in_order() -> None:
    _, names = made("b", "ab", "a~", "a", "b/1", "a/2", "a/1")
    assert beginning_with(names, "a") == ["a", "a/1", "a/2", "ab", "a~"]
    assert beginning_with(names, "a/") == ["a/1", "a/2"]
    assert beginning_with(names, "c") == []


def test_many_names_are_found_across_chunks() -> None:
    numbers = random.Random(1).sample(range(100_000), 20_000)
    live, names = made()
    for first in range(0, len(numbers), 700):
        new = [f"t/{number:05d}" for number in numbers[first : first + 700]]
        live |= dict.fromkeys(new, 0)
        names.add(new)
    for prefix in ("", "t/", "t/1", "t/123", "t/99999"):
        assert beginning_with(names, prefix) == sorted(n for n in live if n.startswith(prefix))


def test_dead_names_are_given_back_while_others_live() -> None:
    live, names = made(*[f"{number:05d}" for number in range(20_000)])
    beginning_with(names, "0")
    for number in range(19_000):
        del live[f"{number:05d}"]
        names.note_dead(1)
    assert len(names) < 6_000
    assert [name for name in beginning_with(names, "") if name in live] == sorted(live)


def test_last_name_that_dies_leaves_nothing() -> None:
    live, names = made("a", "b")
    live.clear()
    names.note_dead(2)
    assert len(names) == 0


def test_names_that_come_and_go_again_and_again_do_not_pile_up() -> None:
    live, names = made("kept")
    for _ in range(100):
        live |= dict.fromkeys(map(str, range(100)), 0)
        names.add(map(str, range(100)))
        beginning_with(names, "1")
        for number in range(100):
            del live[str(number)]
        names.note_dead(100)
    assert len(names) < 100 + 4 * CHUNK + FRESH
    assert set(beginning_with(names, "k")) == {"kept"}


def test_names_nobody_was_told_of_are_found_after_distrust() -> None:
    live, names = made("a")
    live["b"] = 0
    names.distrust()
    assert beginning_with(names, "") == ["a", "b"]
