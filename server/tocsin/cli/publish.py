"""``tocsin publish``: a message, or the events of a pipe, sent to a hub that runs somewhere."""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import click

from tocsin.cli.at_hub import REFUSED, at_hub, exit_for, fail, new_client
from tocsin.errors import SettingsError

if TYPE_CHECKING:
    from tocsin.client import BlockingPublisher

MAX_LINE_BYTES = 4 * 1024 * 1024
"""Of a line, and of a message: a hub's own limit is 64 KiB by default."""

BATCH_BYTES = 1024 * 1024
"""Of a batch, about; a hub takes 4 MiB by default."""

WAITING_LINES = 2_000
"""That were read and not yet published: a slow hub makes the program before the pipe wait."""

PROGRESS_S = 0.2


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is an event; `number` counts from 1, `size` is in bytes."""

    number: int
    event: dict[str, Any]
    size: int


@dataclass(frozen=True, slots=True)
class BadLine:
    """What is wrong with the next line. None after it is read."""

    reason: str


END, NOT_YET = "end", "not yet"

Waiting = queue.Queue[Line | BadLine | str]
"""What was read: lines, and END or a bad line as the last."""


@click.command(short_help="Publish a message, or the events of a pipe.")
@click.argument("message", required=False)
@at_hub
@click.option(
    "--topic", "topics", multiple=True, help="Where it goes; repeatable. [default default]"
)
@click.option("--type", default="notification", show_default=True, help="The event type.")
@click.option("--data", metavar="JSON", help="An object that goes with the message.")
@click.option("--final", is_flag=True, help="It ends its topic.")
@click.option(
    "--key", help="Idempotency key: the same again is published once. [default one of its own]"
)
@click.option(
    "--ndjson", is_flag=True, help="Publish standard input: an event, as a JSON object, a line."
)
@click.option(
    "--batch",
    type=click.IntRange(1, 100_000),
    default=500,
    show_default=True,
    help="Lines that are published together at most, all or none.",
)
@click.option(
    "--patience",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Seconds to try again for.",
)
@click.option("--quiet", is_flag=True, help="No id, no progress, no sum.")
def publish(
    message: str | None,
    url: str,
    token: Callable[[], str],
    topics: tuple[str, ...],
    type: str,
    data: str | None,
    final: bool,
    key: str | None,
    ndjson: bool,
    batch: int,
    patience: float,
    quiet: bool,
) -> None:
    """Publish MESSAGE, or with `-` what standard input holds, and print the event's id.

    Exit code 0: it is published. 1: it isn't, the hub is away or can't now. 2: the command line is wrong. 3: the hub
    refuses it. 4: nobody knows; the same command with the --key that is printed publishes it once.
    """
    if (message is None) != ndjson:
        raise SettingsError("publish: allowed: MESSAGE, `-` or --ndjson")
    if ndjson and (data is not None or key is not None or final):
        raise SettingsError(
            "publish: --data, --key and --final are not for --ndjson; allowed: in its lines, `key` apart"
        )
    fields: dict[str, Any] = {"type": type}
    fields |= {"topic": topics[0]} if topics else {}
    fields |= {"topics": list(topics[1:])} if topics[1:] else {}
    from tocsin.client import BlockingPublisher, ClientError, UnknownOutcome

    try:
        with (
            new_client() as client,
            BlockingPublisher(url, token=token, patience_s=patience, client=client) as hub,
        ):
            if ndjson:
                publish_lines(hub, sys.stdin.buffer, fields, batch, quiet)
                return
            event = fields | {"message": _message(message or "")}
            event |= {"data": _object(data)} if data is not None else {}
            event |= {"final": True} if final else {}
            receipt = hub.publish(event, key=key)
    except UnknownOutcome as error:
        fail(f"publish: {error} --key {error.key}", 4)
    except (ClientError, ValueError) as error:
        exit_for(error, "publish")
    if not quiet:
        click.echo(receipt.id)


def publish_lines(
    hub: BlockingPublisher, lines: IO[bytes], fields: dict[str, Any], batch: int, quiet: bool
) -> None:
    """Publish the events of `lines`, in order, in batches of what is there: a line is never waited for."""
    from tocsin.client import ClientError, Refused

    progress = Progress(is_shown=not quiet)
    published = 0
    waiting: Waiting = queue.Queue(WAITING_LINES)
    threading.Thread(target=_read, args=(lines, waiting), daemon=True).start()
    try:
        for several in _batches(waiting, batch):
            if isinstance(several, BadLine):
                progress.end()
                fail(f"publish: {several.reason}; {_so_far(published)}", REFUSED)
            try:
                hub.publish_batch([line.event for line in several], **fields)
            except ClientError as error:
                progress.end()
                place = _place(several, error.index if isinstance(error, Refused) else None)
                click.echo(f"tocsin: publish: {place}; {_so_far(published)}", err=True)
                raise
            published += len(several)
            progress.show(published)
    finally:
        progress.end()
    if not quiet:
        click.echo(f"{published} events published", err=True)


class Progress:
    """How far it is, on one line of a terminal; nothing where standard error is none."""

    def __init__(self, is_shown: bool) -> None:
        self._is_shown = is_shown and sys.stderr.isatty()
        self._began = time.monotonic()
        self._last = 0.0
        self._is_open = False

    def show(self, count: int) -> None:
        """Say that so many are published, some times a second."""
        now = time.monotonic()
        if self._is_shown and now - self._last >= PROGRESS_S:
            rate = count / max(now - self._began, 0.001)
            click.echo(f"\r\033[K{count:,} events, {rate:,.0f}/s", err=True, nl=False)
            self._last = now
            self._is_open = True

    def end(self) -> None:
        """Leave the line to what follows."""
        if self._is_open:
            click.echo("\r\033[K", err=True, nl=False)
            self._is_open = False


def _read(lines: IO[bytes], waiting: Waiting) -> None:
    """Put all that `lines` holds into the queue, up to its end or a line that is no event."""
    number = 0
    while text := lines.readline(MAX_LINE_BYTES + 1):
        number += 1
        if text.strip():
            line = _line(number, text)
            waiting.put(line)
            if isinstance(line, BadLine):
                return
    waiting.put(END)


def _line(number: int, text: bytes) -> Line | BadLine:
    if len(text) > MAX_LINE_BYTES:
        return BadLine(f"line {number}: longer than {MAX_LINE_BYTES} bytes")
    try:
        event = json.loads(text)
    except (ValueError, RecursionError) as error:
        return BadLine(f"line {number}: not JSON: {error}")
    if not isinstance(event, dict):
        return BadLine(f"line {number}: allowed: a JSON object, with `message`")
    return Line(number, event, len(text))


def _batches(waiting: Waiting, most: int) -> Iterator[list[Line] | BadLine]:
    """Batches of the lines that are there, each of one or more; last perhaps what is wrong with the next line."""
    item = waiting.get()
    while isinstance(item, Line):
        several, size = [item], item.size
        item = _if_there(waiting)
        while isinstance(item, Line) and len(several) < most and size + item.size <= BATCH_BYTES:
            several.append(item)
            size += item.size
            item = _if_there(waiting)
        yield several
        if item == NOT_YET:
            item = waiting.get()
    if isinstance(item, BadLine):
        yield item


def _if_there(waiting: Waiting) -> Line | BadLine | str:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return NOT_YET


def _place(several: list[Line], index: int | None) -> str:
    """Which lines are at fault; `index` is that of one of them."""
    if index is not None and 0 <= index < len(several):
        return f"line {several[index].number}"
    return f"lines {several[0].number} to {several[-1].number}"


def _so_far(published: int) -> str:
    return f"published before: {published} events"


def _message(text: str) -> str:
    """The message that the argument names: itself, or with `-` standard input in UTF-8, without its last line end.

    Raises:
        SettingsError: it is too long, or no text.
    """
    if text != "-":
        return text
    content = sys.stdin.buffer.read(MAX_LINE_BYTES + 1)
    if len(content) > MAX_LINE_BYTES:
        raise SettingsError(f"publish: the message is longer than {MAX_LINE_BYTES} bytes")
    try:
        return content.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise SettingsError("publish: the message is not UTF-8") from None


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"--data: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise SettingsError("--data: allowed: a JSON object")
    return value
