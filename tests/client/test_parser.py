"""The client's parser, against the format vectors, the reference parser, and itself at other cuts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_sse_reference import VECTORS
from tests.sse import EventStreamParser as ReferenceParser
from tocsin.client import Event, EventStreamParser, EventTooLarge

PIECES = st.sampled_from(
    [
        *(b"\n", b"\r", b"\r\n", b"\n\n", b":", b" ", b"data", b"data:", b"id:", b"id", b"event:"),
        *(b"retry:", b"retry:7", b"1", b"x", b"\0", b"\xef\xbb\xbf", b"\xc3\xa9", b"\xc3", b"\xff"),
        *(b"\xe2\x80\xa8", b"\x85", b"\x0b", b"\x1c", b"data: a\n\n", b"id: 1\n"),
    ]
)
BODIES = st.lists(PIECES | st.binary(max_size=3), max_size=40).map(b"".join)


def read(*pieces: bytes, **arguments: int) -> tuple[list[tuple[str, str, str]], str, int | None]:
    """What the parser makes of a body in these pieces."""
    parser = EventStreamParser(**arguments)  # type: ignore[arg-type]
    events = [(e.type, e.data, e.id) for piece in pieces for e in parser.feed(piece)]
    return events, parser.last_event_id, parser.retry_ms


def read_by_reference(body: bytes) -> tuple[list[tuple[str, str, str]], str, int | None]:
    parser = ReferenceParser()
    events = [(e.type, e.data, e.last_event_id) for e in parser.feed(body)]
    if body.endswith(b"\r"):  # the reference waits for what follows
        events += [(e.type, e.data, e.last_event_id) for e in parser.feed(b"\n")]
    return events, parser.last_event_id, parser.retry_ms


@pytest.mark.parametrize("name", VECTORS)
def test_parser_reads_the_vectors_at_any_cut(name: str) -> None:
    text, expected = VECTORS[name]
    body = text.encode()
    for cut in range(len(body) if len(body) < 200 else 100):
        events, _, _ = read(body[:cut], body[cut:])
        assert [data for _, data, _ in events] == expected, cut
    events, _, _ = read(*(body[i : i + 1] for i in range(len(body))))
    assert [data for _, data, _ in events] == expected


@given(BODIES)
def test_parser_reads_anything_as_the_reference_does(body: bytes) -> None:
    assert read(body) == read_by_reference(body)


@given(BODIES, st.lists(st.integers(0, 200), max_size=5))
def test_cuts_change_nothing(body: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[start:end] for start, end in pairwise(places)]
    assert read(*pieces) == read(body)


def test_event_after_a_lone_cr_is_there_at_once() -> None:
    parser = EventStreamParser()
    assert list(parser.feed(b"data: a\r\r")) == [Event("message", "a", "")]
    assert list(parser.feed(b"\ndata: b\r\n\r\n")) == [Event("message", "b", "")]


def test_half_an_event_moves_no_cursor() -> None:
    parser = EventStreamParser("7")
    assert list(parser.feed(b"data: a\nid: 8\n")) == []
    assert parser.last_event_id == "7"


def test_event_without_an_id_bears_the_last_one() -> None:
    assert list(EventStreamParser("7").feed(b"event: gap\ndata: {}\n\n")) == [
        Event("gap", "{}", "7")
    ]


@pytest.mark.parametrize("body", [b"data: " + b"x" * 95, b"x" * 101, b":" + b"x" * 101])
@pytest.mark.parametrize("step", [1, 40, 1000])
def test_line_is_bounded_with_and_without_its_end(body: bytes, step: int) -> None:
    for whole in (body, body + b"\n\n"):
        with pytest.raises(EventTooLarge, match="larger than 100 bytes"):
            read(*(whole[i : i + step] for i in range(0, len(whole), step)), max_event_bytes=100)


def test_event_of_many_lines_is_bounded() -> None:
    fits = b"data: 12345678\n" * 11  # 8 and a line feed each
    assert len(read(fits + b"\n", max_event_bytes=100)[0]) == 1
    with pytest.raises(EventTooLarge):
        read(fits + b"data: 12\n\n", max_event_bytes=100)


def test_events_before_one_that_is_too_large_are_given() -> None:
    events = EventStreamParser(max_event_bytes=20).feed(b"data: a\n\ndata: " + b"x" * 30)
    assert next(events).data == "a"
    with pytest.raises(EventTooLarge):
        next(events)


def test_reconnection_time_of_many_digits_is_no_error() -> None:
    assert read(b"retry: " + b"9" * 10_000 + b"\n")[2] == 10**9
