"""Turns of the event loop: a walk over thousands of streams gives it back in between."""

from __future__ import annotations

import asyncio
from time import perf_counter

TURN_S = 0.003
"""How long a walk goes on before the loop gets its turn."""


class Turn:
    """How long the present turn of a walk has lasted.

    turn = Turn()
    for stream in tuple(streams):
        ...
        if turn.is_over:
            await turn.next()
    """

    def __init__(self) -> None:
        self._began = perf_counter()

    @property
    def is_over(self) -> bool:
        """Whether the loop is to have its turn."""
        return perf_counter() - self._began > TURN_S

    async def next(self) -> None:
        """Give the loop its turn, and begin another one."""
        await asyncio.sleep(0)
        self._began = perf_counter()
