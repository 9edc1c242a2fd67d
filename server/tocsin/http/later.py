"""An answer that waits for something: a commit, a page that is read in turns of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from tocsin.errors import Unavailable

if TYPE_CHECKING:
    from tocsin.http.routes.base import Result


Make = Callable[[Any], "Result"]
"""Makes an answer of what was waited for; it may raise as `Route.answer` may."""


def as_it_is(result: Result) -> Result:
    """Makes the answer of an awaitable that comes to one."""
    return result


class PutOff(Enum):
    """What an awaitable comes to that has seen to it that somebody else gives the answer."""

    PUT_OFF = 0


PUT_OFF = PutOff.PUT_OFF


class Later:
    """What a route returns where the answer isn't known yet.

    The route says how the answer is made of what is waited for, the edge what becomes of errors, and the lane
    takes the answer. No future and no task: for a POST they would cost as much as the event does.

    Args:
        make: makes the answer.

    Attributes:
        settle: makes the answer of what was waited for or of an error, and never raises; set by the edge.
        send: takes the answer; set by the lane.
        on_left: called where the client left before the answer was there; None where that changes nothing.
    """

    __slots__ = ("make", "on_left", "send", "settle")

    def __init__(self, make: Make) -> None:
        self.make = make
        self.settle: Callable[[Any], Result]
        self.send: Callable[[Result], object]
        self.on_left: Callable[[], object] | None = None

    @classmethod
    def of(cls, awaitable: Awaitable[Result], *, may_be_left: bool = False) -> Later:
        """The answer that `awaitable` comes to; `may_be_left`: it is cancelled where its client leaves."""
        later = cls(as_it_is)
        later.follow(awaitable, may_be_left=may_be_left)
        return later

    def follow(self, awaitable: Awaitable[Result | PutOff], *, may_be_left: bool) -> None:
        """Give what `awaitable` comes to, as `of` says."""
        task = asyncio.ensure_future(awaitable)
        self.on_left = task.cancel if may_be_left else None
        task.add_done_callback(self._on_done)

    def give(self, value: object) -> None:
        """What was waited for is there: `value`, or an exception. Called once, after the lane took this."""
        self.send(self.settle(value))

    async def result(self) -> Result:
        """Wait for the answer."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.send = lambda result: None if future.done() else future.set_result(result)
        return await future

    def _on_done(self, task: asyncio.Future[Result | PutOff]) -> None:
        if task.cancelled():
            self.give(Unavailable("the hub is stopping", code="draining"))
            return
        result = task.exception() or task.result()
        if result is not PUT_OFF:
            self.give(result)
