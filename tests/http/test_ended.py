"""Streams that end: what publishers, readers and pollers of a topic meet that has its final event."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.http.test_polls import Poller, ids, waiting
from tests.raw import post
from tests.serving import StreamClient, eventually, serving
from tests.sse import ServerSentEvent
from tocsin.app import Server

JOB = "?topic=jobs/1"


async def send(server: Server, *events: dict[str, Any]) -> Any:
    """The status and the body of the answer to a POST of these; several are a batch."""
    bodies = [{"type": "step", "message": "m", **event} for event in events]
    body = json.dumps(bodies if len(bodies) > 1 else bodies[0]).encode()
    return await send_raw(server, post(body))


async def send_raw(server: Server, request: bytes) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    async with asyncio.timeout(30):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
    writer.close()
    return int(head.split()[1]), body


async def published(server: Server, *events: dict[str, Any]) -> list[str]:
    """The ids of these, published as one."""
    status, answer = await send(server, *events)
    assert status == 200, answer
    return answer["ids"] if len(events) > 1 else [answer["id"]]


def brief(events: list[ServerSentEvent]) -> list[str]:
    """Each event as its type and its id; of `end` its topic and the id in its data."""
    return [
        f"end {event.json['topic']} {event.json['id']}"
        if event.type == "end"
        else event.type
        if event.type in ("connection", "gap")
        else f"{event.type} {event.last_event_id}"
        for event in events
    ]


async def test_final_event_is_followed_by_end_and_the_end_of_the_body() -> None:
    async with serving() as server:
        stream = await StreamClient.open(server, JOB)
        (first,) = await published(server, {"topic": "jobs/1"})
        (last,) = await published(server, {"topic": "jobs/1", "final": True})
        events = await stream.read_to_end()
        assert brief(events) == [
            "connection",
            f"step {first}",
            f"step {last}",
            f"end jobs/1 {last}",
        ]
        assert events[-1].last_event_id == last  # that of the event before: it has none of its own
        assert stream.body.endswith(
            b'event: end\ndata: {"topic":"jobs/1","id":"%b"}\n\n' % last.encode()
        )
        await eventually(lambda: not server.hub.streams)
        assert server.hub.counters.closed["ended"] == 1
        assert server.hub.counters.undelivered["ended"] == 0


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_first_visit_gets_what_is_kept_and_a_return_204(version: str) -> None:
    async with serving() as server:
        kept = await published(server, *[{"topic": "jobs/1"}] * 3)
        kept += await published(server, {"topic": "jobs/1", "final": True})
        await published(server, {"topic": "other"})
        stream = await StreamClient.open(server, JOB, version)
        events = await stream.read_to_end()
        assert brief(events) == [
            "connection",
            *[f"step {id}" for id in kept],
            f"end jobs/1 {kept[-1]}",
        ]
        assert (events[0].json["resumed"], events[0].json["replayed"]) == (False, 4)
        for id in (kept[-1], str(server.hub.head)):
            back = await StreamClient.open(server, JOB, version, **{"Last-Event-ID": id})
            assert (back.status, back.headers.get("content-length")) == (204, None)
            assert "access-control-allow-origin" not in back.headers
            assert await back.read_to_end() == []
        assert server.hub.counters.rejected["ended"] == 2


async def test_return_that_lacks_something_gets_it_and_then_the_end() -> None:
    async with serving() as server:
        kept = await published(
            server, *[{"topic": "jobs/1"}] * 2, {"topic": "jobs/1", "final": True}
        )
        for had in range(3):
            id = kept[had - 1] if had else str(server.hub.ring.id_at(0))
            stream = await StreamClient.open(server, JOB, **{"Last-Event-ID": id})
            expected = [f"step {id}" for id in kept[had:]]
            assert brief(await stream.read_to_end()) == [
                "connection",
                *expected,
                f"end jobs/1 {kept[-1]}",
            ]


async def test_return_with_an_id_of_another_log_is_told_of_the_gap_and_gets_all() -> None:
    async with serving() as server:
        (id,) = await published(server, {"topic": "jobs/1", "final": True})
        for foreign in ("1-1", "nonsense", f"{server.hub.ring.epoch}-999"):
            stream = await StreamClient.open(server, JOB, **{"Last-Event-ID": foreign})
            assert brief(await stream.read_to_end()) == [
                "connection",
                "gap",
                f"step {id}",
                f"end jobs/1 {id}",
            ]


async def test_stream_of_several_topics_ends_with_the_last_of_them() -> None:
    async with serving() as server:
        stream = await StreamClient.open(server, "?topic=jobs/1&topic=jobs/2")
        (first,) = await published(server, {"topic": "jobs/1", "final": True})
        assert brief(await stream.take(3)) == ["connection", f"step {first}", f"end jobs/1 {first}"]
        # One that comes now begins behind the end of the first, and is told of it at once.
        late = await StreamClient.open(server, "?topic=jobs/1&topic=jobs/2")
        assert brief(await late.take(2)) == ["connection", f"end jobs/1 {first}"]
        (second,) = await published(server, {"topic": "jobs/2", "final": True})
        for each in (stream, late):
            assert brief(await each.read_to_end()) == [f"step {second}", f"end jobs/2 {second}"]


async def test_stream_of_a_prefix_is_told_and_goes_on() -> None:
    async with serving() as server:
        streams = [await StreamClient.open(server, query) for query in ("", "?topic=jobs/*")]
        (final,) = await published(server, {"topic": "jobs/1", "final": True})
        (later,) = await published(server, {"topic": "jobs/2"})
        for stream in streams:
            told = brief(await stream.take(4))
            assert told == ["connection", f"step {final}", f"end jobs/1 {final}", f"step {later}"]


async def test_event_of_several_topics_ends_them_all() -> None:
    async with serving() as server:
        both = await StreamClient.open(server, "?topic=a&topic=b")
        one = await StreamClient.open(server, "?topic=b")
        (id,) = await published(server, {"topics": ["a", "b"], "final": True})
        for stream in (both, one):
            told = brief(await stream.read_to_end())
            assert told == ["connection", f"step {id}", f"end a {id}", f"end b {id}"]
        for topic in ("a", "b"):
            status, refused = await send(server, {"topic": topic})
            assert (status, refused["code"], refused["field"]) == (409, "topic_ended", "topic")


async def test_stream_of_other_types_is_told_of_the_end_too() -> None:
    async with serving() as server:
        query = "?topic=jobs/1&type=token"
        stream = await StreamClient.open(server, query)
        (token,) = await published(server, {"topic": "jobs/1", "type": "token"})
        (final,) = await published(server, {"topic": "jobs/1", "type": "done", "final": True})
        told = ["connection", f"token {token}", f"end jobs/1 {final}"]
        assert brief(await stream.read_to_end()) == told
        first = await StreamClient.open(server, query)
        assert brief(await first.read_to_end()) == told
        # Nothing of its type follows what it had: it would come back for ever.
        back = await StreamClient.open(server, query, **{"Last-Event-ID": token})
        assert back.status == 204


async def test_state_of_an_ended_topic_is_what_was_asked_for() -> None:
    async with serving() as server:
        kept = await published(
            server, *[{"topic": "jobs/1"}] * 4, {"topic": "jobs/1", "final": True}
        )
        for query in ("&last=2", "&last_per_topic=2"):
            stream = await StreamClient.open(server, JOB + query)
            told = brief(await stream.read_to_end())
            assert told == [
                "connection",
                *[f"step {id}" for id in kept[-2:]],
                f"end jobs/1 {kept[-1]}",
            ]


async def test_first_visit_when_the_final_event_has_left_is_told_of_the_end() -> None:
    async with serving(history_events=2) as server:
        (final,) = await published(server, {"topic": "jobs/1", "final": True})
        await published(server, *[{"topic": "other"}] * 9)
        stream = await StreamClient.open(server, JOB)
        events = await stream.read_to_end()
        assert brief(events) == ["connection", f"end jobs/1 {final}"]
        back = await StreamClient.open(server, JOB, **{"Last-Event-ID": events[0].last_event_id})
        assert back.status == 204


async def test_slow_stream_gets_all_of_it_before_its_end() -> None:
    async with serving(history_bytes=2**26) as server:
        stream = await StreamClient.open(server, JOB)
        large = {"topic": "jobs/1", "message": "x" * 60_000}
        kept = [id for _ in range(200) for id in await published(server, large)]
        kept += await published(server, {"topic": "jobs/1", "final": True})
        (only,) = server.hub.streams.values()
        assert only in server.hub.lagging
        told = brief(await stream.read_to_end())
        assert told == ["connection", *[f"step {id}" for id in kept], f"end jobs/1 {kept[-1]}"]


async def test_publishing_to_an_ended_topic_is_refused_and_counted() -> None:
    async with serving() as server:
        await published(server, {"topic": "a"}, {"topic": "a", "final": True})
        status, refused = await send(server, {"topic": "a"})
        assert (status, refused["code"], refused["field"]) == (409, "topic_ended", "topic")
        assert "'a'" in refused["error"]
        assert "index" not in refused
        status, refused = await send(server, {"topic": "b"}, {"topic": "a"})
        assert (status, refused["code"], refused["index"]) == (409, "topic_ended", 1)
        final: dict[str, Any] = {"topic": "b", "final": True}
        status, refused = await send(server, {"topic": "b"}, final, {"topic": "c"}, {"topic": "b"})
        assert (status, refused["code"], refused["index"]) == (409, "topic_ended", 3)
        assert server.hub.head.seq == 2
        assert server.hub.counters.publish_rejected["ended"] == 3
        assert (server.hub.counters.topics_ended, len(server.hub.ended_topics)) == (1, 1)
        large: list[dict[str, Any]] = [{"topic": "z", "message": "x" * 200}] * 400 + [
            {"topic": "a"}
        ]
        status, refused = await send(server, *large)  # read in slices
        assert (status, refused["code"], refused["index"]) == (409, "topic_ended", 400)


async def test_retry_of_a_final_publish_is_a_duplicate() -> None:
    async with serving() as server:
        final = {"topic": "a", "final": True, "key": "k"}
        status, first = await send(server, final)
        assert status == 200
        status, again = await send(server, final)
        assert (status, again["id"], again["duplicate"]) == (200, first["id"], True)
        status, other = await send(
            server, {"topic": "a", "key": "k"}
        )  # without the end it is another one
        assert (status, other["code"]) == (409, "key_reused")


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/api/topics/a?final=1", b"done", ("Content-Type: text/plain",)),
        ("/api/topics/a?final=1", b'{"type": "t", "message": "m"}', ("Content-Type: application/json",)),
        ("/api/topics/a", b'{"type": "t", "message": "m", "final": true}', ("Content-Type: application/json",)),
        ("/api/notify", b'{"type":"t","message":"m","topic":"a","final":true}\n', ("Content-Type: application/x-ndjson",)),
        (
            "/api/notify?topic=a",
            b'{"specversion":"1.0","id":"1","source":"/s","type":"t","final":true}',
            ("Content-Type: application/cloudevents+json",),
        ),
        (
            "/api/notify?topic=a",
            b"{}",
            ("Content-Type: application/json", "ce-specversion: 1.0", "ce-id: 1", "ce-source: /s", "ce-type: t", "ce-final: true"),
        ),
        (
            "/api/topics/a?final=1",
            b'{"specversion":"1.0","id":"1","source":"/s","type":"t"}',
            ("Content-Type: application/cloudevents+json",),
        ),
    ],
)  # fmt: skip
async def test_every_way_to_publish_can_end_a_topic(
    path: str, body: bytes, headers: tuple[str, ...]
) -> None:
    async with serving() as server:
        lines = "".join(f"{line}\r\n" for line in (*headers, f"Content-Length: {len(body)}"))
        request = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode() + body
        status, answer = await send_raw(server, request)
        assert status == 200, answer
        assert [topic for topic, _ in server.hub.ended_topics.all] == ["a"]


@pytest.mark.parametrize(
    ("path", "body", "type", "status", "field"),
    [
        ("/api/topics/a?final=yes", b"x", "text/plain", 400, "final"),
        ("/api/topics/a?final=", b"x", "text/plain", 400, "final"),
        ("/api/notify", b'{"type": "t", "message": "m", "final": 1}', "application/json", 422, "final"),
        ("/api/notify", b'{"type": "t", "message": "m", "final": null}', "application/json", 422, "final"),
        ("/api/notify", b'[{"type": "t", "message": "m", "final": "true"}]', "application/json", 422, "final"),
        ("/api/notify", b'{"type": "t", "message": "m", "final": true, "final": false}', "application/json", 400, None),
        (
            "/api/notify",
            b'{"specversion":"1.0","id":"1","source":"/s","type":"t","final":1}',
            "application/cloudevents+json",
            422,
            "final",
        ),
    ],
)  # fmt: skip
async def test_what_is_no_boolean_is_refused_and_ends_nothing(
    path: str, body: bytes, type: str, status: int, field: str | None
) -> None:
    async with serving() as server:
        lines = f"Content-Type: {type}\r\nContent-Length: {len(body)}\r\n"
        request = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode() + body
        told, answer = await send_raw(server, request)
        assert (told, answer.get("field")) == (status, field), answer
        assert server.hub.head.seq == 0


async def test_forgotten_topic_is_open_again() -> None:
    async with serving(ended_topics=2) as server:
        for topic in ("a", "b", "c"):
            await published(server, {"topic": topic, "final": True})
        stream = await StreamClient.open(server, "?topic=a")
        (later,) = await published(server, {"topic": "a"})
        assert brief(await stream.take(2)) == ["connection", f"step {later}"]
        status, _ = await send(server, {"topic": "b"})
        assert status == 409


async def test_history_says_that_its_topics_have_ended() -> None:
    async with serving() as server:
        poller = Poller(server)
        (first,) = await published(server, {"topic": "a"})
        page = await poller.page("topic=a")
        assert "ended" not in page
        (final,) = await published(server, {"topic": "a", "final": True})
        page = await poller.page("topic=a")
        assert (ids(page), page["ended"]) == ([first, final], True)
        assert [event.get("final", False) for event in page["events"]] == [False, True]
        assert "ended" not in await poller.page("topic=a&topic=b")
        assert "ended" not in await poller.page("topic=a*")
        page = await poller.page(f"topic=a&after={final}&wait=60")  # it doesn't wait for nothing
        assert (ids(page), page["ended"], page["more"]) == ([], True, False)
        poller.close()


async def test_poll_is_answered_when_its_topics_end() -> None:
    async with serving() as server:
        pollers = [Poller(server) for _ in range(2)]
        after = str(server.hub.head)
        await pollers[0].ask(f"topic=a&after={after}&wait=60")
        await pollers[1].ask(f"topic=a&type=token&after={after}&wait=60")
        await waiting(server, 2)
        (final,) = await published(server, {"topic": "a", "type": "done", "final": True})
        pages = [await poller.page() for poller in pollers]
        assert [(ids(page), page["ended"]) for page in pages] == [([final], True), ([], True)]
        for poller in pollers:
            poller.close()


async def test_head_of_an_ended_topic_is_that_of_a_stream() -> None:
    async with serving() as server:
        await published(server, {"topic": "jobs/1", "final": True})
        answer = await StreamClient.open(server, JOB, method="HEAD")
        assert (answer.status, answer.headers["content-type"]) == (
            200,
            "text/event-stream; charset=utf-8",
        )


async def test_many_streams_of_one_topic_all_end() -> None:
    async with serving() as server:
        streams = [await StreamClient.open(server, JOB) for _ in range(120)]
        (final,) = await published(server, {"topic": "jobs/1", "final": True})
        for stream in streams:
            told = brief(await stream.read_to_end())
            assert told == ["connection", f"step {final}", f"end jobs/1 {final}"]
        await eventually(lambda: not server.hub.streams)
        assert server.hub.counters.closed["ended"] == 120
        assert len(server.hub._fan_out) == 0


async def test_ended_topic_is_read_from_the_journal_after_a_restart(tmp_path: Path) -> None:
    file = {"journal": f"sqlite:{tmp_path / 'journal.db'}", "window_events": 2}
    async with serving(**file) as server:
        kept = await published(server, *[{"topic": "jobs/1"}] * 50)
        kept += await published(server, {"topic": "jobs/1", "final": True})
        await published(server, *[{"topic": "other"}] * 5)
    async with serving(**file) as server:
        whole = ["connection", *[f"step {id}" for id in kept], f"end jobs/1 {kept[-1]}"]
        stream = await StreamClient.open(server, JOB)
        assert brief(await stream.read_to_end()) == whole
        stream = await StreamClient.open(server, JOB, **{"Last-Event-ID": kept[9]})
        assert brief(await stream.read_to_end()) == ["connection", *whole[11:]]
        stream = await StreamClient.open(server, JOB + "&last_per_topic=1")
        assert brief(await stream.read_to_end()) == ["connection", *whole[-2:]]
        stream = await StreamClient.open(server, JOB + "&type=other")
        assert brief(await stream.read_to_end()) == ["connection", whole[-1]]
        back = await StreamClient.open(server, JOB, **{"Last-Event-ID": kept[-1]})
        assert back.status == 204
        status, refused = await send(server, {"topic": "jobs/1"})
        assert (status, refused["code"]) == (409, "topic_ended")
        poller = Poller(server)
        page = await poller.page(f"topic=jobs/1&after={kept[40]}&wait=60")
        assert (ids(page), page["ended"]) == (kept[41:], True)
        poller.close()
