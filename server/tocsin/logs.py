"""Logging that can't stop the hub: lines are made on the loop and written by a thread.

An unread pipe on standard error would freeze every stream if the loop wrote to it. Lines wait in a
bounded buffer; what doesn't fit, or repeats beyond a rate, is counted, and the count is logged.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

MAX_WAITING = 10_000
MAX_ALIKE_PER_S = 100
"""Lines of one text a second, unless the settings say otherwise: ten thousand clients that leave at once are one fact."""

MAX_WARNINGS_A_MINUTE = 10
"""Warnings of one text a minute: most can be brought about by strangers, as often as they like.

Of those beyond, the last one is written when the minute is over: else the log would end with what was long ago.
"""

WRITE_EVERY_S = 0.1

LEVELS = ("debug", "info", "warning", "error", "critical")
RECORDS: dict[str, int] = dict.fromkeys(LEVELS, 0)
"""Records by level since the process began, also those that were not written."""

UNWRITTEN: dict[str, int] = {"alike": 0, "full": 0, "unread": 0}
"""Lines that were not written: too many alike, no room, nobody reads. One thread counts each."""

AUDIT = "tocsin.audit"
"""The logger whose lines are never too many alike."""

CONTINUATION = "  | "

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """``time level logger: text key=value ...``, one line; strings with odd characters are quoted.

    A traceback follows in lines of its own, for people to read, each behind `CONTINUATION`: no line of
    the log begins so, and whatever an error's text holds, it can't look like one (CWE-117).
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, and those of its traceback."""
        line, *traceback = super().format(record).split("\n")
        return "\n".join([line, *[CONTINUATION + _printable(more) for more in traceback]])

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line with the record's extra fields behind the text."""
        extra = [
            f" {name}={_quoted(value)}"
            for name, value in vars(record).items()
            if name not in _PLAIN
        ]
        return _printable(super().formatMessage(record)) + "".join(extra)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """UTC, with its offset, as in the lines that are JSON."""
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _printable(text: str) -> str:
    """`text` with what moves a terminal's cursor, ends a line or turns the writing round as escapes."""
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else ascii(c)[1:-1] for c in text])


def _quoted(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else ascii(text)


class ThreadedHandler(logging.Handler):
    """Formats where it is called and writes in a thread of its own, in batches.

    One write for many lines: a thread that woke for each would fight the loop for the interpreter.
    """

    def __init__(self, sink: TextIO, alike_per_s: int = MAX_ALIKE_PER_S) -> None:
        super().__init__()
        self._sink = sink
        self._alike_per_s = alike_per_s
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._held = 0
        self._alike: Counter[str] = Counter()
        self._second = 0
        self._warned: Counter[str] = Counter()
        self._last_held: dict[str, logging.LogRecord] = {}
        self._minute = 0
        self._is_unread = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line; never blocks, never raises."""
        RECORDS[record.levelname.lower()] += 1
        second = int(record.created)
        if second != self._second:
            self._go_on_to(second)
        if record.name == AUDIT:  # each line is a fact of its own
            self._queue(record)
            return
        text = record.name + str(record.msg)
        if record.levelno == logging.WARNING:
            self._warn(text, record)
            return
        self._alike[text] += 1
        if self._alike[text] <= self._alike_per_s:
            self._queue(record)
        else:
            UNWRITTEN["alike"] += 1

    def _warn(self, text: str, record: logging.LogRecord) -> None:
        """Queue a warning, or hold it back until the minute is over, or another one of `text` comes in its place."""
        self._warned[text] += 1
        if self._warned[text] <= MAX_WARNINGS_A_MINUTE:
            self._queue(record)
            return
        if text in self._last_held:
            UNWRITTEN["alike"] += 1
        self._last_held[text] = record

    def holds_back(self, text: str) -> bool:
        """Whether one more line of `text` (with its logger's name) is held back; counts it if so."""
        if self._alike[text] < self._alike_per_s or int(time.time()) != self._second:
            return False
        self._alike[text] += 1
        RECORDS["info"] += 1
        UNWRITTEN["alike"] += 1
        return True

    def _go_on_to(self, second: int) -> None:
        """Say what was held back before it: of lines in another second, of warnings in another minute."""
        # Another counter at once: `holds_back` counts without the lock.
        alike, self._alike, self._second = self._alike, Counter(), second
        self._held += sum(max(n - self._alike_per_s, 0) for n in alike.values())
        last: list[logging.LogRecord] = []
        if second // 60 != self._minute:
            self._minute = second // 60
            self._held += sum(max(n - MAX_WARNINGS_A_MINUTE - 1, 0) for n in self._warned.values())
            last = sorted(self._last_held.values(), key=lambda record: record.created)
            self._warned = Counter(self._last_held.keys())  # they are written in this minute
            self._last_held = {}
        self._say_what_was_held_back()
        for record in last:
            self._queue(record)

    def _say_what_was_held_back(self) -> None:
        if not (self._held or self._dropped) or len(self._waiting) >= MAX_WAITING:
            return  # nothing to say, or no room to say it yet: the counts wait
        extra = {"alike": self._held, "dropped": self._dropped}
        self._held = self._dropped = 0
        record = logging.makeLogRecord(
            {"name": "tocsin.log", "levelname": "WARNING", "levelno": logging.WARNING}
            | {"msg": "log lines not written", **extra}
        )
        self._queue(record)

    def _queue(self, record: logging.LogRecord) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._dropped += 1
            UNWRITTEN["full"] += 1
            return
        try:
            self._waiting.append(self.format(record) + "\n")
        except Exception as error:  # the edge: such a line must not take down what it tells of
            # Nor may it be told of by a write of the loop's, as `handleError` does.
            self._waiting.append(f"log line not made: {record.msg!a}: {type(error).__name__}\n")

    def _write_on(self) -> None:
        while not self._stop.wait(WRITE_EVERY_S):
            self._go_on_in_silence()
            self._write()

    def _go_on_in_silence(self) -> None:
        """Say what was held back also where no line follows.

        Not to a sink that is broken: to say each second what it didn't take would never end.
        """
        if int(time.time()) == self._second or self._is_unread:
            return
        self.acquire()
        try:
            if (second := int(time.time())) != self._second:
                self._go_on_to(second)
        finally:
            self.release()

    def _write(self) -> None:
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if lines:
            try:
                self._sink.write("".join(lines))
                self._sink.flush()
                self._is_unread = False
            except (OSError, ValueError):  # nobody reads it any more: the hub goes on without
                self._is_unread = True
                self._dropped += len(lines)
                UNWRITTEN["unread"] += len(lines)

    def close(self) -> None:
        """Write what waits, for a second at most."""
        if not self._stop.is_set():
            self.acquire()
            try:
                self._go_on_to(0)
            finally:
                self.release()
            self._stop.set()
            last = threading.Thread(target=self._write, daemon=True)
            try:
                last.start()
            except (
                RuntimeError
            ):  # no memory is left for its stack: why the hub ends is to be read all the same
                self._write()
            else:
                last.join(1.0)
        super().close()


_configured: list[ThreadedHandler] = []


def is_wanted(log: logging.Logger, text: str) -> bool:
    """Whether `log` would write one more line of `text` at INFO.

    For lines that come by thousands a second: to ask costs a fiftieth of a record that nobody will
    see. What isn't wanted is counted as if it had been made.
    """
    if not log.isEnabledFor(logging.INFO):
        return False
    return not _configured or not _configured[0].holds_back(log.name + text)


_every = 1


def is_sampled(number: int) -> bool:
    """Whether ordinary lines of `number` are written: of a client's number, so that it has all of its lines or none."""
    return number % _every == 0


def configure(
    level: str,
    form: str,
    audit_level: str = "warning",
    sampling: float = 1.0,
    alike_per_s: int = MAX_ALIKE_PER_S,
) -> None:
    """Send the log to standard error.

    Args:
        level: from which up.
        form: ``text`` or ``json``.
        audit_level: the same as `level`, of the audit.
        sampling: share of ordinary lines that are written, above 0 and up to 1.
        alike_per_s: lines of one text that are written in a second.
    """
    global _every
    _every = max(round(1 / sampling), 1)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # nor the caller's line: a third of a record
    handler = ThreadedHandler(sys.stderr, alike_per_s)
    handler.setFormatter(_json_formatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    _configured[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger(AUDIT).setLevel(audit_level.upper())
    # Tornado says at INFO what a stranger's malformed request was; the counts say as much.
    logging.getLogger("tornado.general").setLevel(max(root.level, logging.WARNING))


def _json_formatter() -> logging.Formatter:
    formatter = JsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
    )
    formatter.converter = time.gmtime
    return formatter
