"""The commands ``tocsin journal``: what an operator does with a journal's file."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from tocsin.eventlog.journal.sqlite import transfer

FILE = click.Path(path_type=Path)
UNSOUND = 1


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
        click.echo(f"tocsin: journal: {str(path)!r} is {error}", err=True)
        sys.exit(UNSOUND)
    span = f", {found.oldest} to {found.newest}" if found.events else ""
    kept = f"; {found.kept_newest} older ones stay" if found.kept_newest else ""
    click.echo(f"{path}: sound; {found.events} events{span}, {found.bytes} bytes of records{kept}")


@journal.command()
@click.argument("path", type=FILE)
@click.argument("target", type=FILE)
def backup(path: Path, target: Path) -> None:
    """Write a copy of PATH to TARGET, a new file. The hub may run."""
    transfer.backup(path, target)
    click.echo(f"{target}: written")


@journal.command("export")
@click.argument("path", type=FILE)
def export_(path: Path) -> None:
    """Write PATH to standard output as NDJSON: a line for the log, one for each event, one for the end. The hub may run."""
    transfer.export(path, sys.stdout.buffer)


@journal.command("import")
@click.argument("path", type=FILE)
def import_(path: Path) -> None:
    """Make PATH, a new file, from NDJSON on standard input, as `export` writes it."""
    events, are_all = transfer.read_in(path, sys.stdin.buffer)
    if not are_all:
        warning = "this export doesn't say how many events it has: nobody knows if they are all"
        click.echo(f"tocsin: journal: warning: {warning}", err=True)
    click.echo(f"{path}: {events} events")
