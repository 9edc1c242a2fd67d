from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Iterator

import pytest

from tests.patience import PATIENCE_S, wait_until
from tocsin.logs import (
    MAX_ALIKE_PER_S,
    MAX_WAITING,
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


def test_line_breaks_cannot_forge_lines(handler: ThreadedHandler, sink: io.StringIO) -> None:
    handler.handle(record("a\nb", path="/x\ny"))
    handler.close()
    assert sink.getvalue().count("\n") == 1


def test_json_lines_parse(handler: ThreadedHandler, sink: io.StringIO) -> None:
    handler.setFormatter(_json_formatter())
    handler.handle(record(client=7))
    handler.close()
    line = json.loads(sink.getvalue())
    assert (line["level"], line["logger"], line["message"], line["client"]) == (
        "INFO", "tocsin", "stream opened", 7,
    )  # fmt: skip


@pytest.fixture
def _one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the test is within one second of the clock."""
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.5)


@pytest.mark.usefixtures("_one_second")
def test_lines_alike_are_held_back_and_counted(handler: ThreadedHandler, sink: io.StringIO) -> None:
    for _ in range(MAX_ALIKE_PER_S + 50):
        handler.handle(record())
    handler.close()
    lines = sink.getvalue().splitlines()
    assert len(lines) == MAX_ALIKE_PER_S + 1
    assert "alike=50" in lines[-1]


@pytest.mark.usefixtures("_one_second")
def test_line_that_would_be_held_back_need_not_be_made(
    handler: ThreadedHandler, sink: io.StringIO
) -> None:
    assert not handler.holds_back("tocsinstream opened")
    for _ in range(MAX_ALIKE_PER_S):
        handler.handle(record())
    assert all(handler.holds_back("tocsinstream opened") for _ in range(50))
    handler.close()
    assert "alike=50" in sink.getvalue().splitlines()[-1]


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
