"""Any text in, exactly one equal event out, however the bytes are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.sse import EventStreamParser
from tocsin.core.wire import HEARTBEAT, encode_event, encode_retry

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT, st.integers(1, 50))
def test_any_data_is_one_event_equal_to_what_was_published(data: str, step: int) -> None:
    body = HEARTBEAT + encode_event("thing", data.encode(), "1-2") + encode_retry(3_000) + HEARTBEAT
    parser = EventStreamParser()
    events = [e for i in range(0, len(body), step) for e in parser.feed(body[i : i + step])]
    # The format can't tell one line break from another; nothing else may change (section 9.2.6).
    expected = data.replace("\r\n", "\n").replace("\r", "\n")
    assert [(e.type, e.data, e.last_event_id) for e in events] == [("thing", expected, "1-2")]


@given(st.lists(TEXT, max_size=5))
def test_events_behind_one_another_stay_apart(texts: list[str]) -> None:
    body = b"".join(encode_event("t", text.encode(), f"1-{n}") for n, text in enumerate(texts))
    events = EventStreamParser().feed(body)
    assert [event.last_event_id for event in events] == [f"1-{n}" for n in range(len(texts))]
