from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sse import EventStreamParser
from tocsin.core.event import Draft
from tocsin.core.publish_body import SLICE_BYTES, Slices, read_batch, read_event
from tocsin.core.wire import LONGEST_ID, encode_event
from tocsin.errors import InvalidInput

NOW = "2026-11-25T08:00:00.000Z"
MAX_BYTES = 65_536
BATCH_BYTES = 4 * 2**20

read = partial(read_event, timestamp=NOW, max_bytes=MAX_BYTES)


def work(slices: Slices, turns: list[float]) -> Sequence[Draft]:
    """The drafts; the CPU seconds of each turn that it took to read them go to `turns`."""
    while True:
        began = time.process_time()
        try:
            next(slices)
        except StopIteration as done:
            drafts: Sequence[Draft] = done.value
            return drafts
        finally:
            turns.append(time.process_time() - began)


def batch(
    body: bytes, *, ndjson: bool = False, max_bytes: int = MAX_BYTES, max_events: int = 1_000
) -> Sequence[Draft]:
    slices = read_batch(body, NOW, ndjson=ndjson, max_bytes=max_bytes, max_events=max_events)
    return work(slices, [])


def array(events: Sequence[bytes]) -> bytes:
    return b"[" + b", ".join(events) + b"]"


def event(**fields: object) -> bytes:
    return json.dumps({"type": "t", "message": "m"} | fields).encode()


def refusal(body: bytes, *, ndjson: bool = False) -> tuple[int, str, int | None]:
    with pytest.raises(InvalidInput) as raised:
        batch(body, ndjson=ndjson)
    return raised.value.status, raised.value.code, raised.value.index


# Names alike, by made-up events

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6) | st.sampled_from(
    [":", '":', " :", "},{"]
)  # fmt: skip
VALUE = st.recursive(
    st.none() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=3,
)
DATA = st.lists(st.tuples(st.sampled_from(["a", "b", ":"]), VALUE), max_size=3)
NAMES = st.lists(st.sampled_from(["type", "message", "topic", "topics", "data"]), max_size=4)
COLON = st.sampled_from([":", ": ", " :", "\n:\t"])


@st.composite
def events(draw: st.DrawFn) -> tuple[str, bool]:
    """An event's text, and whether some object in it has two names alike."""

    def text_of(pairs: Sequence[tuple[str, str]]) -> str:
        return (
            "{" + ",".join(f"{json.dumps(name)}{draw(COLON)}{value}" for name, value in pairs) + "}"
        )

    data = draw(DATA)
    values = {
        "type": '"t"',
        "message": json.dumps("m" + draw(TEXT)),
        "topic": json.dumps(draw(st.sampled_from(["default", "x", "a:b"]))),
        "topics": json.dumps(draw(st.sampled_from([[], ["x"], ["a:b", "y"]]))),
        "data": text_of([(name, json.dumps(value)) for name, value in data]),
    }
    names = ["type", "message", *draw(NAMES)]
    twins = len(set(names)) < len(names)
    twins |= "data" in names and len({name for name, _ in data}) < len(data)
    return text_of([(name, values[name]) for name in names]), twins


@given(events())
def test_event_is_refused_exactly_where_two_names_are_alike(made: tuple[str, bool]) -> None:
    text, twins = made
    if twins:
        with pytest.raises(InvalidInput, match="stands twice"):
            read(text.encode())
    else:
        assert read(text.encode()).type == "t"


@given(st.lists(events(), min_size=1, max_size=4), st.booleans())
def test_batch_is_the_same_as_its_events_one_by_one(
    made: list[tuple[str, bool]], ndjson: bool
) -> None:
    bodies = [text.replace("\n", " ").encode() for text, _ in made]
    body = b"\n".join(bodies) if ndjson else array(bodies)
    if any(twins for _, twins in made):
        with pytest.raises(InvalidInput) as refused:
            batch(body, ndjson=ndjson)
        assert refused.value.index == [twins for _, twins in made].index(True)
    else:
        assert list(batch(body, ndjson=ndjson)) == [read(body) for body in bodies]


# Several topics


@pytest.mark.parametrize(
    ("fields", "topics"),
    [
        ({}, ["default"]),
        ({"topics": []}, ["default"]),
        ({"topics": ["b", "a"]}, ["b", "a"]),
        ({"topic": "a", "topics": ["c", "b"]}, ["a", "c", "b"]),
        ({"topic": "b", "topics": ["a", "b", "c"]}, ["b", "a", "c"]),
        ({"topic": "a", "topics": ["a"]}, ["a"]),
        ({"topics": [f"t/{n}" for n in range(20)]}, [f"t/{n}" for n in range(20)]),
    ],
)
def test_event_has_the_topics_that_its_publisher_named_each_once(
    fields: dict[str, object], topics: list[str]
) -> None:
    draft = read(event(**fields))
    assert list(draft.topics) == topics
    data = json.loads(draft.data)
    assert data["topic"] == topics[0]
    assert data.get("topics", [data["topic"]]) == topics
    assert ("topics" in data) == (len(topics) > 1)
    assert [each.topics for each in batch(array([event(**fields)] * 2))] == [draft.topics] * 2


@pytest.mark.parametrize(
    ("fields", "status", "code", "field"),
    [
        ({"topics": ["a", "a"]}, 422, "repeated_topic", "topics"),
        ({"topic": "a", "topics": ["b", "b"]}, 422, "repeated_topic", "topics"),
        ({"topic": "a", "topics": ["a", "a"]}, 422, "repeated_topic", "topics"),
        ({"topics": ["a", "b*"]}, 422, "invalid_topic", "topics"),
        ({"topics": ["a", "tocsin/x"]}, 422, "reserved_topic", "topics"),
        ({"topics": "a"}, 422, "invalid_field", "topics"),
        ({"topics": [f"t/{n}" for n in range(21)]}, 422, "too_many_topics", "topics"),
        (
            {"topic": "a", "topics": [f"t/{n}" for n in range(20)]},
            422,
            "too_many_topics",
            "topics",
        ),
    ],
)
def test_topics_that_can_not_be_are_refused(
    fields: dict[str, object], status: int, code: str, field: str
) -> None:
    for body in (event(**fields), array([event(), event(**fields)])):
        with pytest.raises(InvalidInput) as raised:
            batch(body) if body.startswith(b"[") else read(body)
        refused = raised.value
        assert (refused.status, refused.code, refused.field) == (status, code, field)
        assert refused.index == (1 if body.startswith(b"[") else None)


# Any bytes

PIECES = st.lists(
    st.sampled_from([b'{"type":"t"', b'"message":"m"', b'"data":{', b'"type":"t","message":"m"}'])
    | st.sampled_from([b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\ud800", b"\n", b"\r", b" "])
    | st.sampled_from(["\u2028", "\u2029", "\x85", "\u00e9"]).map(str.encode)
    | st.binary(max_size=3),
    max_size=12,
).map(b"".join)  # fmt: skip


def check_frames_to_one_event(draft: Draft) -> None:
    block = encode_event(draft.type, draft.data, LONGEST_ID)
    assert len(block) <= MAX_BYTES
    assert block.decode().count("\n") == len(block.decode().splitlines()) == 4
    (received,) = EventStreamParser().feed(block)
    assert received.type == draft.type
    assert received.data == draft.data.decode()
    names = {"message", "data", "timestamp", "source", "topic"}
    assert set(received.json) == (names | {"topics"} if draft.more_topics else names)


@given(PIECES | st.binary(max_size=40))
def test_any_bytes_are_refused_or_become_exactly_one_event(body: bytes) -> None:
    try:
        draft = read(body)
    except InvalidInput:
        return
    check_frames_to_one_event(draft)


@given(PIECES | st.lists(PIECES).map(array), st.booleans())
def test_any_batch_is_refused_or_becomes_events(body: bytes, ndjson: bool) -> None:
    try:
        drafts = batch(body, ndjson=ndjson)
    except InvalidInput:
        return
    assert drafts
    for draft in drafts:
        check_frames_to_one_event(draft)


@given(TEXT, st.dictionaries(TEXT, VALUE, max_size=3))
def test_valid_event_arrives_as_it_was_sent(message: str, data: dict[str, object]) -> None:
    message = "m" + message
    draft = read(event(message=message, data=data))
    check_frames_to_one_event(draft)
    payload = json.loads(draft.data)
    assert (payload["message"], payload["data"]) == (message, data)


@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_separators_at_which_line_readers_cut_are_escaped(ensure_ascii: bool) -> None:
    separators = "a\x85b\u2028c\u2029d\x0b\x0c\x1c\x1d\x1e"
    sent = {"type": "t", "message": separators, "data": {separators: separators}}
    draft = read(json.dumps(sent, ensure_ascii=ensure_ascii).encode())
    assert len(draft.data.decode().splitlines()) == 1
    payload = json.loads(draft.data)
    assert (payload["message"], payload["data"]) == (separators, {separators: separators})


# Limits


def test_body_at_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    body = event() + b" " * 500
    assert read_event(body, NOW, max_bytes=len(body))
    with pytest.raises(InvalidInput, match=f"max_event_bytes, {len(body) - 1} bytes") as raised:
        read_event(body, NOW, max_bytes=len(body) - 1)
    assert (raised.value.status, raised.value.code) == (413, "too_large")


@pytest.mark.parametrize("message", ["x" * 1_000, "\u2028" * 1_000, "\u20ac" * 1_000])
def test_event_is_limited_as_clients_get_it_with_the_longest_id(message: str) -> None:
    draft = read(event(message=message))
    block = len(encode_event(draft.type, draft.data, LONGEST_ID))
    body = json.dumps({"type": "t", "message": message}, ensure_ascii=False).encode()
    assert read_event(body, NOW, max_bytes=block) == draft
    with pytest.raises(InvalidInput, match=f"it has {block} as clients get it") as raised:
        read_event(body, NOW, max_bytes=block - 1)
    assert (raised.value.status, raised.value.code) == (413, "too_large")


@pytest.mark.parametrize("ndjson", [False, True])
def test_large_event_of_a_batch_is_refused_by_its_place(ndjson: bool) -> None:
    small, large = event(), event(message="m" * 400)
    framed = len(encode_event("t", read(large).data, LONGEST_ID))
    body = b"\n".join([small, large]) if ndjson else array([small, large])
    assert len(batch(body, ndjson=ndjson, max_bytes=framed)) == 2
    with pytest.raises(InvalidInput, match="max_event_bytes") as refused:
        batch(body, ndjson=ndjson, max_bytes=framed - 1)
    assert (refused.value.code, refused.value.index) == ("too_large", 1)


def test_event_may_not_nest_too_deep() -> None:
    def nested(levels: int) -> bytes:
        return b'{"type":"t","message":"m","data":{"a":' + b"[" * levels + b"]" * levels + b"}}"

    assert read(nested(30))
    for body in (nested(31), nested(900), nested(20_000)):
        with pytest.raises(InvalidInput, match="nests more than 32 levels"):
            read(body)
        assert refusal(array([event(), body])) == (400, "too_deep", 1)
        assert refusal(b'{"data":{"a":' + b"[" * 900 + b"]" * 900 + b"}}\n", ndjson=True)[0] == 400


def test_byte_at_fault_is_told_by_its_place_in_the_body() -> None:
    start = b'{"type":"a","message":"'
    with pytest.raises(InvalidInput, match=f"not UTF-8 at byte {len(start)}$"):
        read(start + b'\xe9"}')
    first = event(message="\u00e9")
    with pytest.raises(InvalidInput, match=f"not UTF-8 at byte {len(first) + 2 + len(start)}$"):
        batch(b"[" + first + b"," + start + b'\xe9"}]')
    with pytest.raises(InvalidInput, match=f"not UTF-8 at byte {len(first) + 1 + len(start)}$"):
        batch(first + b"\n" + start + b'\xe9"}', ndjson=True)
    with pytest.raises(InvalidInput, match=rf"invalid character \(byte {len(first) + 9}\)$"):
        batch(first + b'\n{"type":?}', ndjson=True)


# Batches

ROWS: dict[str, tuple[bytes, tuple[int, str, int | None]]] = {
    "no end": (b"[" + event(), (400, "invalid_json", None)),
    "comma at the end": (b"[" + event() + b",]", (400, "invalid_json", None)),
    "no comma": (b"[" + event() + b" " + event() + b"]", (400, "invalid_json", None)),
    "two commas": (b"[" + event() + b",," + event() + b"]", (400, "invalid_json", 1)),
    "more behind it": (b"[" + event() + b"] 5]", (400, "invalid_json", None)),
    "two arrays": (b"[" + event() + b"],[" + event() + b"]", (400, "invalid_json", None)),
    "number": (array([event(), b"5"]), (422, "invalid_field", 1)),
    "list": (array([event(), array([event()])]), (422, "invalid_field", 1)),
    "string": (array([event(), b'"},{"']), (422, "invalid_field", 1)),
    "word": (array([event(), b"nothing"]), (400, "invalid_json", 1)),
    "wrong bracket": (array([event(), b'{"data":{"a":[}}']), (400, "invalid_json", 1)),
    "twins": (array([event(), b'{"type":"t","message":"m","message":"m"}']), (400, "duplicate_key", 1)),
    "twin behind a blank": (array([event(), b'{"type":"t","message":"m","message" :"m"}']), (400, "duplicate_key", 1)),
    "surrogate": (array([event(), b'{"type":"t","message":"\\udc00"}']), (422, "invalid_unicode", 1)),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("before", [0, 3 * SLICE_BYTES], ids=["first slice", "later slice"])
def test_bad_array_is_refused_by_the_event_at_fault(row: str, before: int) -> None:
    body, (status, code, index) = ROWS[row]
    good = before // len(event(message="m" * 200))
    body = b"[" + (event(message="m" * 200) + b",") * good + body.lstrip(b"[")
    assert refusal(body) == (status, code, None if index is None else good + index)


def test_empty_array_is_refused() -> None:
    assert refusal(b"[ \n]") == (400, "batch_size", None)


LINES: dict[str, tuple[bytes, tuple[int, str, int | None]]] = {
    "no events": (b"\n \r\n", (400, "batch_size", None)),
    "two in a line": (event() + b"\n" + event() + event(), (400, "invalid_json", 1)),
    "comma at the end": (event() + b",\n" + event(), (400, "invalid_json", 0)),
    "comma between": (event() + b"\n" + event() + b"," + event(), (400, "invalid_json", 1)),
    "over the end of a line": (event() + b'\n{"type":"t"\n"message":"m"}', (400, "invalid_json", 1)),
    # As many lines as events, all told.
    "over the end, and two in a line": (
        b'{"type":"t"\n"message":"m"}\n' + event() + b"," + event() + b"\n", (400, "invalid_json", 0),
    ),
    "two by a carriage return": (event() + b"\r" + event() + b"\n", (400, "invalid_json", 0)),
}  # fmt: skip


@pytest.mark.parametrize("row", LINES)
def test_bad_lines_are_refused_by_the_event_at_fault(row: str) -> None:
    body, refused = LINES[row]
    assert refusal(body, ndjson=True) == refused


def test_blank_lines_and_line_ends_of_windows_are_nothing() -> None:
    body = b"\r\n\n" + event() + b" \r\n\n  \n " + event() + b"\r\n" + b" \n" * SLICE_BYTES
    assert len(batch(body, ndjson=True, max_events=2)) == 2


@pytest.mark.parametrize("separator", [b",", b",\n  ", b"\n,\n"])
@pytest.mark.parametrize("data", [{}, {"a": [{"type": "t"}, {"type": "t"}]}, {"a": '},{\u20ac\\"'}])
def test_batch_of_many_slices_is_read_in_order(data: dict[str, object], separator: bytes) -> None:
    bodies = [event(message=f"{n}" + "m" * (n % 97), data=data) for n in range(2_000)]
    body = b"[ " + separator.join(bodies) + b" ]"
    slices = read_batch(body, NOW, ndjson=False, max_bytes=MAX_BYTES, max_events=2_000)
    turns: list[float] = []
    drafts = work(slices, turns)
    assert list(drafts) == [read(body) for body in bodies]
    assert len(turns) > len(body) // (2 * SLICE_BYTES)


def test_lines_of_many_slices_are_read_in_order() -> None:
    bodies = [event(message=f"{n}" + "m" * (n % 97)) for n in range(2_000)]
    drafts = batch(b"\n".join(bodies), ndjson=True, max_events=2_000)
    assert list(drafts) == [read(body) for body in bodies]


def test_small_batch_is_read_without_a_pause() -> None:
    for body, ndjson in ((array([event()] * 10), False), ((event() + b"\n") * 10, True)):
        slices = read_batch(body, NOW, ndjson=ndjson, max_bytes=MAX_BYTES, max_events=10)
        turns: list[float] = []
        work(slices, turns)
        assert len(turns) == 1


@pytest.mark.parametrize("ndjson", [False, True])
def test_batch_of_too_many_events_is_refused(ndjson: bool) -> None:
    bodies = [event()] * 1_001
    body = b"\n".join(bodies) if ndjson else array(bodies)
    assert refusal(body, ndjson=ndjson) == (413, "batch_size", None)
    body = b"\n".join(bodies[:1_000]) if ndjson else array(bodies[:1_000])
    assert len(batch(body, ndjson=ndjson)) == 1_000


# Work is bounded: what is hostile costs little, and what is large is read in turns. The bounds here are
# a hundred times what is measured; what is not refused early takes longer still.

HOSTILE: dict[str, tuple[bytes, bool]] = {
    "numbers": (b"[" + b"1," * (BATCH_BYTES // 2) + b"1]", False),
    "lists": (b"[" + b"[]," * (BATCH_BYTES // 3) + b"[]]", False),
    "depth": (b"[" * BATCH_BYTES + b"]", False),
    "blanks": (b"[" + b" " * BATCH_BYTES + b"]", False),
    "one string": (b'["' + b"x" * BATCH_BYTES + b'"]', False),
    "small events": (b"[" + (event() + b",") * 150_000 + event() + b"]", False),
    "line feeds": (b"\n" * BATCH_BYTES, True),
    "one line": (b"x" * BATCH_BYTES, True),
    "lines": (b"1\n" * (BATCH_BYTES // 2), True),
    "surrogate at the end": (array([event(message="m" * 4_000)] * 999 + [b'{"type":"\\ud800"}']), False),
    "lines with names alike at the end": ((event(message="m" * 4_000) + b"\n") * 999 + b'{"type":"a","type":"b"}', True),
}  # fmt: skip


@pytest.mark.parametrize("row", HOSTILE)
def test_hostile_batch_is_refused_in_short_turns(row: str) -> None:
    body, ndjson = HOSTILE[row]
    slices = read_batch(body, NOW, ndjson=ndjson, max_bytes=MAX_BYTES, max_events=1_000)
    turns: list[float] = []
    with pytest.raises(InvalidInput):
        work(slices, turns)
    assert max(turns) < 0.5
    assert sum(turns) < 5


@pytest.mark.parametrize("data", [
    b'"a":[' + b"[]," * 20_000 + b"[]]",
    b'"a":[' + b"1," * 30_000 + b"1]",
    b",".join(b'"%d":{}' % n for n in range(5_000)),
])  # fmt: skip
def test_batch_of_large_events_is_read_in_a_turn_each(data: bytes) -> None:
    body = array([b'{"type":"t","message":"m","data":{' + data + b"}}"] * 20)
    slices = read_batch(body, NOW, ndjson=False, max_bytes=MAX_BYTES, max_events=20)
    turns: list[float] = []
    assert len(work(slices, turns)) == 20
    assert len(turns) >= 10


def test_thousands_of_names_are_compared_in_linear_time() -> None:
    names = [f'"{n}":1' for n in range(7_800)]
    body = ('{"type":"t","message":"m","data":{' + ",".join([*names, names[-1]]) + "}}").encode()
    began = time.process_time()
    with pytest.raises(InvalidInput, match="'7799' stands twice"):
        read_event(body, NOW, max_bytes=len(body) * 2)
    assert time.process_time() - began < 0.3
