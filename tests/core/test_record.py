from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.event import Draft, Event, EventId
from tocsin.core.record import RecordError, decode_record, encode_record

EVENT = Event(
    EventId(1_732_345_678_901, 42),
    Draft("tick", b"\xc3\xa9\n\0", "a", "other", ("b",), "me", "00-1", "k-1", True),
    1_732_345_679.25,
)
RECORD_1 = bytes.fromhex(
    "9c01cf0000019357d94c352acb41d9d05fd3d00000a47469636b92a161a162c4"
    "04c3a90a00a56f74686572a26d65a430302d31a36b2d31c3"
)


def test_record_holds_all_that_is_known_of_an_event() -> None:
    assert decode_record(encode_record(EVENT)) == EVENT


def test_record_of_version_1_stays_what_it_is() -> None:
    """Files hold these bytes: this test may only ever be joined by one for a later version."""
    assert decode_record(RECORD_1) == EVENT
    assert encode_record(EVENT) == RECORD_1


@given(st.binary(), st.text(max_size=256), st.floats(0, 1e10), st.integers(0, 10**15))
def test_any_event_comes_back_as_it_was(data: bytes, label: str, time: float, seq: int) -> None:
    draft = Draft("t", data, "x", "api", ("y", "z"), label, label, label)
    event = Event(EventId(1, seq), draft, time)
    assert decode_record(encode_record(event)) == event


def test_event_whose_type_was_reserved_later_is_read_under_another() -> None:
    fields = msgspec.msgpack.decode(RECORD_1)
    fields[fields.index("tick")] = "end"
    assert decode_record(msgspec.msgpack.encode(fields)).draft.type == "end-"


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (msgspec.msgpack.encode([2, "whatever", {}]), "version 2; this Tocsin reads version 1"),
        (msgspec.msgpack.encode([1, 2, 3]), "not the record of an event"),
        (msgspec.msgpack.encode({"version": 1}), "not the record of an event"),
        (encode_record(EVENT)[:-5], "not the record of an event"),
        (encode_record(EVENT).replace(b"tick", b"ti k"), "not the record of an event: type must"),
        (b"", "not the record of an event"),
        (b"\xff\x00", "not the record of an event"),
    ],
)
def test_what_is_no_known_record_is_refused_in_words(record: bytes, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        decode_record(record)
