from __future__ import annotations

import pytest

from tocsin.core import wire


def test_block_has_event_data_id_in_this_order_and_line_feeds_only() -> None:
    block = wire.encode_event("notice", b'{"a":1}', "17-4")
    assert block == b'event: notice\ndata: {"a":1}\nid: 17-4\n\n'


def test_block_without_id_leaves_the_cursor_alone() -> None:
    assert wire.encode_event("gap", b"{}") == b"event: gap\ndata: {}\n\n"


@pytest.mark.parametrize("line_break", [b"\n", b"\r", b"\r\n"])
def test_every_line_break_in_data_makes_a_data_line(line_break: bytes) -> None:
    block = wire.encode_event("a", b"one" + line_break + b"two", "1-1")
    assert block == b"event: a\ndata: one\ndata: two\nid: 1-1\n\n"


def test_empty_data_still_has_its_line() -> None:
    assert wire.encode_event("a", b"", "1-1") == b"event: a\ndata: \nid: 1-1\n\n"


def test_heartbeat_is_one_comment_line_without_a_blank_one() -> None:
    assert wire.HEARTBEAT == b":\n"


def test_retry_is_a_line_without_a_blank_one() -> None:
    assert wire.encode_retry(3000) == b"retry: 3000\n"


def test_chunk_states_its_length_in_hexadecimal() -> None:
    assert wire.chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


@pytest.mark.parametrize(
    ("base", "spread", "least", "most"),
    [
        (3_000, 1.5, 3_000, 4_500),
        (50_000, 3.0, 50_000, 60_000),
        (1, 3.0, 1_000, 1_000),
    ],
)
def test_reconnection_times_are_jittered_within_bounds(
    base: int, spread: float, least: int, most: int
) -> None:
    drawn = {wire.jittered_retry_ms(base, spread) for _ in range(200)}
    assert least <= min(drawn) <= max(drawn) <= most
    assert len(drawn) > 1 or least == most
