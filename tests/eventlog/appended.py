"""Appending where a test waits for what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

import pytest

from tocsin.eventlog.journal import Append, Journal, Outcome

_told_twice: list[Sequence[Append]] = []


@pytest.fixture(autouse=True)
def told_once() -> Iterator[None]:
    """No journal tells anything of a group a second time: an error in `tell` itself would only be logged."""
    yield
    twice = _told_twice[:]
    _told_twice.clear()
    assert twice == []


def appended(
    journal: Journal,
    appends: Sequence[Append],
    look: Callable[[Sequence[Outcome]], None] = lambda outcomes: None,
) -> asyncio.Future[Sequence[Outcome]]:
    """Append a group; the future holds what is told of it. `look` is given the outcomes when they are told.

    Raises:
        Unavailable: nothing was appended; the journal told nothing.
    """
    future: asyncio.Future[Sequence[Outcome]] = asyncio.get_running_loop().create_future()

    def tell(result: Sequence[Outcome] | Exception) -> None:
        if future.done():
            _told_twice.append(appends)
        elif isinstance(result, Exception):
            future.set_exception(result)
        else:
            try:
                look(result)
            except AssertionError as error:  # the journal would only log it
                future.set_exception(error)
            else:
                future.set_result(result)

    journal.append(appends, tell)
    return future
