"""Both lanes answer alike, whatever they are asked: a header that is odd in HTTP sends a request by the other one."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from functools import partial

import pytest

from tests.access.keys import KeyFile
from tests.hub_process import HubProcess
from tests.raw import Answer, get, notice, post, raw, read_answer

ODD = "Upgrade: something-else"
"""Not plain HTTP, and ignored by everybody."""

HOST = "Host: localhost"
ORIGIN = "Origin: https://a.example"
JSON = "Content-Type: application/json"
LENGTH_0 = "Content-Length: 0"
CLOSE = "Connection: close"

REQUESTS = {
    "event": post(notice()),
    "batch": post(b"[" + notice() + b"," + notice() + b"]"),
    "ndjson": post(notice() + b"\n" + notice(), type="application/x-ndjson"),
    "quoted-charset": post(notice(), type='application/json; charset="utf-8"'),
    "of-an-origin": post(notice(), ORIGIN),
    "not-json": post(b"{"),
    "bad-type": post(notice(type="a b")),
    "second-is-bad": post(b"[" + notice() + b",5]"),
    "empty": post(b""),
    "other-media-type": post(notice(), type="text/plain"),
    "gzip": post(notice(), "Content-Encoding: gzip"),
    "too-large": post(notice(message="x" * 70_000)),
    "get-of-a-post": get("/api/notify"),
    "preflight": raw("OPTIONS /api/notify HTTP/1.1", HOST, ORIGIN),
    "preflight-of-headers": raw(
        *("OPTIONS /api/notify HTTP/1.1", HOST, ORIGIN, "Access-Control-Request-Headers: x-a,b"),
    ),
    "text-of-an-origin": post(notice(), ORIGIN, type="text/plain"),
    "other-host": get("/healthz").replace(b"localhost", b"evil.example"),
    "post-to-another-host": post(notice()).replace(b"localhost", b"evil.example"),
    "stats-head": raw("HEAD /api/stats HTTP/1.1", HOST, CLOSE),
    "health": get("/healthz"),
    "health-with-a-slash": get("/healthz/"),
    "health-with-a-body": get("/healthz", "Content-Length: 2") + b"{}",
    "absolute-odd-authority": get("http://[::1/healthz"),
    "absolute": get("http://hub/healthz?x=1"),
    "ready": get("/readyz"),
    "history": get("/api/history?limit=2"),
    "history-bad-limit": get("/api/history?limit=02"),
    "history-long-limit": get("/api/history?limit=" + "0" * 5_000 + "1"),
    "history-slip": get("/api/history?topics=a"),
    "history-unknown": get("/api/history?limit=1&_=1"),
    "history-not-utf8": get("/api/history?topic=%ff"),
    "page": get("/"),
    "page-gzip": get("/js/app.js", "Accept-Encoding: gzip"),
    "page-head": raw("HEAD / HTTP/1.1", HOST, CLOSE),
    "page-known": get("/", "If-None-Match: *"),
    "page-of-nothing": get("/nothing.js"),
    "page-of-a-long-name": get("/" + "x" * 300),
    "page-of-a-long-path": get("/x" * 3_000),
    "page-outside": get("/../etc/passwd"),
    "two-slashes": get("//events"),
    "put": raw("PUT /api/notify HTTP/1.1", HOST, LENGTH_0),
    "delete-of-nothing": raw("DELETE /nothing.xyz~ HTTP/1.1", HOST),
    "post-to-a-page": raw("POST / HTTP/1.1", HOST, LENGTH_0),
    "events-slip": get("/events?topics=a"),
    "events-bad-topic": get("/events?topic=a%0ab"),
    "events-post": raw("POST /events HTTP/1.1", HOST, LENGTH_0),
    "session": get("/api/session"),
    "session-post": raw("POST /api/session HTTP/1.1", HOST, LENGTH_0),
    "session-end": raw("DELETE /api/session HTTP/1.1", HOST, LENGTH_0),
    "session-end-of-an-origin": raw("DELETE /api/session HTTP/1.1", HOST, ORIGIN, LENGTH_0),
    "ticket": raw("POST /api/ticket HTTP/1.1", HOST, LENGTH_0),
    "streams": get("/api/streams"),
    "streams-end": raw("DELETE /api/streams?number=999 HTTP/1.1", HOST, LENGTH_0),
    "close": get("/healthz", CLOSE),
    "http-1.0": get("/healthz", version="1.0"),
}

CHANGING = {
    "history",
    "history-unknown",
    "stats-head",
    "event",
    "batch",
    "ndjson",
    "quoted-charset",
    "of-an-origin",
}
"""Their bodies have the number of the moment in them."""


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    hub = HubProcess("--canary", "0")
    yield hub
    assert "Traceback" not in hub.log()
    hub.close()


def by_the_other_lane(request: bytes) -> bytes:
    return request.replace(b"\r\n", f"\r\n{ODD}\r\n".encode(), 1)


def ask(hub: HubProcess, request: bytes) -> Answer:
    with socket.create_connection(("127.0.0.1", hub.port), timeout=20) as connection:
        connection.sendall(request)
        return read_answer(connection)


@pytest.mark.parametrize("name", REQUESTS)
def test_answer_is_the_same_by_both_lanes(hub: HubProcess, name: str) -> None:
    request = REQUESTS[name]
    before = lanes(hub)
    fast, tornado = ask(hub, request), ask(hub, by_the_other_lane(request))
    taken = lanes(hub)
    assert fast.status
    assert fast.lasting == tornado.lasting
    assert list(fast.headers) == list(tornado.headers)
    if name not in CHANGING:
        assert fast.body == tornado.body
    assert taken["tornado"] - before["tornado"] == 1
    assert taken["fast"] - before["fast"] >= 1


def lanes(hub: HubProcess) -> dict[str, float]:
    return {
        lane: hub.metric(f'tocsin_http_lane_requests_total{{lane="{lane}"}}')
        for lane in ("fast", "tornado")
    }


BAD = "Authorization: Bearer bad"

GUARDED = {
    "without-credentials": get("/api/history"),
    "bad-credentials": get("/events", BAD),
    "bad-credentials-of-an-origin": post(notice(), BAD, ORIGIN),
    "bad-ticket": get("/events?ticket=bad"),
    "bad-session": get("/api/session", "Cookie: tocsin_session=bad"),
    "session-of-an-origin": get("/api/session", "Cookie: tocsin_session=bad", ORIGIN),
    "publish": post(notice()),
    "publish-by-put": raw(
        "PUT /api/notify HTTP/1.1", HOST, BAD, JSON, "Content-Length: 2", body=b"{}"
    ),
    "preflight-with-a-body": raw(
        "OPTIONS /api/notify HTTP/1.1", HOST, BAD, "Content-Length: 2", body=b"{}"
    ),
    "post-to-a-get": raw("POST /events HTTP/1.1", HOST, BAD, JSON, "Content-Length: 2", body=b"{}"),
    "post-to-nothing": raw("POST /none HTTP/1.1", HOST, BAD, JSON, "Content-Length: 2", body=b"{}"),
    "operators": get("/api/streams"),
    "metrics": get("/metrics", BAD),
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    keys = KeyFile(tmp_path_factory.mktemp("keys"))
    hub = HubProcess("--canary", "0", "--keys", keys.path)
    yield hub
    assert "Traceback" not in hub.log()
    hub.close()


@pytest.mark.parametrize("name", GUARDED)
def test_who_may_not_is_told_so_alike_by_both_lanes(guarded: HubProcess, name: str) -> None:
    request = GUARDED[name]
    fast, tornado = answer_to(guarded, request), answer_to(guarded, by_the_other_lane(request))
    assert fast == tornado


def answer_to(hub: HubProcess, request: bytes) -> bytes:
    """All bytes of the answer but the date and what is said of the connection."""
    with socket.create_connection(("127.0.0.1", hub.port), timeout=20) as connection:
        connection.sendall(by_a_last_request(request))
        received = b"".join(iter(partial(connection.recv, 65_536), b""))
    return re.sub(rb"Date: [^\r]*", b"", received)


def by_a_last_request(request: bytes) -> bytes:
    return request.replace(b"\r\n", f"\r\n{CLOSE}\r\n".encode(), 1)


STREAMS = {
    "stream": get("/events"),
    "stream-of-an-origin": get("/events?topic=a*&type=b", ORIGIN, "Last-Event-ID: x"),
    "stream-1.0": get("/events", version="1.0"),
    "stream-with-a-slash": get("/events/"),
    "stream-head": raw("HEAD /events HTTP/1.1", HOST),
    "stream-with-a-body": get("/events", "Content-Length: 2") + b"{}",
}


@pytest.mark.parametrize("name", STREAMS)
def test_stream_has_the_same_head_by_both_lanes(hub: HubProcess, name: str) -> None:
    fast, tornado = (
        ask(hub, request) for request in (STREAMS[name], by_the_other_lane(STREAMS[name]))
    )
    assert fast.status == 200
    assert "date" in fast.headers
    assert "content-length" not in fast.headers
    assert fast.lasting == tornado.lasting
    assert list(fast.headers) == list(tornado.headers)


def test_stream_by_the_other_lane_gets_events_and_is_forgotten_when_it_leaves(
    hub: HubProcess,
) -> None:
    clients = hub.metric("tocsin_clients")
    with socket.create_connection(("127.0.0.1", hub.port), timeout=20) as connection:
        connection.sendall(by_the_other_lane(get("/events")))
        received = b""
        while b"event: connection" not in received:
            received += connection.recv(65_536)
        id = hub.publish()["id"].encode()
        while id not in received:
            received += connection.recv(65_536)
        assert hub.metric("tocsin_clients") == clients + 1
