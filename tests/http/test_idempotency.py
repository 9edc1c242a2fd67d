"""Publishing once, however often it is asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.eventlog.journals import ListStore
from tests.hub_process import HubProcess
from tests.raw import exchange, notice, post
from tests.serving import serving
from tocsin.errors import Unavailable
from tocsin.eventlog.journal import Append, MemoryJournal, Tell


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    process = HubProcess()
    yield process
    process.close()


def publish(hub: HubProcess, body: bytes, key: str = "", status: int = 200) -> dict[str, Any]:
    headers = (f"Idempotency-Key: {key}",) if key else ()
    answer = exchange(hub.port, post(body, *headers))
    assert answer.status == status, answer.body
    parsed: dict[str, Any] = answer.json
    return parsed


def messages(hub: HubProcess) -> list[str]:
    return [event["data"]["message"] for event in hub.get("/api/history")["events"]]


def with_key(body: bytes, key: object) -> bytes:
    return json.dumps(json.loads(body) | {"key": key}).encode()


def test_event_with_a_known_key_is_published_once(hub: HubProcess) -> None:
    before = len(messages(hub))
    first = publish(hub, notice(message="a"), "k1")
    again = publish(hub, notice(message="a"), "k1")
    in_body = publish(hub, with_key(notice(message="a"), "k1"))
    assert "duplicate" not in first
    assert again == in_body == first | {"duplicate": True, "sentTo": 0}
    assert messages(hub)[before:] == ["a"]
    assert hub.metric("tocsin_publish_duplicates_total") == 2


def test_batch_with_a_known_key_is_published_once(hub: HubProcess) -> None:
    before = len(messages(hub))
    body = b"[%b,%b]" % (notice(message="a"), notice(message="b"))
    first = publish(hub, body, "k2")
    again = publish(hub, body, "k2")
    assert again == first | {"duplicate": True, "sentTo": [0, 0]}
    assert messages(hub)[before:] == ["a", "b"]


def test_large_batch_with_a_known_key_is_published_once(hub: HubProcess) -> None:
    body = b"[%b]" % b",".join(notice(message="x" * 200) for _ in range(500))
    first = publish(hub, body, "k3")
    assert publish(hub, body, "k3") == first | {"duplicate": True, "sentTo": [0] * 500}


def test_key_for_other_content_is_a_conflict_and_publishes_nothing(hub: HubProcess) -> None:
    publish(hub, notice(message="a"), "k4")
    before = messages(hub)
    refused = publish(hub, notice(message="b"), "k4", status=409)
    assert (refused["code"], refused["field"]) == ("key_reused", "key")
    assert messages(hub) == before


@pytest.mark.parametrize(
    ("body", "key", "status", "code"),
    [
        (notice(), "a b", 400, "invalid_key"),
        (notice(), "x" * 257, 400, "invalid_key"),
        (with_key(notice(), "a\nb"), "", 400, "invalid_key"),
        (with_key(notice(), 5), "", 422, "invalid_field"),
        (with_key(notice(), "a"), "b", 422, "invalid_key"),
        (b"[%b,%b]" % (notice(), with_key(notice(), "a")), "", 422, "unknown_field"),
    ],
)
def test_key_that_cannot_be_one_publishes_nothing(
    hub: HubProcess, body: bytes, key: str, status: int, code: str
) -> None:
    before = messages(hub)
    refused = publish(hub, body, key, status)
    assert refused["code"] == code
    assert refused.get("index") == (1 if body.startswith(b"[") else None)
    assert messages(hub) == before


async def ask(port: int, request: bytes) -> tuple[bytes, dict[str, Any]]:
    """The head and the JSON of one answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split()[0])
    body: dict[str, Any] = json.loads(await reader.readexactly(length))
    writer.close()
    return head, body


async def test_ten_at_once_get_the_id_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = ListStore(turns=5).open()
    monkeypatch.setattr("tocsin.app.open_journal", lambda settings: journal)
    async with serving() as server:
        request = post(notice(), "Idempotency-Key: k")
        answers = await asyncio.gather(*[ask(server.port, request) for _ in range(10)])
        assert len({answer["id"] for _, answer in answers}) == 1
        assert sum("duplicate" not in answer for _, answer in answers) == 1
        assert server.hub.ring.head == 1


class UncertainJournal(MemoryJournal):
    """Commits, and doesn't know that it did."""

    def append(self, appends: Sequence[Append], tell: Tell) -> None:
        super().append(appends, lambda result: None)
        raise Unavailable("the answer did not come in time", code="unknown_outcome")


async def test_outcome_that_nobody_knows_is_said_to_be_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tocsin.app.open_journal", lambda settings: UncertainJournal())
    async with serving() as server:
        head, body = await ask(server.port, post(notice(), "Idempotency-Key: k"))
        assert head.startswith(b"HTTP/1.1 503")
        assert b"\r\nRetry-After: 1\r\n" in head
        assert body["code"] == "unknown_outcome"
