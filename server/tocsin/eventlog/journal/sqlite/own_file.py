"""The file that the writer has opened, told from any other that its path may name later.

Who restores a file may forget to stop the hub. What the hub wrote to the other file then, or SQLite put into it from
the old file's write-ahead log, would destroy it.
"""

from __future__ import annotations

import os
from pathlib import Path


class Gone(OSError):
    """The path names another file, or none. The message says which."""


class OwnFile:
    """The file that `path` names now.

    It holds the file open, or else a file that is removed could leave its number to the next one. `O_PATH` takes no part in
    locks: to close another descriptor would drop those that SQLite holds in this process (POSIX fcntl).

    Raises:
        OSError: it can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        self._number = _number(os.fstat(self._fd))

    def check(self) -> None:
        """See that the path still names it.

        Raises:
            Gone: it doesn't.
        """
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            raise Gone("it was moved away") from None
        if _number(found) != self._number:
            raise Gone("it was replaced")

    @property
    def is_there(self) -> bool:
        """Whether the path names it."""
        try:
            self.check()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


def _number(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
