"""When groups that wait on the loop go to the writer of a file, and how many of them at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.serving import eventually
from tocsin.core.event import Draft
from tocsin.eventlog.journal import Append
from tocsin.eventlog.journal.sqlite import gathering
from tocsin.eventlog.journal.sqlite.gathering import MOST_EVENTS, QUIET_S, Gathering, Group


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no transaction begin because time is up: a busy machine may stop for longer than that."""
    monkeypatch.setattr(gathering, "GATHER_S", 60.0)


class Writer:
    """Notes the transactions that are begun; each is over when the test says so."""

    def __init__(self) -> None:
        self.begun: list[list[str]] = []
        self._loop = asyncio.get_running_loop()
        self._groups: list[Group] = []
        self.gathering = Gathering(self._begin, self._loop)

    def _begin(self, groups: object) -> None:
        self._groups = list(groups)  # type: ignore[call-overload]
        appends = [append for group in self._groups for append in group.appends]
        self.begun.append([append.drafts[0].topic for append in appends])

    def add(self, *publishers: str, events: int = 1) -> None:
        """A group of an append by each of `publishers`, whose topics bear their names."""
        appends = [Append([Draft("tick", b"x", each)] * events) for each in publishers]
        self.gathering.add(Group(appends, lambda result: None))

    def end(self) -> None:
        """The transaction that was begun last is over."""
        self.gathering.end(self._groups)


async def test_first_group_goes_at_once_and_the_others_when_its_transaction_is_over() -> None:
    writer = Writer()
    writer.add("a")
    writer.add("b")
    writer.add("c")
    assert writer.begun == [["a"]]
    writer.end()
    assert writer.begun == [["a"], ["b", "c"]]


@pytest.mark.usefixtures("patient")
async def test_publishers_who_were_answered_are_waited_for() -> None:
    writer = Writer()
    writer.add("a", "b", "c")
    writer.add("d")
    writer.end()
    writer.add("a", "b")
    assert writer.begun == [["a", "b", "c"]]
    writer.add("c")
    assert writer.begun[1:] == [["d", "a", "b", "c"]]


@pytest.mark.usefixtures("patient")
async def test_publishers_who_do_not_come_back_are_not_waited_for() -> None:
    writer = Writer()
    writer.add("a", "b", "c")
    writer.end()
    writer.add("a")
    assert len(writer.begun) == 1
    await eventually(lambda: len(writer.begun) == 2)
    assert writer.begun[1:] == [["a"]]


@pytest.mark.usefixtures("patient")
async def test_those_who_come_while_the_loop_has_work_go_with_the_others() -> None:
    writer = Writer()
    loop = asyncio.get_running_loop()
    writer.add("a", "b", "c", "d")
    writer.add("e")
    writer.end()
    loop.call_soon(lambda: loop.call_soon(writer.add, "a", "b"))
    await eventually(lambda: len(writer.begun) == 2)
    assert writer.begun[1:] == [["e", "a", "b"]]


@pytest.mark.usefixtures("patient")
async def test_after_a_slow_transaction_an_idle_loop_waits_a_little() -> None:
    writer = Writer()
    loop = asyncio.get_running_loop()
    writer.add("a", "b")
    await asyncio.sleep(5 * QUIET_S)
    ended = loop.time()
    writer.end()
    writer.add("a")
    for _ in range(5):
        await asyncio.sleep(0)
    has_begun = len(writer.begun) == 2
    assert not has_begun or loop.time() - ended > QUIET_S
    await eventually(lambda: len(writer.begun) == 2)


async def test_nobody_waits_for_publishers_who_come_again_and_again() -> None:
    writer = Writer()
    writer.add(*[f"{number}" for number in range(1_000)])
    writer.end()

    async def come() -> None:
        while len(writer.begun) == 1:
            writer.add("a")
            await asyncio.sleep(0)

    await asyncio.wait_for(come(), 30)
    assert set(writer.begun[1]) == {"a"}


async def test_lone_publisher_is_not_waited_for() -> None:
    writer = Writer()
    for _ in range(3):
        writer.add("a")
        writer.end()
    assert writer.begun == [["a"]] * 3
    writer.add("a")
    writer.add("b")
    writer.end()
    assert writer.begun[3:] == [["a"], ["b"]]


async def test_transaction_has_a_bounded_number_of_events() -> None:
    writer = Writer()
    writer.add("first")
    half = MOST_EVENTS // 2
    for name in "abcde":
        writer.add(name, events=half)
    for _ in range(3):
        writer.end()
    await eventually(lambda: len(writer.begun) == 4)
    assert writer.begun == [["first"], ["a", "b"], ["c", "d"], ["e"]]


async def test_all_that_waits_goes_when_the_journal_is_stopped() -> None:
    writer = Writer()
    writer.add("a", "b")
    writer.add("c")
    writer.gathering.flush()
    assert writer.begun == [["a", "b"], ["c"]]
    writer.end()
    assert len(writer.begun) == 2


async def test_nothing_of_what_is_given_up_is_begun_later() -> None:
    writer = Writer()
    writer.add("a")
    writer.add("b")
    assert len(writer.gathering.give_up()) == 1
    writer.end()
    writer.add("c")
    assert writer.begun == [["a"], ["c"]]
