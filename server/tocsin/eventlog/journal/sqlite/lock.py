"""The lock that keeps a second hub off a journal's file.

SQLite's own locks let two programs write in turn. Two hubs would then each give the ids that the other
doesn't know of.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tocsin.errors import SettingsError


class FileLock:
    """Held from the constructor to `release`, or to the end of the process however that comes.

    It stands in a file beside the journal's, which stays: who removed it could lock a file that is gone.

    Raises:
        SettingsError: another process holds it, or its file can't be had.
    """

    def __init__(self, path: Path) -> None:
        file = path.with_name(path.name + ".lock")
        try:
            self._fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(
                f"journal: {str(file)!r} can't be opened: {error.strerror}"
            ) from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise SettingsError(
                f"journal: {str(path)!r} is in use by another hub; allowed: a file of its own for each hub"
            ) from None

    def release(self) -> None:
        """Let others have it."""
        os.close(self._fd)
