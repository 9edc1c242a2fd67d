"""Appending where a test waits for what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tocsin.eventlog.journal import Append, Journal, Outcome


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
        assert not future.done(), "it was told twice"
        if isinstance(result, Exception):
            future.set_exception(result)
            return
        look(result)
        future.set_result(result)

    journal.append(appends, tell)
    return future
