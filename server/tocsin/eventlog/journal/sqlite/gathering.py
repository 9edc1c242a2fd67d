"""What waits on the loop for the writer, and when it goes: as much as can be had in one transaction, and one at a time.

A transaction costs as much as some ten POSTs, and a thread that asks for the interpreter's lock while the loop has
work takes turns with it, at 5 us each. So the next one begins when those who were just answered are back: then the
loop has nothing to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tocsin.eventlog.journal.base import Append, Outcome

MOST_EVENTS = 2_000
"""Events after which a transaction takes no further group. The loop is given all events of one in one turn: some 8 ms.
Without it, all that waited for a disk that stood still would be delivered in one turn, and every stream would wait."""

QUIET_S = 0.001
"""Without another append for so long, nobody else is waited for."""

GATHER_S = 0.002
"""Nor after that, in any case."""


class Group(NamedTuple):
    """What came in during one turn of the loop, and where its outcomes go."""

    appends: Sequence[Append]
    future: asyncio.Future[Sequence[Outcome]]

    @property
    def events(self) -> int:
        """How many it would add to the log."""
        return sum([len(append.drafts) for append in self.appends])


class Gathering:
    """The groups that wait, in the order in which they came. All of it is called on the loop.

    Where several publishers were answered, they are waited for, but no longer than `GATHER_S`: otherwise they and
    those whose events came meanwhile would take turns, and each transaction would have half of them.

    Args:
        begin: given the groups of a transaction. When it is over, and its publishers are told, `end` is called.
        loop: the running one.
    """

    def __init__(
        self, begin: Callable[[Sequence[Group]], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._begin = begin
        self._loop = loop
        self._groups: list[Group] = []
        self._appends = 0  # of these groups
        self._events = 0
        self._is_under_way = False
        self._wanted = 0  # appends with which the next transaction begins
        self._latest = 0.0  # when it does in any case
        self._timer: asyncio.TimerHandle | None = None
        self._seen = 0  # appends that waited when the timer was set

    def add(self, group: Group) -> None:
        """Let `group` wait, or begin a transaction with it and all that waits."""
        self._groups.append(group)
        self._appends += len(group.appends)
        self._events += group.events
        self._begin_if_due()

    def end(self, groups: Sequence[Group]) -> None:
        """The transaction of these groups is over."""
        self._is_under_way = False
        answered = sum([len(group.appends) for group in groups])
        self._wanted = self._appends + answered if answered > 1 else 0
        self._latest = self._loop.time() + GATHER_S
        if self._groups:
            self._begin_if_due()

    def flush(self) -> None:
        """Begin transactions with all that waits, one behind the other."""
        while self._groups:
            self._begin(self._take())

    def give_up(self) -> Sequence[Group]:
        """All that waits, which is forgotten."""
        groups, self._groups = self._groups, []
        self._appends = self._events = 0
        return groups

    def _begin_if_due(self) -> None:
        if self._is_under_way:
            return
        if (
            self._appends >= self._wanted
            or self._events >= MOST_EVENTS
            or self._loop.time() >= self._latest
        ):
            self._is_under_way = True
            self._begin(self._take())
        elif self._timer is None:
            self._set_timer()

    def _set_timer(self) -> None:
        # It isn't cancelled when it isn't needed any more, which would cost as much as to let it come.
        self._seen = self._appends
        self._timer = self._loop.call_later(QUIET_S, self._on_quiet)

    def _on_quiet(self) -> None:
        self._timer = None
        if self._is_under_way or not self._groups:
            return
        if self._appends > self._seen:
            self._set_timer()
        else:
            self._wanted = 0
        self._begin_if_due()

    def _take(self) -> Sequence[Group]:
        """The groups of the next transaction."""
        if self._events < MOST_EVENTS:
            return self.give_up()
        count = events = 0
        while events < MOST_EVENTS:
            events += self._groups[count].events
            count += 1
        some, self._groups = self._groups[:count], self._groups[count:]
        self._appends -= sum([len(group.appends) for group in some])
        self._events -= events
        return some
