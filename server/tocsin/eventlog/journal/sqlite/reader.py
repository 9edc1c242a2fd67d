"""Reads the file in a thread of its own, a bounded piece at a time."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from tocsin.core.filters import Filter
from tocsin.errors import Unavailable
from tocsin.eventlog.journal.sqlite.damage import Damaged, end_before, end_behind
from tocsin.eventlog.journal.sqlite.file import connect, is_damage
from tocsin.eventlog.journal.sqlite.outage import told_of
from tocsin.eventlog.journal.sqlite.search import Found, FoundBefore, read, read_back

log = logging.getLogger("tocsin")

Result = TypeVar("Result")


class Reader:
    """The reader's thread. Readings are answered in the order of the calls.

    Args:
        path: of the file.
        epoch: of the log.
        loop: where the answers go.
        look: raises where the path names another file than that of the log, which is not to be read.
    """

    def __init__(
        self, path: Path, epoch: int, loop: asyncio.AbstractEventLoop, look: Callable[[], None]
    ) -> None:
        self._path = path
        self._look = look
        self._epoch = epoch
        self._loop = loop
        self._db: sqlite3.Connection | None = None
        self._distrusted = False
        self._is_stopped = False
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal reader", daemon=True)
        self._thread.start()

    async def read(
        self, after: int, end: int, filter: Filter, *, max_events: int, max_bytes: int
    ) -> Found:
        """Events after `after` up to `end`.

        Raises:
            Damaged: something of it can't be read, and never will.
            Unavailable: the file can't be read.
        """
        return await self._ask(
            lambda: read(
                self._connection(), self._epoch, after, end, filter, max_events, max_bytes
            ),
            lambda: end_behind(self._connection(), after, end),
        )

    async def newest(
        self, before: int, after: int, filter: Filter, *, max_events: int, max_bytes: int
    ) -> FoundBefore:
        """The newest events below `before` and behind `after`.

        Raises:
            Damaged, Unavailable: as `read`.
        """
        return await self._ask(
            lambda: read_back(
                self._connection(), self._epoch, before, after, filter, max_events, max_bytes
            ),
            lambda: end_before(self._connection(), before),
        )

    def distrust(self) -> None:
        """Open the file anew before the next reading. Any thread may call it."""
        self._distrusted = True

    def stop(self) -> None:
        """End the thread, when it has answered what was asked. What is asked later is refused."""
        self._is_stopped = True
        self._jobs.put(None)

    def join(self) -> None:
        """Wait for the end of the thread."""
        self._thread.join()

    # --- in the thread ------------------------------------------------------------------------

    async def _ask(
        self, work: Callable[[], Result], end_of_damage: Callable[[], int | None]
    ) -> Result:
        if self._is_stopped:
            raise Unavailable("the journal is stopped", code="journal_down")
        future: asyncio.Future[Result] = self._loop.create_future()

        def job() -> None:
            try:
                result = work()
            except Exception as error:
                self._close()
                self._call(_fail, future, self._told_of(error, end_of_damage))
            else:
                self._call(_answer, future, result)

        self._jobs.put(job)
        return await future

    def _told_of(self, error: Exception, end_of_damage: Callable[[], int | None]) -> Exception:
        """What who asked is told of `error`; where the file is damaged, with the place to go on from."""
        if is_damage(error):
            try:
                to = end_of_damage()
                if to is not None:
                    return Damaged(to, error)
            except Exception:  # of any kind: the thread goes on
                self._close()
        log.warning("the journal's file could not be read", exc_info=error)
        return told_of(self._path, error)

    def _run(self) -> None:
        while job := self._jobs.get():
            job()
        self._close()

    def _call(self, *call: object) -> None:
        try:
            self._loop.call_soon_threadsafe(*call)  # type: ignore[arg-type]
        except RuntimeError:  # the loop is closed: nobody waits
            pass

    def _close(self) -> None:
        if self._db:
            self._db.close()
            self._db = None

    def _connection(self) -> sqlite3.Connection:
        if self._distrusted:
            self._distrusted = False
            self._close()
        if self._db is None:
            self._db = connect(self._path, look=self._look)
            self._db.execute("PRAGMA query_only = 1")
        return self._db


def _answer(future: asyncio.Future[Result], result: Result) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Result], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
