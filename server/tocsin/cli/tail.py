"""``tocsin tail``: events of a hub that runs somewhere, as they come; printed, or given to a command."""

from __future__ import annotations

import io
import json
import os
import select
import shlex
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tocsin.cli.at_hub import FAILED, at_hub, exit_for, fail, new_client
from tocsin.cli.terminal import CONTROL, has_colors, safe
from tocsin.errors import SettingsError

if TYPE_CHECKING:
    from tocsin.client import BlockingSubscription, Event, State

COMMAND_FAILED, EVENTS_MISSING = 5, 6
"""Exit codes, beside those of `at_hub`."""

MAX_CURSOR_BYTES = 1024

COLORS = ("green", "yellow", "blue", "magenta", "cyan")


@click.command(short_help="Show events as they come, or run a command for each.")
@click.argument("topics", nargs=-1, metavar="[TOPIC]...")
@at_hub
@click.option("--type", "types", multiple=True, help="Only this event type; repeatable.")
@click.option("--last", type=click.IntRange(1, 10_000), help="Begin with the newest so many.")
@click.option("--last-per-topic", type=click.IntRange(1, 100), help="The same of each topic.")
@click.option(
    "--after", default="", metavar="ID", help="Go on after this id; `earliest` is all that is kept."
)
@click.option(
    "--cursor",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep in FILE what was seen, and go on from there the next time.",
)
@click.option("--json", "as_json", is_flag=True, help="An object a line: id, type, data. Gaps too.")
@click.option(
    "--exec",
    "command",
    metavar="CMD",
    help="Run CMD for each event, which is on its standard input as JSON. No shell is between.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many events.")
@click.option("--stop-at-gap", is_flag=True, help="End with code 6 where events are missing.")
@click.option("--quiet", is_flag=True, help="Say nothing of the connection.")
def tail(
    topics: tuple[str, ...],
    url: str,
    token: Callable[[], str],
    types: tuple[str, ...],
    last: int | None,
    last_per_topic: int | None,
    after: str,
    cursor: Path | None,
    as_json: bool,
    command: str | None,
    count: int | None,
    stop_at_gap: bool,
    quiet: bool,
) -> None:
    """Show events as they come: of each TOPIC (a prefix ended by `*` is all below it), or of all.

    It comes back by itself when the hub was away, and misses nothing; where events are missing it says so. Exit
    code 0: the topics have ended, or --count is reached. 1: no stream can be had there. 2: the command line is wrong.
    3: the hub refuses it. 5: CMD failed, and --cursor is before its event. 6: --stop-at-gap.
    """
    from tocsin.client import ClientError, subscribe_blocking

    place = Cursor(cursor) if cursor else None
    kept = place.read() if place else ""
    seen = 0
    given = Command(command) if command else Printer(as_json)
    status = Status(quiet)

    def note(state: State) -> None:
        status.show(state)
        if place and state.name == "open":
            place.write(subscription.last_event_id)

    try:
        with (
            new_client() as client,
            subscribe_blocking(
                url,
                topics=topics,
                types=types,
                last=last,
                last_per_topic=last_per_topic,
                last_event_id=kept or after,
                token=token,
                on_state=note,
                client=client,
            ) as subscription,
        ):
            _end_with_reader(subscription)
            for event in subscription:
                if event.type in ("gap", "end"):
                    status.tell(event)
                    given.note(event)
                    if event.type == "gap" and stop_at_gap:
                        sys.exit(EVENTS_MISSING)
                    continue
                given.event(event)
                if place:
                    place.write(subscription.last_event_id)
                seen += 1
                if seen == count:
                    return
    except (ClientError, ValueError) as error:
        exit_for(error, "tail")
    except BrokenPipeError:
        _end_of_reader()
    except OSError as error:  # of the output
        fail(f"tail: {error.strerror}", FAILED)


class Printer:
    """Prints events: for people, or as JSON."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8" if as_json else None, errors="backslashreplace")
        self._has_colors = has_colors(sys.stdout)

    def event(self, event: Event) -> None:
        """Print one, now."""
        line = as_json_line(event) if self._as_json else self._for_people(event)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def note(self, event: Event) -> None:
        """Print a `gap` or an `end`, where a program reads; people are told by `Status`."""
        if self._as_json:
            self.event(event)

    def _for_people(self, event: Event) -> str:
        try:
            data = event.json()
        except ValueError:
            data = None
        if not isinstance(data, dict):
            data = {"message": event.data}
        color = COLORS[sum(event.type.encode()) % len(COLORS)]
        topics = data.get("topics") or [data.get("topic") or ""]
        parts = [
            self._styled(_local_time(data.get("timestamp")), dim=True),
            self._styled(_safe(event.type), fg=color, bold=True),
            self._styled(
                " ".join(map(_safe, topics)) if isinstance(topics, list) else "", dim=True
            ),
            _safe(data.get("message", "")),
        ]
        more = data.get("data")
        parts += [self._styled(_safe(_encode(more)), dim=True)] if more else []
        return "  ".join(part for part in parts if part)

    def _styled(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self._has_colors and text else text


class Command:
    """Runs a command for each event, one after the other.

    Raises:
        SettingsError: there is no such command.
    """

    def __init__(self, command: str) -> None:
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise SettingsError(f"--exec: {error}") from None
        if not self._arguments or shutil.which(self._arguments[0]) is None:
            raise SettingsError(f"--exec: {command!r}: allowed: a command that is there")

    def event(self, event: Event) -> None:
        """Run it, and end with `COMMAND_FAILED` if it fails."""
        line = as_json_line(event) + "\n"
        try:
            code = subprocess.run(self._arguments, input=line.encode(), check=False).returncode
        except OSError as error:
            fail(f"tail: --exec: {error.strerror}", COMMAND_FAILED)
        if code:
            fail(f"tail: the command ended with {code}, on event {event.id}", COMMAND_FAILED)

    def note(self, event: Event) -> None:
        """A `gap` or an `end` was not published: the command isn't run for it."""


class Cursor:
    """The file that says what was seen: an id, replaced as a whole.

    Raises:
        SettingsError: it can't be read, or not be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = path.with_name(path.name + ".next")
        self._written = ""

    def read(self) -> str:
        """The id; empty where there is no file yet."""
        try:
            self._next.touch()  # better now than after the first event
            if not self._path.exists():
                return ""
            with self._path.open("rb") as file:
                content = file.read(MAX_CURSOR_BYTES + 1)
        except OSError as error:
            raise SettingsError(f"--cursor: {self._path}: {error.strerror}") from None
        id = content.decode("ascii", "replace").strip()
        if len(content) > MAX_CURSOR_BYTES or not id.isascii() or CONTROL.search(id):
            raise SettingsError(f"--cursor: {self._path}: allowed: an event's id, or no such file")
        return id

    def write(self, id: str) -> None:
        """Move it to `id`."""
        if id and id != self._written and id != "earliest":
            try:
                self._next.write_text(id + "\n", encoding="utf-8")
                self._next.replace(self._path)
            except OSError as error:
                fail(f"tail: --cursor: {self._path}: {error.strerror}", FAILED)
            self._written = id


class Status:
    """Says on standard error what becomes of the connection."""

    def __init__(self, quiet: bool) -> None:
        self._is_quiet = quiet
        self._was_away = False

    def show(self, state: State) -> None:
        """Say that the hub is away, and that it is back."""
        if self._is_quiet:
            return
        if state.name == "waiting":
            reason = _safe(state.reason)
            click.echo(f"tail: {reason}; trying again in {state.retry_in_s:.1f} s", err=True)
            self._was_away = True
        elif state.name == "open" and self._was_away:
            click.echo("tail: connected again", err=True)
            self._was_away = False

    def tell(self, event: Event) -> None:
        """Say that events are missing, or that a topic has ended; that events are missing even if quiet."""
        try:
            data = event.json()
        except ValueError:
            data = None
        said = data if isinstance(data, dict) else {}
        if event.type == "gap":
            count = said.get("missed")
            number = f"{count} events" if isinstance(count, int) else "events"
            click.echo(f"tail: {number} missing here ({_safe(said.get('reason', '?'))})", err=True)
        elif not self._is_quiet:
            click.echo(f"tail: the topic {_safe(said.get('topic', '?'))} has ended", err=True)


def as_json_line(event: Event) -> str:
    """The event as an object on one line; `data` is a text where it isn't JSON."""
    try:
        data = event.json()
    except ValueError:
        data = event.data
    return safe(_encode({"id": event.id, "type": event.type, "data": data}))


def _encode(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _safe(value: object) -> str:
    return safe(value if isinstance(value, str) else _encode(value))


def _local_time(timestamp: object) -> str:
    if not isinstance(timestamp, str):
        return ""
    try:
        return f"{datetime.fromisoformat(timestamp).astimezone():%H:%M:%S}"
    except (ValueError, OverflowError):
        return ""


def _end_with_reader(subscription: BlockingSubscription) -> None:
    """End the subscription when nobody reads the output any more: `tail | head` would wait for one more event."""
    if not stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
        return
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)  # an error is told unasked

    def watch() -> None:
        output.poll()
        subscription.close()

    threading.Thread(target=watch, daemon=True).start()


def _end_of_reader() -> NoReturn:
    """End as who reads has: `tail | head`. Nothing more is written, not by the interpreter's end either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
