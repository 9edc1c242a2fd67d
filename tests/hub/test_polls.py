"""Those that wait for events: woken by an event, by the time, by a right that ends; answered together, in turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.serving import eventually
from tocsin.access.principal import Principal
from tocsin.core.filters import Filter
from tocsin.errors import Unavailable
from tocsin.hub.polls import TOGETHER, TURN_S, PollGroup, Polls
from tocsin.settings import Settings


class Question:
    """Events of some topics, and those who were answered, as they were together."""

    def __init__(self, *topics: str, on_woken: Callable[[], object] = lambda: None) -> None:
        self.filter = Filter(topics)
        self.answered: list[Sequence[Any]] = []
        self._on_woken = on_woken

    def on_woken(self, polls: Sequence[Any]) -> None:
        self._on_woken()
        self.answered.append(polls)


class Poll:
    def __init__(self, asked: Question, reader: Principal | None = None) -> None:
        self.asked = asked
        self.reader = reader
        self.group: PollGroup | None = None
        self.until = 0


def waiting(polls: Polls, asked: Question, count: int) -> list[Poll]:
    found = [Poll(asked) for _ in range(count)]
    for poll in found:
        polls.begin(poll, 60)
    return found


async def test_those_whose_time_is_up_are_answered_and_the_others_wait_on() -> None:
    polls, asked = Polls(Settings()), Question("a")
    (long,), short = waiting(polls, asked, 1), Poll(asked)
    polls.begin(short, 0)
    assert len(polls) == 2
    await eventually(lambda: asked.answered)
    assert asked.answered == [[short]]
    assert len(polls) == 1
    polls.note_ended(["a"])
    await eventually(lambda: len(asked.answered) == 2)
    assert asked.answered[1] == [long]
    assert len(polls) == 0


async def test_all_that_wait_for_the_same_are_answered_together_in_their_order() -> None:
    polls, asked, other = Polls(Settings()), Question("a"), Question("a")
    first, (second,), third = (
        waiting(polls, q, n) for q, n in ((asked, 2), (other, 1), (asked, 2))
    )
    polls.wake_all()
    await eventually(lambda: other.answered)
    assert (asked.answered, other.answered) == ([first + third], [[second]])


async def test_answers_that_take_long_leave_the_loop_its_turn() -> None:
    polls, turns, seen = Polls(Settings(max_polls=10_000)), 0, list[int]()

    def take_a_turn() -> None:
        seen.append(turns)
        time.sleep(TURN_S)

    waiting(polls, Question("a", on_woken=take_a_turn), 3 * TOGETHER)
    polls.wake_all()
    while len(seen) < 3:
        await asyncio.sleep(0)
        turns += 1
    assert len(set(seen)) == 3


async def test_discarded_one_is_not_answered_even_when_it_was_woken() -> None:
    polls, asked = Polls(Settings()), Question("a")
    first, second, third = waiting(polls, asked, 3)
    polls.discard(first)
    assert len(polls) == 2
    polls.wake_all()
    polls.discard(second)
    polls.discard(second)
    await eventually(lambda: asked.answered)
    assert asked.answered == [[third]]
    polls.discard(third)
    assert len(polls) == 0
    waiting(polls, asked, 1)  # the group is made anew
    polls.note_ended(["a"])
    await eventually(lambda: len(asked.answered) == 2)


async def test_readers_whose_rights_end_are_woken_and_the_others_of_their_group_wait_on() -> None:
    polls, asked = Polls(Settings()), Question("a")
    ann, bob = Principal(name="ann"), Principal(name="bob")
    found = [Poll(asked, reader) for reader in (ann, bob, None)]
    for poll in found:
        polls.begin(poll, 60)
    polls.wake_where(lambda reader: reader is ann)
    await eventually(lambda: asked.answered)
    assert asked.answered == [found[:1]]
    assert len(polls) == 2
    polls.wake_where(lambda reader: True)
    await eventually(lambda: len(asked.answered) == 2)
    assert len(polls) == 1


async def test_question_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    polls, good = Polls(Settings()), Question("a")

    def fail() -> None:
        raise RuntimeError("a bug")

    waiting(polls, Question("a", on_woken=fail), 1)
    waiting(polls, good, 1)
    polls.wake_all()
    await eventually(lambda: good.answered)
    assert "requests that waited failed" in caplog.text


async def test_place_of_an_address_is_free_again_when_its_poll_is_woken() -> None:
    polls, asked = Polls(Settings(max_clients_per_address=1)), Question("a")
    polls.begin(Poll(asked), 60, "1.2.3.4")
    with pytest.raises(Unavailable):
        polls.begin(Poll(asked), 60, "1.2.3.4")
    polls.wake_all()
    polls.begin(Poll(asked), 60, "1.2.3.4")
    assert (len(polls), polls.refused) == (1, 1)
