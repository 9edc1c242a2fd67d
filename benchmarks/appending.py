"""Appending to a journal that has no hub."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tocsin.core.event import Draft
from tocsin.eventlog.journal import Append, Journal, Outcome


async def append(journal: Journal, drafts: Sequence[Draft]) -> None:
    """Append these as one, and wait until they are committed.

    Raises:
        Unavailable: they aren't.
    """
    told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(result: Sequence[Outcome] | Exception) -> None:
        if isinstance(result, Exception):
            told.set_exception(result)
        else:
            told.set_result(None)

    journal.append([Append(drafts)], tell)
    await told
