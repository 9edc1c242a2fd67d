"""When a subscription comes back."""

from __future__ import annotations

from tocsin.client.stream_state import State, StreamState, TryAgain

OK = {"content-type": "text/event-stream"}


def opened(state: StreamState, body: bytes = b"") -> None:
    state.begin(200, OK)
    list(state.take(body))


def test_stream_that_was_open_comes_back_when_the_hub_said() -> None:
    state = StreamState()
    opened(state, b"retry: 2500\ndata: x\n\n")
    assert state.wait_after("cut") == 2.5
    opened(state, b"data: x\n\n")
    assert state.wait_after("cut") == 2.5


def test_attempts_that_fail_wait_longer_and_longer_with_jitter_and_a_bound() -> None:
    waits = []
    for _ in range(50):
        state = StreamState()
        opened(state, b"retry: 1000\ndata: x\n\n")
        waits.append([state.wait_after("away") for _ in range(12)])
    for number, each in enumerate(zip(*waits, strict=True)):
        longest = min(2**number, 60)
        assert all(longest / 2 <= wait <= longest for wait in each)
        assert number == 0 or len(set(each)) > 25


def test_wait_is_jittered_where_the_hub_said_none() -> None:
    assert len({StreamState().wait_after("away") for _ in range(50)}) > 25


def test_event_ends_the_backoff() -> None:
    state = StreamState()
    opened(state, b"retry: 1000\ndata: x\n\n")
    for _ in range(5):
        state.wait_after("away")
    opened(state, b"event: connection\ndata: {}\n\n")
    assert state.wait_after("cut") == 1.0


def test_busy_comes_back_when_it_was_told_to_however_often() -> None:
    told: list[State] = []
    state = StreamState(on_state=told.append)
    for _ in range(5):
        opened(state, b'retry: 4000\nevent: busy\ndata: {"reason": "full"}\n\n')
        assert state.wait_after("the stream ended") == 4.0
    assert told[-1] == State("waiting", "the hub is busy (full)", 4.0)
    assert state.wait_after("refused") > 8  # it isn't there at all: that is no longer what it said
    assert told[-1].reason == "refused"


def test_asked_waits_are_bounded() -> None:
    state = StreamState()
    opened(state, b"retry: 999999999999\ndata: x\n\n")
    assert state.wait_after("cut") == 300
    opened(state, b"retry: 0\ndata: x\n\n")
    assert state.wait_after("cut") == 0.1
    assert state.wait_after(TryAgain("503", 120.0)) == 120


def test_silence_goes_by_the_heartbeat_that_was_told() -> None:
    state = StreamState()
    assert state.silence_s == 75
    opened(state, b'event: connection\ndata: {"heartbeat": 10}\n\n')
    assert state.silence_s == 25
    for odd in (b"null", b'"x"', b"0", b"-1", b"1e999", b"[]"):
        state = StreamState()
        opened(state, b'event: connection\ndata: {"heartbeat": %b}\n\n' % odd)
        assert state.silence_s == 75
    assert StreamState(silence_s=float("inf")).silence_s is None


def test_data_of_the_hubs_own_events_may_be_anything() -> None:
    for body in (b"event: connection\ndata: x\n\n", b"event: busy\ndata: []\n\n"):
        opened(StreamState(), body)
