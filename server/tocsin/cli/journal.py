"""The commands ``tocsin journal``: what an operator does with a journal's file."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from tocsin.cli.at_hub import fail
from tocsin.errors import SettingsError
from tocsin.eventlog.journal.sqlite import transfer

FILE = click.Path(path_type=Path)
UNSOUND, FAILED = 1, 2


@click.group(short_help="Check, copy, export or import a journal's file.")
def journal() -> None:
    """Check, copy, export or import the file of `--journal sqlite:PATH`."""
    # As Ctrl-C: what was begun is removed. By default it would be left there.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@journal.command()
@click.argument("path", type=FILE)
def check(path: Path) -> None:
    """Read all of PATH and say what it holds; exit code 1 if it is damaged. The hub may run."""
    try:
        found = transfer.check(path)
    except transfer.Unsound as error:
        fail(f"journal: {str(path)!r} is {error}", UNSOUND)
    span = f", {found.oldest} to {found.newest}" if found.events else ""
    kept = f"; {found.kept_newest} older ones stay" if found.kept_newest else ""
    _say(f"{path}: sound; {found.events} events{span}, {found.bytes} bytes of records{kept}")


@journal.command()
@click.argument("path", type=FILE)
@click.argument("target", type=FILE)
def backup(path: Path, target: Path) -> None:
    """Write a copy of PATH to TARGET, a new file, and check it; exit code 1 if it is damaged. The hub may run."""
    try:
        unsound = transfer.backup(path, target)
    except transfer.Unsound as error:
        fail(f"journal: {str(path)!r} can't be copied, it is {error}", UNSOUND)
    if unsound:
        fail(f"journal: {str(target)!r} is written, and as {str(path)!r} is {unsound}", UNSOUND)
    _say(f"{target}: written")


@journal.command("export")
@click.argument("path", type=FILE)
def export_(path: Path) -> None:
    """Write PATH to standard output as NDJSON: a line for the log, one for each event, one for the end. The hub may run."""
    try:
        with _output() as output:
            transfer.export(path, output)
    except transfer.Unsound as error:
        fail(f"journal: {str(path)!r} is {error}", FAILED)


@journal.command("import")
@click.argument("path", type=FILE)
def import_(path: Path) -> None:
    """Make PATH, a new file, from NDJSON on standard input, as `export` writes it."""
    try:
        events, are_all = transfer.read_in(path, sys.stdin.buffer)
    except OSError as error:
        raise SettingsError(f"journal: standard input can't be read: {error.strerror}") from None
    if not are_all:
        warning = "this export doesn't say how many events it has: nobody knows if they are all"
        click.echo(f"tocsin: journal: warning: {warning}", err=True)
    _say(f"{path}: {events} events")


def _say(text: str) -> None:
    with _output():
        click.echo(text)


@contextmanager
def _output() -> Iterator[BinaryIO]:
    """Standard output.

    Raises:
        SettingsError: it takes no more, as on a full disk.
    """
    try:
        yield sys.stdout.buffer
        sys.stdout.flush()
    except BrokenPipeError:  # who read it wants no more: the command ends without a word
        raise
    except OSError as error:
        # What is left in the buffer is written once more at the end, which would fail in lines of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SettingsError(
            f"journal: standard output can't be written: {error.strerror}"
        ) from None
