"""The journal in a file: what the hub talks to, on the loop. The disk is waited for in other threads."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tocsin.errors import Unavailable
from tocsin.eventlog.journal.base import (
    Append,
    Deliver,
    Figures,
    Opening,
    Outcome,
    Reset,
    Tell,
    Window,
    unknown_outcome,
)
from tocsin.eventlog.journal.sqlite.aside import aside
from tocsin.eventlog.journal.sqlite.file import prepare
from tocsin.eventlog.journal.sqlite.gathering import Gathering, Group
from tocsin.eventlog.journal.sqlite.history import SqliteHistory
from tocsin.eventlog.journal.sqlite.limits import Limits
from tocsin.eventlog.journal.sqlite.lock import FileLock
from tocsin.eventlog.journal.sqlite.reader import Reader
from tocsin.eventlog.journal.sqlite.store import Evicted
from tocsin.eventlog.journal.sqlite.under_way import HANGS_S, LOOK_S, UnderWay
from tocsin.eventlog.journal.sqlite.writer import Ends, Opened, State, Writer, Written
from tocsin.eventlog.kept_newest import KeptNewest

LOOK_EVERY_S = 5.0
"""How old what is known of the disk may be; the look is made in a thread, as a disk may not answer."""

STOP_S = 5.0
"""How long a stop waits for the disk, at most. Without it, a disk that hangs would keep the process from its end."""

READER_STOP_S = 1.0
"""How much of that it waits for the reader."""

HANGS = "the journal's disk does not answer"

log = logging.getLogger("tocsin")


class SqliteJournal:
    """Committed is what a crash of the machine leaves: each transaction is synced before it is told.

    Args:
        path: of the file; made where there is none.
        limits: what is kept.
        clock: Unix time in seconds.
        monotonic: seconds of a clock that can't be set, by which events and keys age.

    Attributes:
        history: what the file keeps; None until it is started.
    """

    nodes = None

    def __init__(
        self,
        path: Path,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._limits = limits
        self._clock = clock
        self._monotonic = monotonic
        self._down: Unavailable | None = Unavailable(
            "the journal is not started", code="journal_down"
        )
        self._hang: Unavailable | None = (
            None  # beside `_down`, which the writer sets and takes back
        )
        self._is_stopping = False
        self._under_way = UnderWay()
        self.history: SqliteHistory | None = None
        self._reconnects = 0
        self._file_bytes = self._disk_free_bytes = 0
        self._looked_at = 0.0
        self._look: asyncio.Future[None] | None = None
        self._lock: FileLock | None = None
        self._writer: Writer
        self._gathering: Gathering
        self._reader: Reader
        self._deliver: Deliver
        self._loop: asyncio.AbstractEventLoop
        self._watch: asyncio.TimerHandle
        self._opened: asyncio.Future[Opened]
        self._stopped: asyncio.Future[None]

    @property
    def status(self) -> str:
        """Empty while an append would be tried."""
        why = self._down or self._hang
        return why.message if why else ""

    async def start(self, deliver: Deliver, reset: Reset, window: Window) -> Opening:
        """Open the file; there is never a new epoch while it runs.

        Raises:
            SettingsError: it can't be used, or another hub uses it. Nothing in it was changed.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._deliver = deliver
        self._opened, self._stopped = loop.create_future(), loop.create_future()
        prepare(self._path)
        self._lock = FileLock(self._path)
        ends = Ends(
            self._on_opened,
            self._on_refused,
            self._on_written,
            self._on_failed,
            self._on_recovered,
            self._on_stopped,
        )
        self._writer = Writer(
            self._path, self._limits, window, ends, loop, self._clock, self._monotonic
        )
        self._gathering = Gathering(self._begin, loop)
        try:
            opening = (await self._opened).opening
        except (
            asyncio.CancelledError
        ):  # given up, as by Ctrl-C: the thread still has the file for a moment
            if self.history:
                self._reader.stop()
            self._writer.stop()
            self._stopped.add_done_callback(lambda _: self._let_go())
            raise
        except BaseException:
            self._let_go()
            raise
        await aside(self._look_at_disk)
        self._look_at_writer()
        return opening

    @property
    def figures(self) -> Figures:
        """How it is; what is said of the disk is from the last call that is `LOOK_EVERY_S` ago, or from this one."""
        is_due = time.monotonic() - self._looked_at > LOOK_EVERY_S
        if is_due and self._lock and (self._look is None or self._look.done()):
            self._look = aside(self._look_at_disk)
        return Figures(
            file_bytes=self._file_bytes,
            disk_free_bytes=self._disk_free_bytes,
            reconnects=self._reconnects,
        )

    def _look_at_disk(self) -> None:
        """Note how large the files are, and what is left for them; in a thread."""
        size = 0
        for suffix in ("", "-wal"):
            with suppress(OSError):
                size += os.stat(f"{self._path}{suffix}").st_size
        with suppress(OSError):
            disk = os.statvfs(self._path.parent)
            self._disk_free_bytes = disk.f_bavail * disk.f_frsize
        self._file_bytes = size
        self._looked_at = time.monotonic()

    def append(self, appends: Sequence[Append], tell: Tell) -> None:
        """Commit a group together with whatever else comes until the writer begins with it."""
        why = self._down or self._hang
        if why:
            raise _again(why)
        self._gathering.add(Group(appends, tell))

    def _begin(self, groups: Sequence[Group]) -> None:
        self._under_way.begin(groups)
        self._writer.put(groups)

    async def stop(self) -> None:
        """Commit and deliver what is under way, then close the file and let others have it.

        A disk that doesn't answer is waited for until `STOP_S`; the writer's thread then has the file until it ends.
        """
        if self._lock is None or self._stopped.done():
            return
        self._is_stopping = True
        self._down = Unavailable("the journal is stopped", code="journal_down")
        # The last connection that is closed puts the write-ahead log into the file: that should be the writer's.
        self._reader.stop()
        await asyncio.wait([aside(self._reader.join)], timeout=READER_STOP_S)
        self._gathering.flush()
        self._writer.stop()
        await asyncio.wait([self._stopped], timeout=STOP_S - READER_STOP_S)
        self._watch.cancel()
        if not self._stopped.done():
            self._leave()
            return
        self._writer.join()
        self._lock.release()

    def _leave(self) -> None:
        """Leave to the writer's thread what it has, and let others have the file when it ends."""
        log.error("the journal was not closed within %g s: its disk hangs, or is slow", STOP_S)
        for group in self._under_way.give_up():
            group.tell(unknown_outcome(HANGS, retry_after_s=5))
        self._stopped.add_done_callback(lambda _: self._let_go())

    # --- whether the disk answers -------------------------------------------------------------

    def _look_at_writer(self) -> None:
        self._watch = self._loop.call_later(LOOK_S, self._look_at_writer)
        hangs = self._under_way.hangs_in(self._writer.step)
        if hangs and not self._hang:
            self._on_hang()
        elif self._hang and not hangs:
            self._hang = None
            if not self._down:
                log.warning("the journal is up again: its disk answers")

    def _on_hang(self) -> None:
        """Let nobody wait for the disk. What the writer has may be committed yet, and is delivered then."""
        self._hang = why = Unavailable(HANGS, code="journal_down", retry_after_s=5)
        if not self._down:
            log.error("the journal is down: its disk has not answered for %g s", HANGS_S)
        for group in self._gathering.give_up():
            group.tell(_again(why))
        for group in self._under_way.give_up():
            group.tell(unknown_outcome(HANGS, retry_after_s=5))

    # --- what the writer tells ----------------------------------------------------------------

    def _on_opened(self, opened: Opened) -> None:
        """Know what the file holds, at once: the writer may tell what it evicted before `start` goes on."""
        if self._opened.done():  # the start was given up
            return
        opening, state, evictions, kept_newest, file = opened
        self._reader = Reader(self._path, opening.floor.epoch, self._loop, file.check)
        newest = KeptNewest(self._limits.keep_newest_bytes) if self._limits.keep_newest else None
        self.history = SqliteHistory(self._reader, evictions, state.floor, state.head, newest)
        self._note(state, Evicted((), kept_newest))
        self._down = None  # here: the first tick may fail before `start` goes on
        self._opened.set_result(opened)

    def _on_refused(self, error: Exception) -> None:
        if self._opened.done():  # the start was given up
            self._let_go()
        else:
            self._opened.set_exception(error)

    def _on_stopped(self) -> None:
        if not self._stopped.done():  # a second signal may have ended the wait for it
            self._stopped.set_result(None)

    def _let_go(self) -> None:
        """Let others have the file."""
        if self._lock:
            self._lock.release()
            self._lock = None

    def _on_written(self, written: Written) -> None:
        try:
            if written.events:
                self._deliver(written.events)
            self._note(written.state, written.evicted)
        except Exception as error:
            # They are in the file: whoever runs the hub knows by now that it failed.
            self._tell_all([(group, error) for group, _ in written.groups])
            raise
        self._tell_all(written.groups)

    def _tell_all(self, told: Sequence[tuple[Group, Sequence[Outcome] | Exception]]) -> None:
        """Tell what came of the groups of a transaction, which is over: first of all the next one may begin."""
        if not told:
            return
        self._gathering.end([group for group, _ in told])
        if not self._under_way.end():
            return
        for group, result in told:
            group.tell(result)

    def _on_failed(self, groups: Sequence[Group], why: Unavailable) -> None:
        if not self._is_stopping:
            self._down = why
        self._reader.distrust()
        waiting = self._gathering.give_up()
        if groups:
            self._gathering.end(())
            if not self._under_way.end():
                groups = ()
        for group in (*groups, *waiting):
            group.tell(_again(why))

    def _on_recovered(self, state: State, evicted: Evicted) -> None:
        assert self.history
        self._note(state, self.history.changed_to(evicted))
        if not self._is_stopping:
            self._down = None
        self._reconnects += 1

    def _note(self, state: State, evicted: Evicted) -> None:
        assert self.history
        self.history.note(*state, evicted)


def _again(why: Unavailable) -> Unavailable:
    """A new exception each time: one that is raised twice holds two tracebacks."""
    return Unavailable(
        why.message, code=why.code, retry_after_s=why.retry_after_s, status=why.status
    )
