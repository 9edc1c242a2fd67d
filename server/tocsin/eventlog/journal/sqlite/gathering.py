"""What waits on the loop for the writer, and when it goes: as much as can be had in one transaction, and one at a time.

A transaction costs as much as some ten POSTs, and a thread that asks for the interpreter's lock while the loop has
work takes turns with it, at 5 us each. So the next one begins when those who were just answered are back, or the
loop has nothing to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tocsin.eventlog.journal.base import Append, Tell

MOST_EVENTS = 2_000
"""Events after which a transaction takes no further group. The loop is given all events of one in one turn: some 8 ms.
Without it, all that waited for a disk that stood still would be delivered in one turn, and every stream would wait."""

QUIET_S = 0.001
"""How long the loop may be idle before the next transaction begins, after one that took twice as long. After a shorter
one it begins as soon as the loop is idle."""

GATHER_S = 0.002
"""When it begins in any case."""


class Group(NamedTuple):
    """What came in during one turn of the loop, and who is told what came of it."""

    appends: Sequence[Append]
    tell: Tell

    @property
    def events(self) -> int:
        """How many it would add to the log."""
        return sum([len(append.drafts) for append in self.appends])


class Gathering:
    """The groups that wait, in the order in which they came. All of it is called on the loop.

    Where several publishers were answered, they are waited for as long as the loop has work, and `GATHER_S` at most:
    otherwise they and those whose events came meanwhile would take turns, and each transaction would have half of them.

    Args:
        begin: given the groups of a transaction. When it is over, `end` is called, and then its publishers are told.
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
        self._begun = 0.0  # when it was
        self._wanted = 0  # appends with which the next transaction begins
        self._latest = 0.0  # when it does in any case
        self._quiet_s = 0.0  # how long the loop may be idle before it does
        self._timer: asyncio.TimerHandle | None = None
        self._seen = 0  # appends that waited when the timer was set

    def add(self, group: Group) -> None:
        """Let `group` wait, or begin a transaction with it and all that waits."""
        self._groups.append(group)
        self._appends += len(group.appends)
        self._events += group.events
        if not self._is_under_way and not self._begin_if_due() and self._timer is None:
            self._watch(self._appends)

    def end(self, groups: Sequence[Group]) -> None:
        """The transaction of these groups is over."""
        self._is_under_way = False
        answered = sum([len(group.appends) for group in groups])
        self._wanted = self._appends + answered if answered > 1 else 0
        now = self._loop.time()
        self._latest = now + GATHER_S
        self._quiet_s = QUIET_S if now - self._begun > 2 * QUIET_S else 0.0
        if self._groups and not self._begin_if_due() and self._timer is None:
            self._watch(-1)  # their answers are sent in this turn, and they can be back in the next

    def flush(self) -> None:
        """Begin transactions with all that waits, one behind the other."""
        while self._groups:
            self._begin(self._take())

    def give_up(self) -> Sequence[Group]:
        """All that waits, which is forgotten."""
        groups, self._groups = self._groups, []
        self._appends = self._events = 0
        return groups

    def _begin_if_due(self) -> bool:
        """Begin a transaction if nothing is to be waited for; whether it did."""
        is_complete = self._appends >= self._wanted or self._events >= MOST_EVENTS
        if not is_complete and self._loop.time() < self._latest:
            return False
        self._begin_now()
        return True

    def _begin_now(self) -> None:
        self._is_under_way = True
        self._begun = self._loop.time()
        self._begin(self._take())

    def _watch(self, seen: int) -> None:
        """Look again when the loop has seen to what it has to do, or a little later."""
        self._seen = seen
        # A timer's turn comes after those of sockets, where `call_soon` would come before them. It isn't cancelled
        # when it isn't needed any more, which would cost as much as to let it come.
        self._timer = self._loop.call_later(self._quiet_s, self._on_quiet)

    def _on_quiet(self) -> None:
        self._timer = None
        if self._is_under_way or not self._groups:
            return
        if self._appends == self._seen:
            self._begin_now()
        elif not self._begin_if_due():
            self._watch(self._appends)

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
