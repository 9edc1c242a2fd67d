from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.event import Draft, Event, EventId
from tocsin.core.record import (
    RecordError,
    decode_attributes,
    decode_contents,
    decode_record,
    decode_records,
    encode_contents,
    encode_record,
)

EVENT = Event(
    EventId(1_732_345_678_901, 42),
    Draft("tick", b"\xc3\xa9\n\0", "a", "other", ("b",), "me", "00-1", "k-1", True),
    1_732_345_679.25,
)
RECORD_1 = bytes.fromhex(
    "9c01cf0000019357d94c352acb41d9d05fd3d00000a47469636b92a161a162c4"
    "04c3a90a00a56f74686572a26d65a430302d31a36b2d31c3"
)

MIXED = (
    "939298a47469636ba161a56f7468657291a162a26d65a430302d31a36b2d31c3"
    "98a174a764656661756c74a361706990a0a0a0c29300010093c404c3a90a00c40178c404c3a90a00"
)
ALIKE = "939198a174a764656661756c74a361706990a0a0a0c20092c40178c40179"
"""Contents of three events with attributes of two kinds, and of two that share theirs."""


def test_record_holds_all_that_is_known_of_an_event() -> None:
    assert decode_record(encode_record(EVENT)) == EVENT


def test_record_of_version_1_stays_what_it_is() -> None:
    """Files hold these bytes: this test may only ever be joined by one for a later version."""
    assert decode_record(RECORD_1) == EVENT
    assert encode_record(EVENT) == RECORD_1


def test_contents_stay_what_they_are() -> None:
    """Files of version 5 and later hold these bytes."""
    mine, plain = EVENT.draft, Draft("t", b"x")
    assert encode_contents([mine, plain, mine]).encoded.hex() == MIXED
    assert encode_contents([plain, Draft("t", b"y")]).encoded.hex() == ALIKE
    both = decode_contents(bytes.fromhex(MIXED + ALIKE), [3, 2])
    assert [content.draft for content in both[0]] == [mine, plain, mine]
    assert [content.draft for content in both[1]] == [plain, Draft("t", b"y")]
    assert decode_contents(None, []) == []


def test_each_event_counts_its_own_attributes() -> None:
    drafts = [EVENT.draft, Draft("t", b"x"), EVENT.draft, Draft("t", b"y" * 300)]
    (contents,) = decode_contents(encode_contents(drafts).encoded, [4])
    sizes = [encode_contents([draft]).bytes for draft in drafts]
    assert [content.bytes for content in contents] == sizes
    assert encode_contents(drafts).bytes == sum(sizes)
    assert encode_contents(drafts[:1] * 20).bytes == 20 * sizes[0]


def test_names_of_contents_are_told_once() -> None:
    drafts = [Draft("t", b"", "a"), Draft("u", b"", "b", more_topics=("a", "c")), Draft("t", b"")]
    contents = encode_contents(drafts)
    assert ([*contents.types], [*contents.topics]) == (["t", "u"], ["a", "b", "c", "default"])
    alike = encode_contents(drafts[1:2] * 3)
    assert ([*alike.types], [*alike.topics]) == (["u"], ["b", "a", "c"])


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 64, 65_535, 65_536])
@pytest.mark.parametrize("topics", [1, 7])
def test_any_number_of_contents_comes_back(count: int, topics: int) -> None:
    drafts = [Draft("t", b"%d" % (n % 9), f"t/{n % topics}") for n in range(count)]
    contents = encode_contents(drafts)
    (found,) = decode_contents(contents.encoded, [count])
    assert [each.draft for each in found] == drafts
    assert contents.bytes == sum([each.bytes for each in found])


@pytest.mark.parametrize(
    "contents",
    [
        "",
        "93",
        ALIKE.replace("00", "01", 1),  # the place of attributes that are not there
        MIXED.replace("930001", "930005"),
        MIXED.replace("93000100", "920001"),
        ALIKE + "00",
    ],
)
def test_what_makes_no_contents_is_refused(contents: str) -> None:
    count = 3 if contents[:6] == MIXED[:6] else 2
    with pytest.raises(RecordError, match="not the contents"):
        decode_contents(bytes.fromhex(contents), [count])


def test_damage_within_contents_is_refused() -> None:
    """Text that is no UTF-8, in what is read; and nesting without end, in what is passed over."""
    drafts = [Draft("tick", b"x" * 20_000, "t/1")] * 2
    encoded = encode_contents(drafts).encoded
    no_text = encoded.replace(b"tick", b"ti\xffk")
    nested = encoded[: encoded.index(b"\xc5")] + b"\x91" * 20_000
    for damaged in (no_text, nested):
        with pytest.raises(RecordError, match="not the contents"):
            decode_contents(damaged, [2])
        with pytest.raises(RecordError, match="not the contents"):
            decode_attributes(damaged, [2])
    record = encode_record(EVENT).replace(b"tick", b"ti\xffk")
    with pytest.raises(RecordError, match="not the record"):
        decode_record(record)
    with pytest.raises(RecordError, match="not the records"):
        decode_records(record, 1, 7)


@pytest.mark.parametrize("count", [1, 3])
def test_contents_of_another_number_of_events_are_refused(count: int) -> None:
    with pytest.raises(RecordError, match="not the contents"):
        decode_contents(encode_contents([EVENT.draft] * 2).encoded, [count])


def test_content_that_was_never_a_draft_is_refused() -> None:
    encoded = encode_contents([EVENT.draft]).encoded.replace(b"tick", b"ti k")
    ((content,),) = decode_contents(encoded, [1])
    with pytest.raises(RecordError, match="not the content of an event: type must"):
        _ = content.draft


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
