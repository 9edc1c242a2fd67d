"""A hub whose key set was never to be had: what bears a token is put off, and an event source by an event."""

from __future__ import annotations

import asyncio

import pytest

from tests.access.keys import bearer, token
from tests.access.test_key_sets import issuing
from tests.access.test_tokens import PRIVATE
from tests.raw import Answer, exchange, get, notice, post, raw
from tests.serving import StreamClient, serving
from tocsin.access import key_sets
from tocsin.app import Server

LANES = pytest.mark.parametrize("lane", [{}, {"Upgrade": "x"}], ids=["fast", "tornado"])
ALL = {"publish": ["*"], "subscribe": ["*"]}


def of_the_set() -> str:
    """The header line of a token that a key of the set has signed."""
    return bearer(token(key=PRIVATE["RS256"], algorithm="RS256", kid="one", tocsin=ALL))


async def ask(server: Server, request: bytes) -> Answer:
    return await asyncio.to_thread(exchange, server.port, request)


@LANES
async def test_event_source_is_told_when_to_come_back_and_gets_its_stream_then(
    monkeypatch: pytest.MonkeyPatch, lane: dict[str, str]
) -> None:
    async with issuing() as issuer, serving(jwt_jwks=issuer.url, retry=2_000, canary=0) as server:
        issuer.status = 500
        headers = {"Authorization": of_the_set().partition(" ")[2], **lane}
        for _ in range(2):  # the first waits for the set, the other is answered at once
            client = await StreamClient.open(server, **headers)
            (busy,) = await client.read_to_end()
            assert (client.status, busy.type) == (200, "busy")
            assert busy.json["reason"] == "no_key_set"
            assert 2_000 <= busy.json["retry"] <= 6_000
            assert client.retry_ms == busy.json["retry"]
        assert issuer.asked == 1
        assert server.hub.counters.rejected["no_key_set"] == 2
        issuer.status = 200
        monkeypatch.setattr(key_sets, "LEAST_S", 0.0)
        again = await StreamClient.open(server, **headers)
        assert (await again.next()).type == "connection"


@LANES
async def test_who_takes_no_event_stream_is_told_by_a_status(lane: dict[str, str]) -> None:
    lines = (of_the_set(), *(f"{name}: {value}" for name, value in lane.items()))
    async with issuing() as issuer, serving(jwt_jwks=issuer.url, canary=0) as server:
        issuer.status = 500
        for request in (
            get("/events", "Accept: application/json", *lines),
            get("/api/history", *lines),
            post(notice(), *lines),
        ):
            for _ in range(2):
                answer = await ask(server, request)
                assert (answer.status, answer.json["code"]) == (503, "no_key_set")
                assert int(answer.headers["retry-after"]) >= 1
        assert server.hub.ring.head == 0
        head = await ask(server, raw("HEAD /events HTTP/1.1", "Host: localhost", *lines))
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")
