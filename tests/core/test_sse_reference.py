"""The reference parser against the vectors of web-platform-tests, eventsource/format-*."""

from __future__ import annotations

import pytest

from tests.sse import EventStreamParser

VECTORS = {
    "bom": ("\ufeffdata:1\n\n\ufeffdata:2\n\ndata:3\n\n", ["1", "3"]),
    "bom-2": ("\ufeff\ufeffdata:1\n\ndata:2\n\ndata:3\n\n", ["2", "3"]),
    "comments": (
        "data:1\r:\0\n:\r\ndata:2\n:" + "x" * 5000 + "\rdata:3\n:data:fail\r:x\n\n",
        ["1\n2\n3"],
    ),
    "data-before-final-empty-line": ("retry:1000\ndata:test1\n\nid:test\ndata:test2", ["test1"]),
    "field-data": ("data:\n\ndata\ndata\n\ndata:test\n\n", ["", "\n", "test"]),
    "field-parsing": (
        "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n"
        " data:32\ndata:4\n\n",
        ["\0\n 2\n1\n3\n\n4"],
    ),
    "field-unknown": (
        "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\n\n",
        ["test\n"],
    ),
    "leading-space": ("data:\ttest\rdata: \ndata:test\n\n", ["\ttest\n\ntest"]),
    "newlines": ("data:test\r\ndata\ndata:test\r\n\r\n", ["test\n\ntest"]),
    "null-character": ("data:\0\n\n\n\n", ["\0"]),
    "utf-8": ("data:ok…\n\n", ["ok…"]),
}


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100_000])
@pytest.mark.parametrize("name", VECTORS)
def test_parser_reads_data_as_the_standard_says(name: str, step: int) -> None:
    text, expected = VECTORS[name]
    body = text.encode()
    parser = EventStreamParser()
    pieces = [body[i : i + step] for i in range(0, len(body), step)]
    assert [event.data for piece in pieces for event in parser.feed(piece)] == expected


def test_event_field_names_one_event_only() -> None:
    events = EventStreamParser().feed(b"event:test\ndata:x\n\ndata:x\n\nevent:\ndata:x\n\n")
    assert [event.type for event in events] == ["test", "message", "message"]


def test_id_stays_until_it_is_set_again_and_null_is_ignored() -> None:
    events = EventStreamParser().feed(b"id:1\ndata:x\n\ndata:x\n\nid:2\0\ndata:x\n\nid\ndata:x\n\n")
    assert [event.last_event_id for event in events] == ["1", "1", "1", ""]


def test_id_without_data_moves_the_cursor_and_dispatches_nothing() -> None:
    parser = EventStreamParser()
    assert parser.feed(b"id:7\n\n") == []
    assert parser.last_event_id == "7"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"retry:3000", 3_000),
        (b"retry:03000", 3_000),
        (b"retry:3000x", None),
        (b"retry:", None),
        (b"retry", None),
    ],
)
def test_retry_is_digits_only(line: bytes, expected: int | None) -> None:
    parser = EventStreamParser()
    parser.feed(line + b"\n\n")
    assert parser.retry_ms == expected
