"""What the writer has under way, as the loop knows it: who waits for it, and whether its disk has stopped to answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from tocsin.eventlog.journal.sqlite.gathering import Group

HANGS_S = 5.0
"""How long one step of the writer may take, a transaction or a checkpoint, before its disk is said to hang. A slow disk
takes 1.5 s to sync, and a checkpoint syncs twice. Without it, publishers would wait for as long as the disk hangs."""

LOOK_S = 0.5
"""How often it is looked at."""


class UnderWay:
    """All of it is called on the loop."""

    def __init__(self) -> None:
        self._transactions: deque[Sequence[Group]] = deque()  # in the order in which they end
        self._given_up = 0  # so many of them, the oldest, have nobody who waits
        self._step = 0.0
        self._looks = 0  # at this step

    def begin(self, groups: Sequence[Group]) -> None:
        """The writer is handed a transaction of these groups."""
        self._transactions.append(groups)

    def end(self) -> bool:
        """The oldest transaction is over; whether its publishers still wait."""
        self._transactions.popleft()
        if not self._given_up:
            return True
        self._given_up -= 1
        return False

    def give_up(self) -> list[Group]:
        """The groups of all transactions whose publishers still wait; they do no longer."""
        waiting = islice(self._transactions, self._given_up, None)
        groups = [group for some in waiting for group in some]
        self._given_up = len(self._transactions)
        return groups

    def hangs_in(self, step: float) -> bool:
        """Whether the writer hangs in the step that it began at `step`, 0.0 for none; to be called every `LOOK_S`.

        The looks are counted, as a process that stood still itself finds any step old.
        """
        self._looks = self._looks + 1 if step and step == self._step else 0
        self._step = step
        return self._looks * LOOK_S >= HANGS_S
