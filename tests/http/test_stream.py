"""The stream as a client meets it: welcome, replay, gap, live, filters, framing."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.serving import StreamClient, eventually, publish, serving
from tocsin import Draft


async def test_stream_answers_with_the_contracts_headers() -> None:
    async with serving(cors_origin=("*",)) as server:
        client = await StreamClient.open(server)
        assert client.status == 200
        assert client.headers["content-type"].startswith("text/event-stream")
        assert "no-cache" in client.headers["cache-control"]
        assert client.headers["connection"] == "keep-alive"
        assert client.headers["access-control-allow-origin"] == "*"
        assert client.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in client.headers


async def test_first_event_is_connection_and_bears_the_cursor() -> None:
    async with serving() as server:
        (newest,) = await publish(server)
        welcome = await (await StreamClient.open(server)).next()
        assert welcome.type == "connection"
        assert welcome.last_event_id == newest
        assert welcome.json | {"timestamp": "", "message": ""} == {
            "id": 1,
            "message": "",
            "timestamp": "",
            "clients": 1,
            "resumed": False,
            "replayed": 0,
            "missed": 0,
            "heartbeat": 30.0,
        }


async def test_reconnection_time_is_jittered_and_sent_first() -> None:
    async with serving(retry=2_000) as server:
        clients = [await StreamClient.open(server) for _ in range(8)]
        for client in clients:
            await client.next()
            assert client.body.startswith(b"retry: ")
        times = {client.retry_ms for client in clients}
        assert len(times) > 1
        assert all(time is not None and 2_000 <= time <= 3_000 for time in times)


async def test_published_event_reaches_every_open_stream() -> None:
    async with serving() as server:
        clients = [await StreamClient.open(server) for _ in range(3)]
        for client in clients:
            await client.next()
        (id,) = await publish(server, type="system_alert")
        events = [await client.next() for client in clients]
        assert [(e.type, e.last_event_id) for e in events] == [("system_alert", id)] * 3


async def test_replay_starts_after_the_last_event_id() -> None:
    async with serving() as server:
        ids = await publish(server, 5)
        client = await StreamClient.open(server, Last_Event_ID=ids[1])
        welcome, *replayed = await client.take(4)
        assert welcome.last_event_id == ids[1]
        assert (welcome.json["resumed"], welcome.json["replayed"]) == (True, 3)
        assert [event.last_event_id for event in replayed] == ids[2:]


@pytest.mark.parametrize("parameter", ["last_event_id", "lastEventId"])
async def test_last_event_id_may_stand_in_the_query(parameter: str) -> None:
    async with serving() as server:
        ids = await publish(server, 2)
        client = await StreamClient.open(server, f"?{parameter}={ids[0]}")
        assert [event.last_event_id for event in await client.take(2)] == ids


async def test_header_wins_over_the_query() -> None:
    async with serving() as server:
        ids = await publish(server, 3)
        client = await StreamClient.open(server, f"?last_event_id={ids[0]}", Last_Event_ID=ids[1])
        assert (await client.next()).last_event_id == ids[1]


async def test_empty_last_event_id_is_none() -> None:
    async with serving() as server:
        await publish(server)
        client = await StreamClient.open(server, Last_Event_ID="")
        connection = await client.next()
        assert (connection.json["resumed"], connection.json["replayed"]) == (False, 0)
        assert await client.is_quiet()


async def test_topic_asked_for_twice_is_delivered_once() -> None:
    async with serving() as server:
        client = await StreamClient.open(server, "?topic=a&topic=a&topic=a*")
        await client.next()
        ids = await publish(server, 2, topic="a")
        assert [event.last_event_id for event in await client.take(2)] == ids


async def test_topic_nobody_published_to_has_a_cursor_and_heartbeats() -> None:
    async with serving(heartbeat=0.05) as server:
        client = await StreamClient.open(server, "?topic=nothing/here")
        connection = await client.next()
        assert connection.last_event_id == str(server.hub.head)
        assert await client.is_quiet(0.2)
        assert b"\n:\n" in client.body


async def test_earliest_replays_all_that_is_kept() -> None:
    async with serving(history_events=3) as server:
        ids = await publish(server, 5)
        client = await StreamClient.open(server, "?last_event_id=earliest")
        assert [event.last_event_id for event in await client.take(4)] == ids[1:]


async def test_client_cut_off_after_the_welcome_resumes_without_loss() -> None:
    async with serving() as server:
        first = await StreamClient.open(server)
        cursor = (await first.next()).last_event_id
        first.reset()
        (id,) = await publish(server)
        again = await StreamClient.open(server, Last_Event_ID=cursor)
        assert [event.last_event_id for event in await again.take(2)] == [cursor, id]


async def test_event_published_during_a_replay_is_delivered_once_and_in_order() -> None:
    async with serving() as server:
        data = b'"' + b"x" * 3_000 + b'"'
        before = await server.hub.publish(*[Draft("notification", data) for _ in range(2_000)])
        client = await StreamClient.open(server, "?last_event_id=earliest")
        welcome = await client.next()
        assert server.hub.lagging, "the replay is too short to publish during it"
        after = [(await server.hub.publish(Draft("notification", data)))[0] for _ in range(50)]
        ids = [event.last_event_id for event in await client.take(2_050)]
        assert welcome.json["replayed"] == 2_000
        assert ids == [str(receipt.id) for receipt in [*before, *after]]
        await eventually(lambda: not server.hub.lagging)


async def test_evicted_events_are_told_as_a_gap_before_the_replay() -> None:
    async with serving(history_events=2) as server:
        ids = await publish(server, 6)
        client = await StreamClient.open(server, Last_Event_ID=ids[0])
        welcome, gap, *replayed = await client.take(4)
        assert gap.type == "gap"
        assert gap.json == {"reason": "evicted", "requested": ids[0], "oldest": ids[4], "missed": 3}
        assert gap.last_event_id == welcome.last_event_id == ids[3]
        assert welcome.json["missed"] == 3
        assert [event.last_event_id for event in replayed] == ids[4:]


async def test_cursor_at_the_newest_evicted_event_is_no_gap() -> None:
    async with serving(history_events=2) as server:
        ids = await publish(server, 6)
        client = await StreamClient.open(server, Last_Event_ID=ids[3])
        welcome, first = await client.take(2)
        assert (welcome.json["missed"], first.last_event_id) == (0, ids[4])


async def test_client_told_of_a_gap_is_told_once() -> None:
    async with serving(history_events=2) as server:
        ids = await publish(server, 6)
        client = await StreamClient.open(server, Last_Event_ID=ids[0])
        cursor = (await client.next()).last_event_id
        again = await StreamClient.open(server, Last_Event_ID=cursor)
        assert [event.type for event in await again.take(2)] == ["connection", "notification"]


@pytest.mark.parametrize(
    ("last_event_id", "reason"),
    [
        ("1000-7", "restart"),
        ("9999999999999-1", "unknown"),
        ("garbage", "unknown"),
        ("-1", "unknown"),
        ("18446744073709551616-1", "unknown"),
    ],
)
async def test_id_this_log_never_gave_is_told_as_a_gap(last_event_id: str, reason: str) -> None:
    async with serving() as server:
        ids = await publish(server, 2)
        client = await StreamClient.open(server, Last_Event_ID=last_event_id)
        _, gap, *replayed = await client.take(4)
        assert gap.json == {
            "reason": reason,
            "requested": last_event_id,
            "oldest": ids[0],
            "missed": None,
        }
        assert [event.last_event_id for event in replayed] == ids


async def test_filtered_stream_gets_its_topics_and_types_only() -> None:
    async with serving() as server:
        client = await StreamClient.open(server, "?topic=orders/*&topic=news&type=paid&type=sent")
        await client.next()
        await publish(server, topic="orders/1", type="opened")
        await publish(server, topic="stock", type="paid")
        wanted = await publish(server, topic="orders/1", type="paid")
        wanted += await publish(server, topic="news", type="sent")
        assert [event.last_event_id for event in await client.take(2)] == wanted
        assert await client.is_quiet()


async def test_filtered_replay_skips_what_was_not_asked_for() -> None:
    async with serving() as server:
        start = str(server.hub.head)
        wanted = []
        for _ in range(3):
            await publish(server, 5, topic="other")
            wanted += await publish(server, topic="mine")
        client = await StreamClient.open(server, "?topic=mine", Last_Event_ID=start)
        welcome, *events = await client.take(4)
        assert welcome.json["replayed"] == 3
        assert [event.last_event_id for event in events] == wanted


async def test_quiet_topic_is_told_of_no_gap_when_only_others_were_evicted() -> None:
    async with serving(history_events=3) as server:
        (cursor,) = await publish(server, topic="mine")
        await publish(server, 10, topic="other")
        client = await StreamClient.open(server, "?topic=mine", Last_Event_ID=cursor)
        welcome = await client.next()
        assert (welcome.last_event_id, welcome.json["missed"]) == (cursor, 0)
        (id,) = await publish(server, topic="mine")
        assert (await client.next()).last_event_id == id


async def test_quiet_topic_is_told_of_a_gap_when_its_own_event_was_evicted() -> None:
    async with serving(history_events=3) as server:
        (cursor, _) = await publish(server, 2, topic="mine")
        await publish(server, 10, topic="other")
        client = await StreamClient.open(server, "?topic=mine", Last_Event_ID=cursor)
        _, gap = await client.take(2)
        assert (gap.json["reason"], gap.json["missed"]) == ("evicted", None)


async def test_http_1_0_client_gets_a_body_that_ends_with_the_connection() -> None:
    async with serving() as server:
        client = await StreamClient.open(server, version="1.0", Connection="keep-alive")
        assert "transfer-encoding" not in client.headers
        assert client.headers["connection"] == "close"
        await client.next()
        (id,) = await publish(server)
        assert (await client.next()).last_event_id == id


async def test_head_answers_the_headers_and_no_body() -> None:
    async with serving() as server:
        client = await StreamClient.open(server, method="HEAD", Connection="close")
        assert client.headers["content-type"].startswith("text/event-stream")
        assert await client._reader.read() == b""
        assert not server.hub.streams


async def test_preflight_allows_last_event_id() -> None:
    async with serving(cors_origin=("https://shop.example",)) as server:
        client = await StreamClient.open(server, method="OPTIONS", Origin="https://shop.example")
        assert client.status == 204
        assert "Last-Event-ID" in client.headers["access-control-allow-headers"]


async def test_only_listed_origins_are_allowed() -> None:
    async with serving(cors_origin=("https://shop.example",)) as server:
        listed = await StreamClient.open(server, Origin="https://shop.example")
        other = await StreamClient.open(server, Origin="https://shop.example.evil.example")
        assert listed.headers["access-control-allow-origin"] == "https://shop.example"
        assert "access-control-allow-origin" not in other.headers
        assert listed.headers["vary"] == other.headers["vary"] == "Origin"


async def test_heartbeat_is_a_comment_that_dispatches_nothing() -> None:
    async with serving(heartbeat=0.05) as server:
        client = await StreamClient.open(server)
        await client.next()
        assert await client.is_quiet(0.3)
        assert b"\n\n:\n:\n" in client.body


async def test_presence_is_told_to_those_who_asked_and_bears_no_id() -> None:
    async with serving() as server:
        page = await StreamClient.open(server, "?presence=1")
        cursor = (await page.next()).last_event_id
        other = await StreamClient.open(server)
        await other.next()
        told = await page.next()
        assert (told.type, told.json["clients"], told.last_event_id) == ("presence", 2, cursor)
        assert await other.is_quiet()
        assert server.hub.ring.head == 0


async def test_client_that_closes_is_forgotten_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tocsin.streams")
    async with serving() as server:
        clients = [await StreamClient.open(server) for _ in range(3)]
        clients[0].close()
        clients[1].reset()
        await eventually(lambda: len(server.hub.streams) == 1)
        assert server.hub.counters.closed["client"] == 2
        closed = [r.__dict__ for r in caplog.records if r.message == "stream closed"]
        assert [(r["reason"], r["clients"]) for r in closed] == [("client", 2), ("client", 1)]


async def test_stray_bytes_do_not_hide_that_the_client_closed() -> None:
    async with serving() as server:
        client = await StreamClient.open(server)
        await client.next()
        await client.send(b"x")
        await eventually(lambda: not server.hub.streams)


async def test_full_hub_turns_clients_away_softly() -> None:
    async with serving(max_clients=1) as server:
        kept = await StreamClient.open(server)
        await kept.next()
        refused = await StreamClient.open(server)
        (busy,) = await refused.read_to_end()
        assert refused.status == 200
        assert (busy.type, busy.json["reason"], busy.last_event_id) == ("busy", "full", "")
        assert refused.retry_ms == busy.json["retry"]
        (id,) = await publish(server)
        assert (await kept.next()).last_event_id == id
        assert server.hub.counters.rejected["full"] == 1


async def test_connection_beyond_the_descriptors_is_closed_and_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(canary=0) as server:
        kept = await StreamClient.open(server)
        await kept.next()
        monkeypatch.setattr(server._listener, "_room", lambda: 2 - server._listener.open)
        idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        await eventually(lambda: server._listener.open == 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        (id,) = await publish(server)
        assert (await kept.next()).last_event_id == id
        idle[0][1].close()
        await eventually(lambda: server._listener.open == 1)
        assert (await StreamClient.open(server)).status == 200
        for each in (writer, idle[1][1]):
            each.close()


async def test_accepted_sockets_inherit_the_listeners_options() -> None:
    async with serving() as server:
        client = await StreamClient.open(server)
        await client.next()
        (stream,) = server.hub.streams.values()
        accepted = stream.socket
        assert isinstance(accepted, socket.socket)
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 512 * 1024


@pytest.mark.parametrize(("slow_s", "unacknowledged_s"), [(1, 20), (30, 35), (600, 605)])
async def test_slow_client_has_its_time_before_the_kernel_takes_it_for_dead(
    slow_s: float, unacknowledged_s: float
) -> None:
    async with serving(slow_client_timeout=slow_s) as server:
        await StreamClient.open(server)
        (stream,) = server.hub.streams.values()
        assert isinstance(stream.socket, socket.socket)
        timeout_ms = stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert timeout_ms == unacknowledged_s * 1000


async def test_many_streams_of_many_filters_each_get_their_own() -> None:
    async with serving() as server:
        clients = [await StreamClient.open(server, f"?topic=t/{n % 20}") for n in range(300)]
        for client in clients:
            await client.next()
        ids = [(await publish(server, topic=f"t/{n}"))[0] for n in range(20)]
        events = await asyncio.gather(*(client.next() for client in clients))
        assert [event.last_event_id for event in events] == [ids[n % 20] for n in range(300)]
