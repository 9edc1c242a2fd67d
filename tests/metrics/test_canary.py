"""The canary: it sings when events arrive, falls silent when they don't, and nobody else hears it."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.web import Application

import tocsin
from tests.patience import PATIENCE_S
from tests.serving import StreamClient, eventually, publish, serving
from tocsin import Draft, Filter, Hub, InvalidInput
from tocsin.app import Server
from tocsin.core.event import InternalEvent
from tocsin.http import listener
from tocsin.http.fast_lane import FastConnection
from tocsin.ops.canary import TOPIC, Canary


def canary_of(server: Server, timeout_s: float = 5.0) -> Canary:
    """A canary that runs when the test says so."""
    return Canary(server.hub, server._listener.connect, 60, timeout_s)


async def ask(server: Server, path: str, body: bytes | None = None, **headers: str) -> HTTPResponse:
    return await AsyncHTTPClient().fetch(
        f"http://127.0.0.1:{server.port}{path}",
        method="GET" if body is None else "POST",
        body=body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        raise_error=False,
    )


async def test_run_is_timed_and_dated_when_its_event_arrives() -> None:
    async with serving(canary=0) as server:
        await canary_of(server).run()
        counters = server.hub.counters
        assert counters.canary_runs == {"ok": 1, "failed": 0}
        assert sum(counters.canary_s.counts) == 1
        assert 0 < counters.canary_s.sum < 5
        assert counters.canary_last_success > 1_700_000_000


async def test_run_is_timed_from_before_its_post_until_its_event_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a client's time is: a hub that takes long to read a request is slow for its publishers' readers."""
    held_s = 0.3

    class Slow(FastConnection):
        def on_ready(self, events: int = select.EPOLLIN) -> None:
            time.sleep(held_s)  # the loop is held up, before it reads
            super().on_ready(events)

    async with serving(canary=0) as server:
        monkeypatch.setattr(listener, "FastConnection", Slow)
        await canary_of(server).run()
        assert server.hub.counters.canary_s.sum > held_s


async def test_server_runs_its_canary_again_and_again() -> None:
    async with serving(canary=0.02) as server:
        await eventually(lambda: server.hub.counters.canary_runs["ok"] >= 3)
        assert server.hub.counters.canary_interval_s == 0.02
    assert server.hub.counters.canary_runs["failed"] == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "localhost"])
async def test_canary_finds_its_own_listener(host: str) -> None:
    async with serving(canary=60, host=(host,), insecure=True) as server:
        await eventually(lambda: server.hub.counters.canary_runs["ok"])


async def test_canary_that_is_off_says_so() -> None:
    async with serving(canary=0) as server:
        assert server.hub.counters.canary_interval_s == 0
        assert server.hub.counters.canary_last_success == 0


def stop_the_pass(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.hub._fan_out, "_run_pass", lambda: None)


def refuse_events(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.hub, "draining", True)


def lose_the_index(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.hub._fan_out._index, "matching", lambda *_: [])


def stop_listening(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server._listener.stop()


@pytest.mark.parametrize("break_it", [stop_the_pass, refuse_events, lose_the_index, stop_listening])
async def test_canary_fails_within_its_bound_when_events_do_not_arrive(
    break_it: Callable[[Server, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(canary=0) as server:
        break_it(server, monkeypatch)
        async with asyncio.timeout(PATIENCE_S):
            await canary_of(server, timeout_s=0.1).run()
        assert server.hub.counters.canary_runs == {"ok": 0, "failed": 1}
        assert server.hub.counters.canary_last_success == 0
        monkeypatch.undo()


async def test_canary_recovers_with_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(canary=0) as server:
        canary = canary_of(server, timeout_s=0.1)
        with monkeypatch.context() as broken:
            refuse_events(server, broken)
            await canary.run()
        await canary.run()
        assert server.hub.counters.canary_runs == {"ok": 1, "failed": 1}


async def test_canary_works_in_a_hub_that_is_full() -> None:
    async with serving(canary=0, max_clients=1) as server:
        await StreamClient.open(server)
        assert server.hub.refuses(Filter()) == "full"
        await canary_of(server).run()
        assert server.hub.counters.canary_runs["ok"] == 1


async def test_no_stream_hears_the_canary_and_no_count_knows_it() -> None:
    async with serving(canary=0) as server:
        hub = server.hub
        client = await StreamClient.open(server, "?presence=1")
        star = await StreamClient.open(server, "?topic=*&topic=t*")
        await client.next()
        await star.next()
        [id] = await publish(server)
        await client.next()
        await star.next()
        before = everything_counted(hub)
        for _ in range(3):
            await canary_of(server).run()
        await eventually(lambda: not hub._internal_streams.open)
        assert hub.counters.canary_runs["ok"] == 3
        assert everything_counted(hub) == before
        assert str(hub.head) == id
        await publish(server)
        # The next thing that they get is the next event: nothing came between.
        assert (await client.next()).type == "notification"
        assert (await star.next()).type == "notification"
        third = await StreamClient.open(server)
        assert '"id":3,' in (await third.next()).data


def everything_counted(hub: Hub) -> dict[str, object]:
    """All numbers of the hub but those of the canary, of time passing, and of the log's lines."""
    apart = {"canary_s", "canary_runs", "canary_last_success", "canary_since"}
    apart |= {"loop_lag_s", "loop_stalled_s", "_samples"}
    counted = {
        name: (value.counts[:], value.sum) if hasattr(value, "counts") else str(value)
        for name, value in vars(hub.counters).items()
        if name not in apart
    }
    return counted | {"hub": repr(hub), "number": hub._subscriptions._last_number}


async def test_canary_is_in_no_access_log_and_no_count_of_requests() -> None:
    async with serving(canary=0) as server:
        await canary_of(server).run()
        text = (await ask(server, "/metrics")).body.decode()
        assert 'tocsin_http_requests_total{code="200",handler="notify",method="POST"} 0.0' in text
        assert 'tocsin_canary_runs_total{outcome="ok"} 1.0' in text


async def test_strangers_may_neither_publish_nor_listen_on_reserved_topics() -> None:
    async with serving(canary=0) as server:
        body = b'{"type": "canary", "message": "x", "topic": "tocsin/canary"}'
        json = {"Content_Type": "application/json"}
        refused = await ask(server, "/api/notify", body, **json)
        assert (refused.code, b"reserved_topic" in refused.body) == (422, True)
        for topic in ("tocsin/canary", "tocsin/*", "tocsin/other"):
            refused = await ask(server, f"/events?topic={topic}")
            assert (refused.code, b"reserved_topic" in refused.body) == (422, True)


def test_topics_that_only_look_reserved_are_free() -> None:
    assert Draft("tick", b"{}", topic="tocsin").topic == "tocsin"
    assert Filter.parse(["tocsin", "tocsin*", "shop/tocsin/*"], []).patterns
    with pytest.raises(InvalidInput, match="reserved"):
        Draft("tick", b"{}", topic=TOPIC)
    with pytest.raises(ValueError, match="signal"):
        InternalEvent("canary", b"{}", "news")


async def test_canary_stops_before_the_hub_drains() -> None:
    async with serving(canary=0.01) as server:
        await StreamClient.open(server)
        await eventually(lambda: server.hub.counters.canary_runs["ok"])
    assert server.hub.counters.canary_runs["failed"] == 0
    assert server.hub._internal_streams.open == set()
    assert server.hub.counters.canary_interval_s == 0


@asynccontextmanager
async def embedding() -> AsyncIterator[tuple[Hub, int]]:
    """A hub in an application of somebody's own, with a listener of its own."""
    hub = tocsin.Hub(tocsin.Settings(drain_timeout=0.1))
    await hub.start()
    listener = Application(tocsin.routes(hub)).listen(0, "127.0.0.1")
    port = next(iter(listener._sockets.values())).getsockname()[1]
    try:
        yield hub, port
    finally:
        listener.stop()
        await hub.stop()
        await listener.close_all_connections()


async def test_embedded_hub_has_no_canary_and_says_so() -> None:
    async with embedding() as (hub, port):
        await hub.publish(Draft("tick", b"{}"))
        answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/metrics")
        assert b"tocsin_canary_interval_seconds 0.0" in answer.body
        assert b'tocsin_events_published_total{source="api"} 1.0' in answer.body
