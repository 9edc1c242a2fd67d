"""Both subscriptions against answers that no hub gives, or none yet."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.client.listener import Listen
from tests.client.scripted import STREAM, Scripted, answer
from tests.patience import wait_until
from tocsin.client import (
    BlockingPublisher,
    EventTooLarge,
    NotAnEventStream,
    Publisher,
    Refused,
    Unauthorized,
    Unreachable,
    subscribe,
    subscribe_blocking,
)

QUICK = b"retry: 100\n"
GONE = answer(204)


def test_204_ends_the_iterator(listen: Listen) -> None:
    end = b'event: end\ndata: {"topic": "a", "id": "1-2"}\n\n'
    with Scripted(STREAM + QUICK + b"data: x\nid: 1-2\n\n" + end, GONE) as server:
        listener = listen(server.url)
        listener.wait_for_end()
        assert [event.type for event in listener.events] == ["message", "end"]
        assert server.header(1, "Last-Event-ID") == "1-2"
        assert (listener.error, listener.states[-1].name) == (None, "ended")


def test_welcome_moves_the_cursor_of_a_stream_without_events(listen: Listen) -> None:
    welcome = b'event: connection\ndata: {"heartbeat": 30}\nid: 1-7\n\n'
    with Scripted(STREAM + QUICK + welcome, GONE) as server:
        listener = listen(server.url, last_event_id="1-5")
        listener.wait_for_end()
        assert [server.header(n, "Last-Event-ID") for n in (0, 1)] == ["1-5", "1-7"]
        assert (listener.events, listener.last_event_id) == ([], "1-7")


def test_ids_of_other_servers_come_back_as_they_were(listen: Listen) -> None:
    with Scripted(STREAM + QUICK + "id: é…\ndata: x\n\n".encode(), GONE) as server:
        listen(server.url).wait_for_end()
        assert server.header(1, "Last-Event-ID") == "é…"


@pytest.mark.parametrize(
    ("first", "kind", "said"),
    [
        (answer(400, b'{"error":"no topic","code":"x","field":"topic"}'), Refused, "no topic"),
        (answer(404, b"<html>", "Content-Type: text/html"), Refused, "the answer was 404"),
        (answer(302, b"", "Location: https://b.example/"), Refused, "https://b.example/: use that"),
        (answer(200, b"{}", "Content-Type: application/json"), NotAnEventStream, "application/json"),
        (answer(200, b"", "Content-Type: text/event-stream", "Content-Encoding: gzip"), NotAnEventStream, "gzip"),
        (STREAM + b"data: " + b"x" * 1001, EventTooLarge, "1000 bytes"),
    ],
)  # fmt: skip
def test_what_will_never_be_a_stream_is_an_error(
    listen: Listen, first: bytes, kind: type[Exception], said: str
) -> None:
    with Scripted(first) as server:
        listener = listen(server.url, max_event_bytes=1000)
        listener.wait_for_end()
        assert isinstance(listener.error, kind)
        assert said in str(listener.error)
        assert len(server.requests) == 1


def test_refusal_without_end_is_read_in_bounds(listen: Listen) -> None:
    head = b"HTTP/1.1 400 x\r\nContent-Type: text/plain\r\n\r\n"
    with Scripted(head + b"x" * 1_000_000, holds=True) as server:
        listener = listen(server.url)
        listener.wait_for_end()
        assert isinstance(listener.error, Refused)
        assert len(str(listener.error)) < 400


def test_function_is_asked_for_a_token_at_each_connection_and_once_after_a_refusal(
    listen: Listen,
) -> None:
    no = answer(401, b'{"error": "ended", "code": "unauthorized"}')
    tokens = iter("abcde")
    stream = STREAM + QUICK + b"data: x\n\n"
    with Scripted(no, stream, stream, no) as server:
        listener = listen(server.url, token=lambda: next(tokens))
        listener.wait_for_end()
        shown = [server.header(n, "Authorization") for n in range(len(server.requests))]
        assert shown == [f"Bearer {token}" for token in "abcde"]
        assert isinstance(listener.error, Unauthorized)
        assert len(listener.events) == 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_is_temporary_is_waited_for(listen: Listen, status: int) -> None:
    body = json.dumps({"error": "not now", "code": "x"}).encode()
    with Scripted(answer(status, body, "Retry-After: 5"), GONE) as server:
        listener = listen(server.url)
        wait_until(lambda: [state for state in listener.states if state.name == "waiting"])
        waits = next(state for state in listener.states if state.name == "waiting")
        assert waits.retry_in_s >= 5
        assert waits.reason == f"{status}: not now"
        listener.stop()


def test_stream_of_another_server_without_hub_events_is_read(listen: Listen) -> None:
    with Scripted(STREAM + QUICK + b"data: a\n\ndata: b", STREAM + b"data: c\n\n", GONE) as server:
        listener = listen(server.url)
        listener.wait_for_end()
        assert [event.data for event in listener.events] == ["a", "c"]  # half of b never counts


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:3000", "http://[::1"])
def test_address_that_is_none_is_an_error(listen: Listen, url: str) -> None:
    listener = listen(url)
    listener.wait_for_end()
    assert isinstance(listener.error, Unreachable)


@pytest.mark.parametrize("call", [subscribe, subscribe_blocking, Publisher, BlockingPublisher])
def test_address_with_a_query_is_an_error(call: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match="without a query"):
        call("http://127.0.0.1:3000/?ticket=1")
