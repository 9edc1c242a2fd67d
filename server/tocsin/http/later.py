"""An answer that waits for something: a commit, a page that is read in turns of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from tocsin.errors import Unavailable

if TYPE_CHECKING:
    from tocsin.http.answer import Answer
    from tocsin.http.edge import Edge
    from tocsin.http.request import Request
    from tocsin.http.routes.base import Result, Route


Make = Callable[[Any], "Result"]
"""Makes an answer of what was waited for; it may raise as `Route.answer` may."""


def as_it_is(result: Result) -> Result:
    """Makes the answer of an awaitable that comes to one."""
    return result


class PutOff(Enum):
    """What an awaitable comes to that has seen to it that somebody else gives the answer."""

    PUT_OFF = 0


PUT_OFF = PutOff.PUT_OFF


class Taker(Protocol):
    """Who takes answers that were waited for: a connection of a lane."""

    def on_answer(self, later: Later, result: Result) -> None:
        """`later`, which waits for this taker, has come to `result`. Never raises."""

    @staticmethod
    def send_all(laters: Sequence[Later], answer: Answer) -> None:
        """Each of `laters`, whose takers are of this class, has come to `answer`. Never raises."""


class Later:
    """What a route returns where the answer isn't known yet.

    The route says how the answer is made of what is waited for, the edge what becomes of errors, and the lane
    takes the answer. No future, no task and no closure: for a POST they would cost as much as the event does.

    Args:
        make: makes the answer.

    Attributes:
        edge: makes the answer of what was waited for, and sets this and the next two.
        route: whose answer it is.
        request: that is answered.
        taker: takes the answer; set by the lane, as the next one is.
        began: when the lane had the request, by `perf_counter`.
    """

    __slots__ = ("_task", "began", "edge", "make", "request", "route", "taker")

    def __init__(self, make: Make = as_it_is) -> None:
        self.make = make
        self.edge: Edge
        self.route: Route
        self.request: Request
        self.taker: Taker
        self.began = 0.0
        self._task: asyncio.Future[Any] | None = None  # which is cancelled where the client leaves

    @classmethod
    def of(cls, awaitable: Awaitable[Result]) -> Later:
        """The answer that `awaitable` comes to."""
        later = cls()
        later.follow(awaitable)
        return later

    @property
    def may_be_left(self) -> bool:
        """Whether something changes where the client leaves before the answer is there."""
        return self._task is not None

    def follow(self, awaitable: Awaitable[Result | PutOff], *, may_be_left: bool = False) -> None:
        """Give what `awaitable` comes to; `may_be_left`: it is cancelled where the client leaves."""
        task = asyncio.ensure_future(awaitable)
        if may_be_left:
            self._task = task
        task.add_done_callback(self._on_done)

    def give(self, value: object) -> None:
        """What was waited for is there: `value`, or an exception. Called once, after the lane took this."""
        self.taker.on_answer(self, self.edge.settle(self, value))

    def leave(self) -> None:
        """The client has left."""
        if self._task:
            self._task.cancel()

    async def result(self) -> Result:
        """Wait for the answer."""
        awaiting = Awaiting()
        self.taker = awaiting
        return await awaiting.future

    def _on_done(self, task: asyncio.Future[Result | PutOff]) -> None:
        self._task = None
        if task.cancelled():
            self.give(Unavailable("the hub is stopping", code="draining"))
            return
        result = task.exception() or task.result()
        if result is not PUT_OFF:
            self.give(result)


class Awaiting:
    """Takes an answer for a coroutine."""

    def __init__(self) -> None:
        self.future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    def on_answer(self, later: Later, result: Result) -> None:
        """Hand it to who awaits it, if it is still awaited."""
        if not self.future.done():
            self.future.set_result(result)

    @staticmethod
    def send_all(laters: Sequence[Later], answer: Answer) -> None:
        """Hand it to each."""
        for later in laters:
            later.taker.on_answer(later, answer)


def give_all(laters: Sequence[Later], answer: Answer) -> None:
    """Give each of `laters`, which nothing was given yet and whose `make` is `as_it_is`, the same answer.

    What `Later.give` does for one, but the lane is asked once: a thousand connections are cold, and what it costs to
    answer them is how much of each is looked at.
    """
    if len(laters) == 1:  # who waits alone would pay for lists of one
        laters[0].give(answer)
        return
    by_lane: dict[Callable[[Sequence[Later], Answer], None], list[Later]] = {}
    for later in laters:
        later.edge.answering -= 1
        by_lane.setdefault(later.taker.send_all, []).append(later)
    for send_all, some in by_lane.items():
        send_all(some, answer)
