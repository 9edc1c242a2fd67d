from __future__ import annotations

import io
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.patience import PATIENCE_S, wait_until
from tocsin.logs import (
    CONTINUATION,
    MAX_ALIKE_PER_S,
    MAX_WAITING,
    MAX_WARNINGS_A_MINUTE,
    UNWRITTEN,
    WRITE_EVERY_S,
    TextFormatter,
    ThreadedHandler,
    _json_formatter,
)


@pytest.fixture
def sink() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def handler(sink: io.StringIO) -> Iterator[ThreadedHandler]:
    handler = ThreadedHandler(sink)
    handler.setFormatter(TextFormatter())
    yield handler
    handler.close()


def record(text: str = "stream opened", **extra: object) -> logging.LogRecord:
    fields = {"name": "tocsin", "levelname": "INFO", "levelno": 20, "msg": text, **extra}
    return logging.makeLogRecord(fields)


def test_line_holds_the_text_and_the_extra_fields(
    handler: ThreadedHandler, sink: io.StringIO
) -> None:
    handler.handle(record(client=7, reason="two words"))
    handler.close()
    assert sink.getvalue().endswith(" INFO tocsin: stream opened client=7 reason='two words'\n")


def test_last_lines_are_written_where_no_thread_can_be_had(
    handler: ThreadedHandler, sink: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    handler.handle(record("the hub failed"))
    monkeypatch.setattr(threading.Thread, "start", start)
    handler.close()
    assert sink.getvalue().endswith("the hub failed\n")


def test_line_breaks_cannot_forge_lines(handler: ThreadedHandler, sink: io.StringIO) -> None:
    handler.handle(record("a\nb", path="/x\ny"))
    handler.close()
    assert sink.getvalue().count("\n") == 1


def test_characters_that_move_the_cursor_are_escaped(
    handler: ThreadedHandler, sink: io.StringIO
) -> None:
    handler.handle(record("é\x1b[2J\r\u2028\u202e\x85\udc80", path="\x1b[2J"))
    handler.close()
    line = sink.getvalue().removesuffix("\n")
    assert line.isprintable()
    assert r"é\x1b[2J\r\u2028\u202e\x85\udc80 path='\x1b[2J'" in line


FORGED = "a\x1b[31m\n2026-01-01T00:00:00.000+00:00 INFO tocsin: forged\r\x85\u2028b"


def failed(text: str) -> logging.LogRecord:
    """The record of an exception with this text, raised while another was handled."""
    try:
        try:
            raise KeyError(text)
        except KeyError:
            raise ValueError(text)  # noqa: B904  # both are shown
    except ValueError:
        return record("uncaught exception", exc_info=sys.exc_info())


def test_error_cannot_forge_a_line_and_its_traceback_can_be_read(
    handler: ThreadedHandler, sink: io.StringIO
) -> None:
    handler.handle(failed(FORGED))
    handler.close()
    assert sink.getvalue().replace("\n", "").isprintable()
    first, *traceback = sink.getvalue().splitlines()
    assert first.endswith("uncaught exception")
    assert all(line.startswith(CONTINUATION) for line in traceback)
    said = [line.removeprefix(CONTINUATION) for line in traceback]
    assert said[0] == "Traceback (most recent call last):"
    assert r"ValueError: a\x1b[31m" in said
    assert said[-1].endswith(r"forged\r\x85\u2028b")


def test_error_in_a_json_line_is_one_line(handler: ThreadedHandler, sink: io.StringIO) -> None:
    handler.setFormatter(_json_formatter())
    handler.handle(failed(FORGED))
    handler.close()
    (line,) = sink.getvalue().splitlines()
    assert line.isprintable()
    assert json.loads(line)["exc_info"].endswith(FORGED)


def test_line_that_cannot_be_made_is_told_of_and_forges_none(
    handler: ThreadedHandler, sink: io.StringIO
) -> None:
    handler.handle(record("%d\nclients", args=("x",)))
    handler.close()
    assert sink.getvalue() == "log line not made: '%d\\nclients': TypeError\n"


@pytest.mark.parametrize("formatter", [TextFormatter(), _json_formatter()])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_time_is_utc_with_its_offset_wherever_the_hub_runs(
    formatter: logging.Formatter, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        line = formatter.format(record(created=1_700_000_000.25))
    finally:
        monkeypatch.undo()
        time.tzset()
    told = re.search(r"[0-9]{4}-[0-9]{2}-[0-9T:.]+(Z|[+-][0-9:]+)", line)
    assert told
    assert told[0].startswith("2023-11-14T22:13:20.25")
    assert told[1] == "+00:00"


def test_json_lines_parse(handler: ThreadedHandler, sink: io.StringIO) -> None:
    handler.setFormatter(_json_formatter())
    handler.handle(record(client=7))
    handler.close()
    line = json.loads(sink.getvalue())
    assert (line["level"], line["logger"], line["message"], line["client"]) == (
        "INFO", "tocsin", "stream opened", 7,
    )  # fmt: skip


class Clock:
    """Stands still until it is set."""

    now_s = 1_700_000_040.5  # half a second after a minute began


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", lambda: clock.now_s)
    monkeypatch.setattr(time, "time_ns", lambda: int(clock.now_s * 1e9))  # Python 3.13's records
    return clock


def warning(text: str, *args: object) -> logging.LogRecord:
    return record(text, args=args, levelname="WARNING", levelno=30)


@pytest.mark.usefixtures("clock")
def test_lines_alike_are_held_back_and_counted(handler: ThreadedHandler, sink: io.StringIO) -> None:
    for _ in range(MAX_ALIKE_PER_S + 50):
        handler.handle(record())
    handler.close()
    lines = sink.getvalue().splitlines()
    assert len(lines) == MAX_ALIKE_PER_S + 1
    assert "alike=50" in lines[-1]


@pytest.mark.usefixtures("clock")
def test_line_that_would_be_held_back_need_not_be_made(
    handler: ThreadedHandler, sink: io.StringIO
) -> None:
    assert not handler.holds_back("tocsinstream opened")
    for _ in range(MAX_ALIKE_PER_S):
        handler.handle(record())
    assert all(handler.holds_back("tocsinstream opened") for _ in range(50))
    handler.close()
    assert "alike=50" in sink.getvalue().splitlines()[-1]


def test_warnings_alike_are_few_a_minute_and_the_others_are_counted_at_its_end(
    clock: Clock, handler: ThreadedHandler, sink: io.StringIO
) -> None:
    for _ in range(300):  # over 30 s
        handler.handle(warning("refused"))
        clock.now_s += 0.1
    handler.handle(warning("something else"))
    clock.now_s += 30
    handler.handle(warning("refused"))
    handler.close()
    lines = sink.getvalue().splitlines()
    assert sum("refused" in line for line in lines) == MAX_WARNINGS_A_MINUTE + 2  # one was the last
    assert sum("something else" in line for line in lines) == 1
    assert [line.partition("alike=")[2] for line in lines if "alike=" in line] == ["289 dropped=0"]


def test_last_of_the_warnings_held_back_is_written_at_the_end_of_the_minute_though_nothing_follows(
    clock: Clock, handler: ThreadedHandler, sink: io.StringIO
) -> None:
    unwritten, count = UNWRITTEN["alike"], MAX_WARNINGS_A_MINUTE + 3
    for number in range(count):
        handler.handle(warning("it is %s", f"down: reason {number}"))
        handler.handle(warning("%s more", number))
        clock.now_s += 1
    clock.now_s += 60
    wait_until(lambda: f"{count - 1} more" in sink.getvalue())
    summary, *last = sink.getvalue().splitlines()[2 * MAX_WARNINGS_A_MINUTE :]
    assert summary.endswith("log lines not written alike=4 dropped=0")
    texts = [line.partition(": ")[2] for line in last]
    assert texts == [f"it is down: reason {count - 1}", f"{count - 1} more"]
    assert all("T22:14:12.5" in line for line in last)  # when it was
    assert UNWRITTEN["alike"] == unwritten + 4


def test_warning_that_was_held_back_counts_in_the_minute_it_is_written_in(
    clock: Clock, handler: ThreadedHandler, sink: io.StringIO
) -> None:
    for minute in range(2):
        for _ in range(MAX_WARNINGS_A_MINUTE + 3):
            handler.handle(warning("refused in minute %s", minute))
        clock.now_s += 60
    handler.close()
    assert sink.getvalue().count("minute 0") == MAX_WARNINGS_A_MINUTE + 1
    assert sink.getvalue().count("minute 1") == MAX_WARNINGS_A_MINUTE  # and that one of minute 0


def test_lines_held_back_are_said_a_second_later_though_nothing_follows(
    clock: Clock, handler: ThreadedHandler, sink: io.StringIO
) -> None:
    for _ in range(MAX_ALIKE_PER_S + 50):
        handler.handle(record())
    clock.now_s += 1
    wait_until(lambda: "alike=50 dropped=0" in sink.getvalue())


class Broken(io.StringIO):
    """A sink whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_broken_sink_is_not_told_each_second_what_it_did_not_take(clock: Clock) -> None:
    handler, unread = ThreadedHandler(Broken()), UNWRITTEN["unread"]
    handler.handle(record())
    wait_until(lambda: UNWRITTEN["unread"] == unread + 1)
    clock.now_s += 1
    time.sleep(3 * WRITE_EVERY_S)
    assert UNWRITTEN["unread"] == unread + 1
    handler.close()


class Stuck(io.StringIO):
    """A sink like a pipe that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.is_full = threading.Event()
        self.reader = threading.Event()

    def write(self, text: str) -> int:
        self.is_full.set()
        self.reader.wait()
        return super().write(text)


def test_sink_that_nobody_reads_does_not_block_and_what_is_dropped_is_said() -> None:
    sink = Stuck()
    handler = ThreadedHandler(sink)
    handler.setFormatter(TextFormatter())
    handler.handle(record("first"))
    assert sink.is_full.wait(PATIENCE_S)
    for number in range(MAX_WAITING + 5_000):  # for ever, if one of them waited for the reader
        handler.handle(record(f"{number}"))
    sink.reader.set()
    wait_until(lambda: f" {MAX_WAITING - 1}\n" in sink.getvalue())
    handler.close()
    assert "dropped=5000" in sink.getvalue().splitlines()[-1]
