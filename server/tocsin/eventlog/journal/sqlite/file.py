"""Opens a journal's file: who may have written there, and what is wrong with it, in words.

It never opens the file but through SQLite: closing a descriptor of one's own would drop the locks that
SQLite holds in this process (POSIX fcntl).
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import msgspec

from tocsin.core.record import RecordError
from tocsin.errors import SettingsError, Unavailable

BUSY_S = 2.0
"""How long a transaction waits for another program that holds the file."""

SHARED_MEMORY_BYTES = 32 * 1024
"""What SQLite takes at once, beside the file, when it opens it: with less left, a disk is full."""

_SAID_OF_DAMAGE = ("Could not decode to UTF-8", "malformed JSON")

_CACHED_STATEMENTS = 256  # one for each number of rows that an INSERT has, and the others


def connect(
    path: Path, *, busy_s: float = BUSY_S, look: Callable[[], None] | None = None
) -> sqlite3.Connection:
    """A connection that commits each statement by itself, and is synced at each commit.

    Args:
        path: of the file.
        busy_s: how long a statement waits for another program.
        look: called when the file is open and nothing of it was read yet. The first statement looks for a write-ahead log.

    Raises:
        sqlite3.Error: it can't be had; or what `look` raises.
    """
    orphaned = orphaned_log(path)
    if orphaned:
        raise sqlite3.OperationalError(orphaned)
    db = sqlite3.connect(
        # Never a new file: where the path names none any more, that is to be said.
        f"file:{quote(str(path.absolute()))}?mode=rw",
        uri=True,
        timeout=busy_s,
        isolation_level=None,
        cached_statements=_CACHED_STATEMENTS,
    )
    try:
        if look:
            look()
        db.execute("PRAGMA synchronous = FULL")
        # A checkpoint runs where the writer says: by itself it would run within a commit, and the
        # publishers of that commit would wait for it.
        db.execute("PRAGMA wal_autocheckpoint = 0")
        # Debian's SQLite writes zeroes over each page that is freed, which takes as long as to write what is freed. What
        # was evicted stays in free pages until they are used again: see docs/journals.md.
        db.execute("PRAGMA secure_delete = FAST")
        # What is left of the write-ahead log after a burst, and at the end.
        db.execute("PRAGMA journal_size_limit = 16777216")
    except BaseException:
        db.close()
        raise
    return db


def settle(db: sqlite3.Connection) -> None:
    """Move all of the write-ahead log into the file, synced, so that the file alone is the whole.

    Raises:
        sqlite3.Error: it can't be moved. Where the connection was just closed, this would be said to nobody.
    """
    busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError("another program reads it")


def orphaned_log(path: Path) -> str:
    """What is to be said of a write-ahead log that lies beside no database, or beside an empty one; empty where none does.

    It holds events that were acknowledged, and SQLite removes it when it opens an empty file beside it. None belongs to
    an empty file: SQLite writes the first page before it begins one (the header says that there is one), so a hub that
    was killed while it made its file leaves no such pair.
    """
    write_ahead = path.with_name(path.name + "-wal")
    # The log is looked at first: a hub that makes the two meanwhile has the file's first page before it.
    if not _size(write_ahead) or _size(path):
        return ""
    return (
        f"{write_ahead.name} holds events of a file that is gone or empty; put that file back, or, to begin a new log,"
        f" move {write_ahead.name} away too"
    )


def _size(file: Path) -> int:
    """In bytes; 0 where it is none."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def prepare(path: Path) -> None:
    """Look at the file and its folder, and make an empty file of mode 0600 where there is none.

    Raises:
        SettingsError: as `check_place`, or it can't be made.
    """
    check_place(path)
    if not path.exists():
        _create(path)


def check_place(path: Path) -> None:
    """Look at the file, those beside it and its folder.

    Raises:
        SettingsError: one of them can't be used, or others could put something else in their place; or a new file would
            lose what a write-ahead log holds.
    """
    folder = path.parent
    try:
        of_folder = folder.stat()
    except OSError as error:
        raise _refused(path, f"its folder can't be used: {error.strerror}") from None
    if not stat.S_ISDIR(of_folder.st_mode):
        raise _refused(path, "its folder is none")
    if of_folder.st_mode & stat.S_IWOTH and not of_folder.st_mode & stat.S_ISVTX:
        raise _refused(
            path, "everybody may write to its folder; allowed: one that only the hub's user can"
        )
    for suffix in ("", "-wal", "-shm", "-journal"):  # SQLite plays the last one back
        _check_file(path, path.with_name(path.name + suffix))
    orphaned = orphaned_log(path)
    if orphaned:
        raise _refused(path, orphaned)


def _check_file(path: Path, file: Path) -> None:
    try:
        found = file.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refused(path, f"{file.name} can't be looked at: {error.strerror}") from None
    if stat.S_ISLNK(found.st_mode):
        raise _refused(path, f"{file.name} is a symbolic link; allowed: a file")
    if not stat.S_ISREG(found.st_mode):
        raise _refused(path, f"{file.name} is no file")
    if found.st_uid not in (os.geteuid(), 0):
        raise _refused(path, f"{file.name} belongs to another user")
    # Asked of the mode, as root may write to anything.
    if not found.st_mode & stat.S_IWUSR or not os.access(file, os.W_OK):
        raise _refused(path, f"{file.name} is read-only")


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        sync_folder(path.parent)
    except OSError as error:
        raise _refused(path, f"it can't be made: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Else a loss of power could lose a new file in it with all that was acknowledged."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _refused(path: Path, why: str) -> SettingsError:
    return SettingsError(f"journal: {str(path)!r}: {why}")


def cannot_open(path: Path, error: Exception) -> SettingsError:
    """What the operator is told of `error`, which came up while the file was opened."""
    why = str(error)
    code = _code(error)
    if is_damage(error):
        why = f"it is damaged ({error}); nothing was changed, and `tocsin journal check` says more"
    elif _means_full(path, code):
        why = "its disk is full"
    elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        why = f"another program has held it for {BUSY_S:g} s"
    return _refused(path, why)


def is_damage(error: Exception) -> bool:
    """Whether it says that something is in the file which no hub put there."""
    if isinstance(error, (RecordError, msgspec.MsgspecError, UnicodeDecodeError)):
        return True
    if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return True
    # What Python's own layer finds has no code.
    return isinstance(error, sqlite3.Error) and str(error).startswith(_SAID_OF_DAMAGE)


def unavailable(path: Path, error: Exception) -> Unavailable:
    """What publishers are told of `error`, which came up while the journal ran."""
    code = _code(error)
    if _means_full(path, code):
        return Unavailable(
            "the journal's disk is full", code="storage_full", retry_after_s=5, status=507
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        why = "another program holds the journal's file"
    else:
        why = f"the journal's file can't be used ({error})"
    return Unavailable(why, code="journal_down", retry_after_s=2)


def _code(error: Exception) -> int:
    """SQLite's primary result code; 0 where it is none of its errors."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _means_full(path: Path, code: int) -> bool:
    """Whether nothing is left on the disk: SQLite calls some of these failures I/O errors."""
    return code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path))


def _is_full(path: Path) -> bool:
    try:
        disk = os.statvfs(path if path.exists() else path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < SHARED_MEMORY_BYTES
