"""Idempotency keys, and what of an event is compared."""

from __future__ import annotations

import pytest

from tocsin.core.event import Draft
from tocsin.core.idempotency import check_key, digest_of
from tocsin.core.publish_body import read_event
from tocsin.errors import InvalidInput


@pytest.mark.parametrize("key", ["a", "5f2c-11", "x" * 256, '"quoted"'])
def test_key_is_printable_ascii(key: str) -> None:
    assert check_key(key, "key") == key


@pytest.mark.parametrize("key", ["", " ", "a b", "a\r\nb", "é", "x" * 257, "\x7f"])
def test_other_keys_are_refused_with_the_rule(key: str) -> None:
    with pytest.raises(InvalidInput, match="key must be 1 to 256 printable ASCII") as refused:
        check_key(key, "key")
    assert (refused.value.status, refused.value.code) == (400, "invalid_key")


def draft(body: str, timestamp: str = "2026-01-01T00:00:00.000Z") -> Draft:
    return read_event(body.encode(), timestamp, max_bytes=10_000)


def test_time_of_the_request_is_not_compared() -> None:
    body = r'{"type":"a","message":"\"timestamp\":\"x\"","data":{"timestamp":"y"},"topic":"t"}'
    again = draft(body, "2027-12-31T23:59:59.999Z")
    assert draft(body).data != again.data
    assert digest_of([draft(body)]) == digest_of([again])


def test_key_itself_is_not_compared() -> None:
    assert draft('{"type":"a","message":"m","key":"k"}').key == "k"
    bodies = ('{"type":"a","message":"m"}', '{"type":"a","message":"m","key":"k"}')
    digests = {digest_of([draft(body)]) for body in bodies}
    assert len(digests) == 1


def test_everything_else_is_compared() -> None:
    bodies = [
        '{"type":"a","message":"m"}',
        '{"type":"b","message":"m"}',
        '{"type":"a","message":"n"}',
        '{"type":"a","message":"m","topic":"t"}',
        '{"type":"a","message":"m","data":{"n":1}}',
        '{"type":"a","message":"m","data":{"timestamp":"z"}}',
    ]
    digests = {digest_of([draft(body)]) for body in bodies}
    first = draft(bodies[0])
    digests |= {digest_of([first, first]), digest_of([])}
    assert len(digests) == len(bodies) + 2
