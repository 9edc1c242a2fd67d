"""A file that is made beside its place, under a name that says so, and put there when it is whole.

Who looks at its place finds no file or a whole one, wherever the making of it is cut off.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tocsin.errors import SettingsError
from tocsin.eventlog.journal.sqlite.file import orphaned_log, sync_folder


@contextmanager
def made_beside(path: Path) -> Iterator[Path]:
    """A new file of mode 0600 beside `path`, which is synced and put there at the end of the block.

    Whatever the block raises, the file is removed. Only a process that is killed leaves one: its name ends in `.part`.

    Raises:
        SettingsError: there is a file at `path`, or one can't be made there.
    """
    _refuse_what_is_there(path)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    with _in_words(path):
        os.close(_new_file(part))
    try:
        yield part
        with _in_words(path):
            _put(part, path)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            part.with_name(part.name + suffix).unlink(missing_ok=True)


def _put(part: Path, path: Path) -> None:
    """Give the file its name."""
    _sync(part)
    # Nobody's file is replaced, whoever made one meanwhile: this fails where there is one.
    try:
        os.link(part, path)
    except PermissionError:  # a file system without links
        os.close(_new_file(path))
        part.rename(path)
    sync_folder(path.parent)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(f"journal: {str(path)!r} can't be made: {error.strerror}") from None


def _refuse_what_is_there(path: Path) -> None:
    if path.exists():
        raise SettingsError(f"journal: {str(path)!r} is there already; allowed: a new file")
    orphaned = orphaned_log(path)
    if orphaned:
        raise SettingsError(f"journal: {str(path)!r}: {orphaned}")


def _new_file(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _sync(file: Path) -> None:
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
