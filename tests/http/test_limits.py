"""Limits by address, as clients see them; and how long a stream lives."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from tests.http.laters import Taken
from tests.http.test_slow_clients import BIG, stalled_client
from tests.patience import PATIENCE_S
from tests.raw import exchange, notice, post
from tests.serving import StreamClient, eventually, serving
from tocsin import Draft
from tocsin.access.principal import Principal
from tocsin.app import Server
from tocsin.core.filters import EVERYTHING
from tocsin.errors import Busy
from tocsin.http.edge import REFUSED_AFTER_S
from tocsin.http.later import Later
from tocsin.http.open_stream import takes_events
from tocsin.http.request import JSON, Request

LANES = pytest.mark.parametrize("lane", [{}, {"Upgrade": "x"}], ids=["fast", "tornado"])
FORWARDED = {"X-Forwarded-For": "198.51.100.1"}


async def ask(server: Server, request: bytes) -> tuple[int, dict[str, str], dict[str, object]]:
    answer = await asyncio.to_thread(exchange, server.port, request)
    return answer.status, answer.headers, answer.json


# --- publishing -------------------------------------------------------------------------------------


@LANES
async def test_publisher_beyond_its_rate_is_told_which_limit_and_when(lane: dict[str, str]) -> None:
    headers = [f"{name}: {value}" for name, value in lane.items()]
    async with serving(publish_rate_per_address=0.5, canary=0) as server:
        statuses = [(await ask(server, post(notice(), *headers)))[0] for _ in range(6)]
        assert statuses == [200] * 6  # what ten seconds give, and the one that empties the bucket
        status, answered, error = await ask(server, post(notice(), *headers))
        assert (status, error["code"]) == (429, "rate_limited")
        assert error["limit"] == "publish_rate_per_address"
        assert 1 <= int(answered["retry-after"]) <= 2
        assert server.hub.ring.head == 6
        assert server.hub.counters.publish_rejected["rate_limited"] == 1


@LANES
async def test_connection_is_refused_ten_times_a_second_at_most(lane: dict[str, str]) -> None:
    request = post(notice(), *[f"{name}: {value}" for name, value in lane.items()])
    async with serving(publish_rate_per_address=0.1, canary=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        began, statuses = time.monotonic(), []
        for _ in range(6):
            writer.write(request)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
            statuses.append(int(head.split()[1]))
        assert statuses == [200, 200, 429, 429, 429, 429]
        assert time.monotonic() - began >= 4 * REFUSED_AFTER_S
        writer.close()
        await writer.wait_closed()


async def test_refusal_that_waits_keeps_no_body() -> None:
    async with serving(publish_rate_per_address=0.1, canary=0) as server:
        body = notice(message="x" * 40_000)
        headers = {"host": "localhost", "content-type": JSON}
        request = Request("POST", "/api/notify", "", headers, body, "127.0.0.1", JSON)
        kept = []
        for _ in range(3):
            later = server._listener.edge.answer(request)
            assert isinstance(later, Later)
            later.taker = Taken(lambda given: None)
            kept.append(len(later.request.body))
        assert kept == [len(body), len(body), 0]


async def test_refusals_beyond_those_that_may_wait_are_given_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tocsin.http.edge.REFUSED_AFTER_S", 3_600)
    monkeypatch.setattr("tocsin.http.edge.MAX_WAITING_REFUSALS", 1)
    async with serving(publish_rate_per_address=0.1, canary=0) as server:
        for _ in range(2):
            assert (await ask(server, post(notice())))[0] == 200
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(post(notice()))
        await eventually(lambda: server._listener.edge.answering == 1)
        assert (await ask(server, post(notice())))[0] == 429
        assert server._listener.edge.answering == 1
        writer.close()
        await writer.wait_closed()


async def test_batch_counts_each_of_its_events() -> None:
    async with serving(publish_rate_per_address=10, canary=0) as server:
        batch = b"[" + b",".join([notice()] * 150) + b"]"
        assert (await ask(server, post(batch)))[0] == 200
        status, headers, _ = await ask(server, post(notice()))
        assert (status, headers["retry-after"]) == (429, "5")


async def test_publisher_beyond_its_bytes_is_refused_before_its_body_is_read() -> None:
    async with serving(publish_bytes_per_address=1_000, canary=0) as server:
        assert (await ask(server, post(notice(message="x" * 20_000))))[0] == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = post(notice(message="x" * 20_000)).partition(b"\r\n\r\n")[0]
        writer.write(head + b"\r\n\r\n{")
        answer = await asyncio.wait_for(reader.readuntil(b"}"), PATIENCE_S)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"publish_bytes_per_address" in answer
        assert b"Connection: close" in answer
        writer.close()


async def test_reading_and_the_hub_itself_are_not_limited_by_what_is_published() -> None:
    async with serving(publish_rate_per_address=0.1, canary=60) as server:
        await eventually(lambda: server.hub.counters.canary_runs["ok"] == 1)
        assert (await ask(server, post(notice())))[0] == 200
        assert (await ask(server, post(notice())))[0] == 200
        assert (await ask(server, post(notice())))[0] == 429
        client = await StreamClient.open(server)
        assert (await client.next()).type == "connection"
        assert server._canary
        await server._canary.run()
        assert server.hub.counters.canary_runs["failed"] == 0


# --- streams ----------------------------------------------------------------------------------------


@LANES
async def test_stream_beyond_those_of_its_address_is_told_to_come_back(
    lane: dict[str, str],
) -> None:
    async with serving(max_clients_per_address=2, retry=2_000, canary=0) as server:
        kept = [await StreamClient.open(server, **lane) for _ in range(2)]
        refused = await StreamClient.open(server, **lane)
        (busy,) = await refused.read_to_end()
        assert (refused.status, busy.type, busy.json["reason"]) == (200, "busy", "address")
        assert 2_000 <= busy.json["retry"] <= 6_000
        assert refused.retry_ms == busy.json["retry"]
        assert server.hub.counters.rejected["address"] == 1
        kept[0].close()
        await eventually(lambda: len(server.hub.streams) == 1)
        again = await StreamClient.open(server, **lane)
        assert (await again.next()).type == "connection"


async def test_greedy_address_leaves_room_for_another() -> None:
    async with serving(
        max_clients_per_address=50, max_clients=100, trusted_proxy=("127.0.0.1",), canary=0
    ) as server:
        greedy = [await StreamClient.open(server, **FORWARDED) for _ in range(90)]
        assert len(server.hub.streams) == 50
        other = await StreamClient.open(server, **{"X-Forwarded-For": "198.51.100.2"})
        assert (await other.next()).type == "connection"
        assert (await greedy[-1].read_to_end())[0].json["reason"] == "address"


KEY_A, KEY_B = Principal(name="key:a"), Principal(name="key:b")


async def test_hub_limits_the_streams_of_a_principal() -> None:
    async with serving(max_clients_per_principal=1, canary=0) as server:
        pairs = [socket.socketpair() for _ in range(3)]
        for pair in pairs:
            pair[0].setblocking(False)
        stream = server.hub.subscribe(pairs[0][0], EVERYTHING, reader=KEY_A)
        with pytest.raises(Busy, match="principal"):
            server.hub.subscribe(pairs[1][0], EVERYTHING, reader=KEY_A)
        server.hub.subscribe(pairs[1][0], EVERYTHING, reader=KEY_B).close("client")
        stream.close("client")
        server.hub.subscribe(pairs[2][0], EVERYTHING, reader=KEY_A).close("client")
        for ours, theirs in pairs:
            ours.close()
            theirs.close()


@LANES
async def test_program_that_takes_no_event_stream_is_told_by_a_status(lane: dict[str, str]) -> None:
    async with serving(max_clients_per_address=1, canary=0) as server:
        await StreamClient.open(server)
        program = await StreamClient.open(server, Accept="application/json", **lane)
        assert program.status == 503
        assert 1 <= int(program.headers["retry-after"]) <= 9
        assert program.headers["content-type"] == "application/json"
        body = await program._reader.read()
        assert b'"code":"address"' in body


@pytest.mark.parametrize(
    ("accept", "takes"),
    [
        ("", True),
        ("text/event-stream", True),
        ("*/*", True),
        ("application/json, Text/*;q=0.5", True),
        ("application/json", False),
        ("application/json, text/event-stream;q=0", False),
        ("application/json, text/event-stream; q=0.000", False),
        ("text/event-stream;q=0.1", True),
        ("text/html", False),
    ],
)
def test_accept_has_room_for_an_event_stream_or_not(accept: str, takes: bool) -> None:
    assert takes_events(accept) is takes


# --- whose request it is ----------------------------------------------------------------------------


@LANES
async def test_trusted_proxy_says_whose_request_it_is(
    lane: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    headers = [f"{name}: {value}" for name, value in (lane | FORWARDED).items()]
    async with serving(
        trusted_proxy=("127.0.0.0/8",), publish_rate_per_address=0.1, canary=0
    ) as server:
        with caplog.at_level("INFO", "tocsin.access"):
            statuses = [(await ask(server, post(notice(), *headers)))[0] for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert {getattr(r, "remote", "") for r in caplog.records if r.name == "tocsin.access"} == {
            "198.51.100.1"
        }
        assert (await ask(server, post(notice(), "X-Forwarded-For: 198.51.100.2")))[0] == 200


@LANES
async def test_who_is_no_trusted_proxy_is_not_believed(lane: dict[str, str]) -> None:
    async with serving(trusted_proxy=("192.0.2.1",), publish_rate_per_address=0.1) as server:
        for number in range(2):
            headers = [f"{k}: {v}" for k, v in lane.items()]
            headers.append(f"X-Forwarded-For: 198.51.100.{number}")
            assert (await ask(server, post(notice(), *headers)))[0] == 200
        assert (await ask(server, post(notice(), "X-Forwarded-For: 198.51.100.9")))[0] == 429


# --- how long a stream lives ------------------------------------------------------------------------


async def test_old_stream_is_ended_with_an_event_and_resumes_without_loss() -> None:
    async with serving(max_stream_age=1, retry=1_000, canary=0) as server:
        client = await StreamClient.open(server)
        await server.hub.publish(Draft("notification", b"1"))
        *events, busy = await client.read_to_end()
        assert [event.type for event in events] == ["connection", "notification"]
        assert (busy.type, busy.json["reason"], client.retry_ms) == (
            "busy",
            "age",
            busy.json["retry"],
        )
        assert server.hub.counters.closed["age"] == 1
        await server.hub.publish(Draft("notification", b"2"))
        back = await StreamClient.open(server, Last_Event_ID=client.last_event_id)
        welcome, missed = await back.take(2)
        assert (welcome.json["missed"], missed.data) == (0, "2")


async def test_streams_that_opened_together_end_apart_and_none_older_than_it_may() -> None:
    async with serving(max_stream_age=3_600, canary=0) as server:
        for _ in range(100):
            await StreamClient.open(server)
        opened = {stream.number: stream.opened_at for stream in server.hub.streams.values()}

        async def left_at(age_s: float) -> int:
            for stream in server.hub.streams.values():
                stream.opened_at = opened[stream.number] - age_s
            await server.hub._subscriptions.tick()
            return len(server.hub.streams)

        assert await left_at(0.79 * 3_600) == 100
        quarters = [await left_at(share * 3_600) for share in (0.85, 0.9, 0.95)]
        for left, expected in zip(quarters, (75, 50, 25), strict=True):
            assert abs(left - expected) <= 5
        assert await left_at(3_600) == 0


async def test_ghosts_behind_a_connection_that_stays_open_are_ended() -> None:
    """As node's http-proxy makes them: its clients have gone, and it reads on."""
    async with serving(max_stream_age=1, canary=0) as server:
        ghosts = [await StreamClient.open(server) for _ in range(20)]
        await eventually(lambda: not server.hub.streams)
        assert server.hub.counters.closed["age"] == 20
        assert len(ghosts) == 20


async def test_old_stream_that_does_not_read_is_closed_as_slow() -> None:
    async with serving(max_stream_age=1, slow_client_timeout=0.5, canary=0) as server:
        slow = stalled_client(server.port)
        await eventually(lambda: server.hub.streams)
        for _ in range(60):
            await server.hub.publish(Draft("notification", BIG))
        await eventually(lambda: not server.hub.streams)
        slow.close()


async def test_rate_so_low_that_nobody_lives_to_see_the_next_event_is_a_limit_like_others() -> None:
    async with serving(publish_rate_per_address=1e-320, canary=0) as server:
        assert (await ask(server, post(notice())))[0] == 200
        status, answered, _ = await ask(server, post(notice()))
        assert (status, answered["retry-after"]) == (429, "86400")
