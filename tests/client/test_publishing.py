"""Publishing by either publisher: what is lost on the way is asked for again, and published once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.scripted import Scripted, answer
from tests.conftest import StartFaultProxy, StartHub
from tests.fault_proxy import NONE, Faults
from tests.hub_process import HubProcess, free_ports
from tocsin.client import (
    BlockingPublisher,
    Publisher,
    Receipt,
    Refused,
    Unauthorized,
    Unavailable,
    UnknownOutcome,
    Unreachable,
)
from tocsin.client.publishing import Attempts

OK = answer(200, b'{"success": true, "sentTo": 2, "id": "1-1"}')
UNKNOWN = answer(503, b'{"error": "nobody knows", "code": "unknown_outcome"}')
NOT_NOW = answer(503, b'{"error": "draining", "code": "draining"}')
PAGE = answer(502, b"<html>Bad Gateway", "Content-Type: text/html")

Send = Callable[..., Any]


def with_async(url: str, method: str, *arguments: Any, publisher: Any = None, **fields: Any) -> Any:
    async def send() -> Any:
        async with Publisher(url, **(publisher or {})) as open_one:
            return await getattr(open_one, method)(*arguments, **fields)

    return asyncio.run(send())


def with_blocking(
    url: str, method: str, *arguments: Any, publisher: Any = None, **fields: Any
) -> Any:
    with BlockingPublisher(url, **(publisher or {})) as open_one:
        return getattr(open_one, method)(*arguments, **fields)


@pytest.fixture(params=[with_async, with_blocking], ids=["async", "blocking"])
def send(request: pytest.FixtureRequest) -> Send:
    """Publish with either publisher: `send(url, "publish", "text", type=...)`."""
    chosen: Send = request.param
    return chosen


def kept(hub: HubProcess, topic: str) -> list[Any]:
    events: list[Any] = hub.get(f"/api/history?topic={topic}")["events"]
    return events


def test_event_is_published_with_all_that_it_has(hub: HubProcess, topic: str, send: Send) -> None:
    also = topic + "/b"
    receipt = send(
        hub.url + "/", "publish", "é \u2028", type="t", topic=topic, topics=[also], data={"n": [1]}
    )
    (event,) = kept(hub, also)
    assert receipt == Receipt(event["id"], 0, False)
    assert (event["type"], event["topic"], event["data"]["topics"]) == ("t", topic, [topic, also])
    assert (event["data"]["message"], event["data"]["data"]) == ("é \u2028", {"n": [1]})


def test_whole_event_comes_before_the_arguments(hub: HubProcess, topic: str, send: Send) -> None:
    send(hub.url, "publish", {"type": "own", "message": "x"}, type="other", topic=topic)
    assert [event["type"] for event in kept(hub, topic)] == ["own"]


def test_batch_is_published_in_order(hub: HubProcess, topic: str, send: Send) -> None:
    other = topic + "/b"
    receipts = send(hub.url, "publish_batch", ["a", {"message": "b", "topic": other}], topic=topic)
    events = kept(hub, topic + "*")
    assert [receipt.id for receipt in receipts] == [event["id"] for event in events]
    assert [event["topic"] for event in events] == [topic, other]
    assert send(hub.url, "publish_batch", []) == []


@pytest.mark.parametrize("cut_after", [0, 20])
def test_lost_answer_is_asked_for_again_and_published_once(
    hub: HubProcess, topic: str, fault_proxy: StartFaultProxy, send: Send, cut_after: int
) -> None:
    proxy = fault_proxy(
        hub.port, lambda target, number: NONE if number % 2 else Faults(cut_after=cut_after)
    )
    receipt = send(proxy.url, "publish", "once", topic=topic)
    batch = send(proxy.url, "publish_batch", ["a", "b"], topic=topic)
    assert proxy.cuts == 2
    assert [receipt.is_duplicate, *(each.is_duplicate for each in batch)] == [True] * 3
    ids = [receipt.id, *(each.id for each in batch)]
    assert [event["id"] for event in kept(hub, topic)] == ids


@pytest.mark.parametrize("first", [None, UNKNOWN, NOT_NOW, PAGE, answer(429, b"{}"), answer(500)])
def test_what_may_succeed_later_is_tried_again_with_the_same_key(
    send: Send, first: bytes | None
) -> None:
    with Scripted(first, OK) as server:
        assert send(server.url, "publish", "x").id == "1-1"
        keys = {server.header(n, "Idempotency-Key") for n in (0, 1)}
        assert len(keys) == 1
        assert len(keys.pop()) == 32
        assert server.requests[0].partition(b"\r\n\r\n")[2] == server.requests[1].partition(b"\r\n\r\n")[2]  # fmt: skip


def test_each_publish_has_a_key_of_its_own_or_the_one_it_is_given(send: Send) -> None:
    with Scripted(OK) as server:
        for key in (None, None, "job-17", ""):
            send(server.url, "publish", "x", key=key)
        first, second, given, none = (server.header(n, "Idempotency-Key") for n in range(4))
        assert first != second
        assert (given, none) == ("job-17", "")


@pytest.mark.parametrize("first", [None, UNKNOWN, PAGE])
def test_unknown_outcome_without_a_key_is_not_tried_again(send: Send, first: bytes | None) -> None:
    with Scripted(first, OK) as server:
        with pytest.raises(UnknownOutcome) as raised:
            send(server.url, "publish", "x", key="")
        assert raised.value.key == ""
        assert len(server.requests) == 1


@pytest.mark.parametrize("last", [UNKNOWN, NOT_NOW])
def test_outcome_that_stays_unknown_gives_the_key_to_go_on_with(send: Send, last: bytes) -> None:
    with Scripted(None, last) as server:
        with pytest.raises(UnknownOutcome) as raised:
            send(server.url, "publish", "x", publisher={"patience_s": 1.0})
        assert raised.value.key == server.header(0, "Idempotency-Key")


def test_hub_that_says_no_for_long_is_unavailable_and_nothing_was_published(send: Send) -> None:
    with Scripted(NOT_NOW) as server:
        with pytest.raises(Unavailable, match="503: draining") as raised:
            send(server.url, "publish", "x", publisher={"patience_s": 1.0})
        assert raised.value.code == "draining"
        assert len(server.requests) > 1


def test_hub_that_is_not_there_is_unreachable(send: Send) -> None:
    (port,) = free_ports(1)
    with pytest.raises(Unreachable):
        send(f"http://127.0.0.1:{port}", "publish", "x", publisher={"patience_s": 0.5})
    with pytest.raises(Unreachable):
        send("ftp://127.0.0.1", "publish", "x")


def test_refusals_name_what_is_at_fault_and_are_not_tried_again(
    hub: HubProcess, topic: str, send: Send
) -> None:
    with pytest.raises(Refused) as raised:
        send(hub.url, "publish_batch", ["a", {"message": "b", "type": "no such"}], topic=topic)
    refused = raised.value
    assert (refused.status, refused.field, refused.index) == (422, "type", 1)
    assert kept(hub, topic) == []
    with pytest.raises(ValueError, match="JSON"):
        send(hub.url, "publish", "x", data={"n": float("nan")})


def test_function_is_asked_for_a_fresh_token_after_a_refusal(send: Send) -> None:
    no = answer(401, b'{"error": "ended", "code": "unauthorized"}')
    tokens = iter("abcd")
    with Scripted(no, OK, no) as server:
        send(server.url, "publish", "x", publisher={"token": lambda: next(tokens)})
        with pytest.raises(Unauthorized):
            send(server.url, "publish", "x", publisher={"token": lambda: next(tokens)})
        with pytest.raises(Unauthorized):
            send(server.url, "publish", "x", publisher={"token": "fixed"})
        shown = [server.header(n, "Authorization") for n in range(5)]
        assert shown == [*(f"Bearer {token}" for token in "abcd"), "Bearer fixed"]


def test_answer_of_something_else_is_an_error(send: Send) -> None:
    with Scripted(answer(200, b"<html>welcome")) as server, pytest.raises(Refused):
        send(server.url, "publish", "x")


def test_same_content_with_the_key_of_an_unknown_outcome_is_published_once(
    start_hub: StartHub, fault_proxy: StartFaultProxy, send: Send, tmp_path: Path
) -> None:
    hub = start_hub("--canary", "0", "--journal", f"sqlite:{tmp_path / 'hub.db'}")
    proxy = fault_proxy(hub.port, lambda target, number: Faults(cut_after=0))
    with pytest.raises(UnknownOutcome) as raised:
        send(proxy.url, "publish", "x", publisher={"patience_s": 0.5})
    hub.restart()
    assert send(hub.url, "publish", "x", key=raised.value.key).is_duplicate
    assert len(kept(hub, "default")) == 1


def test_pauses_grow_to_a_bound_and_end_at_the_patience() -> None:
    now = 0.0
    attempts = Attempts(b"", "application/json", "k", 60.0, clock=lambda: now)
    said = json.dumps({"error": "no", "code": "draining"}).encode()
    pauses: list[float] = []

    def try_again() -> None:
        nonlocal now
        pause = attempts.answered(503, {}, said)
        assert isinstance(pause, float)
        pauses.append(pause)
        now += pause

    with pytest.raises(Unavailable):
        list(iter(try_again, 1))  # for ever
    assert now < 60
    assert all(0.5 * min(0.25 * 2**n, 8) <= p <= min(0.25 * 2**n, 8) for n, p in enumerate(pauses))
