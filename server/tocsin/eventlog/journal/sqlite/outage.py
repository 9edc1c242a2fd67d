"""An outage of the journal: how long its file is left alone after each failure, what publishers are told, what the log says.

Failures that follow one another shortly are one outage, though the file could be written in between. Else the pauses
would never grow, and the log would have some lines for each failure, ten a second.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from pathlib import Path

from tocsin.errors import Unavailable
from tocsin.eventlog.journal.sqlite.file import is_damage, unavailable

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 4.0
"""Before the file is opened again after a failure. With the longest, the journal is up 5 s after its disk is."""

STEADY_S = 5.0
"""How long the file has to be written without a failure before an outage is over, and the log says so."""

MOST_DETAIL = 200
"""Characters of an error that go into the log: SQLite's may have a whole row, with other publishers' events."""

DAMAGED = "the journal's file is damaged; `tocsin journal check` says more"

log = logging.getLogger("tocsin")


class Outage:
    """The one that is, or none yet. All of it is called in the writer's thread; times are of a clock that can't be set."""

    def __init__(self) -> None:
        self._pause_s = 0.0  # the last one
        self._said = ""
        self._up_since = math.inf

    def note(self, why: Unavailable, error: Exception, now: float) -> None:
        """The file failed, by `error`, or still does; `why` is what publishers are told of it."""
        self.look(now)
        self._up_since = math.inf
        if why.message == self._said:
            return
        self._said = why.message
        # A traceback only where it is no failure of the disk but one of ours.
        is_bug = not (isinstance(error, (sqlite3.Error, OSError)) or is_damage(error))
        detail = f" ({str(error)[:MOST_DETAIL]!r})" if why.message == DAMAGED else ""
        log.error(
            "the journal is down: %s%s", why.message, detail, exc_info=error if is_bug else None
        )

    def next_pause(self) -> float:
        """How long the file is to be left alone now."""
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S) or FIRST_PAUSE_S
        return self._pause_s

    def recovered(self, now: float) -> None:
        """The file is written again."""
        self._up_since = now

    def look(self, now: float) -> None:
        """See whether it is over; to be called about once a second while the file is written."""
        if now - self._up_since < STEADY_S:
            return
        log.warning("the journal is up again", extra={"for_s": round(now - self._up_since)})
        self._pause_s, self._said, self._up_since = 0.0, "", math.inf


def told_of(path: Path, error: Exception) -> Unavailable:
    """What publishers are told of `error`, which came up while the journal ran: nothing of what is in the file."""
    if is_damage(error):
        return Unavailable(DAMAGED, code="journal_down", retry_after_s=5)
    if isinstance(error, OSError) and error.strerror:
        error = OSError(error.strerror)  # without the path
    if isinstance(error, (sqlite3.Error, OSError)):
        return unavailable(path, error)
    message = "the journal's file can't be used; the hub's log says why"
    return Unavailable(message, code="journal_down", retry_after_s=2)
