"""Publishing: the workshop's contract, batches, and what the answer says."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.raw import exchange, get, notice, post
from tests.serving import StreamClient, serving


def test_workshops_curl_line_publishes(start_hub: StartHub) -> None:
    answer = start_hub().publish("system_alert", "Bonjour")
    assert answer | {"id": ""} == {
        "success": True,
        "sentTo": 0,
        "event": "system_alert",
        "id": "",
        "topic": "default",
    }


def test_event_holds_what_the_contract_says(start_hub: StartHub) -> None:
    hub = start_hub()
    id = hub.publish("user_joined", "Alice", data={"room": 7}, topic="rooms/7")["id"]
    (event,) = hub.get("/api/history")["events"]
    assert (event["id"], event["type"], event["topic"]) == (id, "user_joined", "rooms/7")
    assert event["data"] | {"timestamp": ""} == {
        "message": "Alice",
        "data": {"room": 7},
        "timestamp": "",
        "source": "api",
        "topic": "rooms/7",
    }


async def test_event_of_several_topics_reaches_each_stream_once() -> None:
    async with serving() as server:

        async def publish(**fields: Any) -> dict[str, Any]:
            answer = await asyncio.to_thread(exchange, server.port, post(notice(**fields)))
            parsed: dict[str, Any] = answer.json
            return parsed

        both = await StreamClient.open(server, "?topic=ops/*&topic=teams/red")
        one = await StreamClient.open(server, "?topic=teams/*")
        none = await StreamClient.open(server, "?topic=teams/blue")
        for stream in (both, one, none):
            await stream.next()
        topics = ["ops/disks", "teams/red", "ops/all"]
        answer = await publish(topic=topics[0], topics=topics[1:])
        await publish(message="after", topics=["teams/red", "teams/blue"])
        assert (answer["sentTo"], answer["topic"], answer["topics"]) == (2, topics[0], topics)
        for stream in (both, one):
            event = await stream.next()
            assert (event.last_event_id, event.json["topics"]) == (answer["id"], topics)
            assert (await stream.next()).json["message"] == "after"
        assert (await none.next()).json["message"] == "after"
        for topic in topics:
            returning = await StreamClient.open(server, f"?topic={topic}&last_event_id=earliest")
            assert (await returning.next()).json["replayed"] == 1 + (topic == "teams/red")
            assert (await returning.next()).last_event_id == answer["id"]
            path = f"/api/history?topic={topic}"
            page = (await asyncio.to_thread(exchange, server.port, get(path))).json
            assert (page["events"][0]["id"], page["events"][0]["topics"]) == (answer["id"], topics)


def publish_batch(hub: HubProcess, body: bytes, type: str) -> dict[str, Any]:
    answer = exchange(hub.port, post(body, type=type))
    assert answer.status == 200
    parsed: dict[str, Any] = answer.json
    return parsed


def test_array_is_published_in_order_as_one(start_hub: StartHub) -> None:
    hub = start_hub()
    body = json.dumps([json.loads(notice(message=str(n))) for n in range(1_000)]).encode()
    answer = publish_batch(hub, body, "application/json")
    events = hub.get("/api/history?limit=1000")["events"]
    assert (answer["success"], answer["events"]) == (True, 1_000)
    assert [event["id"] for event in events] == answer["ids"]
    assert [event["data"]["message"] for event in events] == [str(n) for n in range(1_000)]


def test_ndjson_is_published_in_order_as_one(start_hub: StartHub) -> None:
    hub = start_hub()
    body = b"\n".join([notice(message="a"), b"", notice(message="b"), b""])
    answer = publish_batch(hub, body, "application/x-ndjson")
    assert answer["sentTo"] == [0, 0]
    assert [e["data"]["message"] for e in hub.get("/api/history")["events"]] == ["a", "b"]


def test_connection_stays_open_for_the_next_event(start_hub: StartHub) -> None:
    hub = start_hub()
    answer = exchange(hub.port, post(notice()) + post(notice()))
    assert (answer.status, answer.closed) == (200, False)


def test_preflight_of_a_publisher_is_answered(start_hub: StartHub) -> None:
    request = (
        b"OPTIONS /api/notify HTTP/1.1\r\nHost: localhost\r\nOrigin: https://a.example\r\n\r\n"
    )
    answer = exchange(start_hub("--cors-origin", "*").port, request)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, "*")
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Content-Type" in answer.headers["access-control-allow-headers"]


def test_simulator_speaks_only_while_somebody_listens(start_hub: StartHub) -> None:
    hub = start_hub("--simulate", "0.05")
    assert hub.get("/api/stats")["published"] == 0
    answer = exchange(hub.port, get("/events", version="1.0"))
    assert answer.status == 200
    seen = hub.get("/api/history")["events"]
    for event in seen:
        assert event["data"]["source"] == "simulation"
        assert 0 <= event["data"]["count"] <= 99
