"""What strangers send: a clear answer, nothing published, nobody disturbed.

The table follows section c of the project's reliability study, by its row numbers. Left out, because the hub
has no such thing: idempotency keys (51-53), tokens and cookies (54-56, 68, 69), rate and per-address limits
(58, 71), a journal that can fail (59).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hub_process import HubProcess
from tests.patience import wait_until
from tests.raw import Answer, exchange, exchange_in_two, get, notice, post, raw, read_answer
from tests.serving import eventually, serving
from tests.sse import EventStreamParser, ServerSentEvent
from tocsin.http import patience

LIMIT = 4_096
BATCH_LIMIT = 16_384


class Witness:
    """A stream that was open before, and must get what comes after."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._socket.sendall(get("/events"))
        self._parser = EventStreamParser()
        self._events: list[ServerSentEvent] = []
        self.next()

    def next(self) -> ServerSentEvent:
        while not self._events:
            data = self._socket.recv(65_536)
            assert data, "the witness was cut off"
            # The chunk sizes are lines without a colon that no field bears: the parser skips them.
            self._events += self._parser.feed(data)
        return self._events.pop(0)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    hub = HubProcess("--max-event-bytes", str(LIMIT), "--max-batch-bytes", str(BATCH_LIMIT))
    yield hub
    assert "Traceback" not in hub.log()
    hub.close()


@pytest.fixture(scope="module")
def witness(hub: HubProcess) -> Iterator[Witness]:
    witness = Witness(hub.port)
    yield witness
    witness.close()


def check_refused(hub: HubProcess, witness: Witness, request: bytes) -> Answer:
    """Send `request`; whatever the answer, nothing is published, and the next event arrives.

    What comes whole and what comes in two segments has two readers, and gets one answer.
    """
    head = hub.get("/api/stats")["head"]
    answer = exchange(hub.port, request)
    parts = exchange_in_two(hub.port, request)
    assert parts.lasting == answer.lasting
    assert answer.status == 200 or parts.body == answer.body
    assert hub.get("/api/stats")["head"] == head
    assert b"Traceback" not in answer.body
    id = hub.publish(message="still here")["id"]
    assert witness.next().last_event_id == id
    return answer


TAKEN_BODY = notice()
TYPED = "Content-Type: application/json"
SIZE = len(TAKEN_BODY)
SIZED = f"Content-Length: {SIZE}"
CHUNKED = "Transfer-Encoding: chunked"
POST = "POST /api/notify HTTP/1.1"
HOST = "Host: localhost"

# The answer 0 is a connection closed without one: Tornado's way with headers beyond the limit.
HTTP_ROWS: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "1-no-host": (raw("GET /events HTTP/1.1"), (400,)),
    "2-two-hosts": (raw("GET / HTTP/1.1", HOST, "Host: b"), (400,)),
    "3-host-with-space": (raw("GET / HTTP/1.1", "Host: a b"), (400,)),
    "4-bare-line-feeds": (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", (200, 400)),
    "5-folded-header": (raw("GET / HTTP/1.1", HOST, "A: b", " c"), (400,)),
    "6-nul-in-header": (raw("GET / HTTP/1.1", HOST, "A: b\0c"), (400,)),
    "7-space-before-colon": (raw("GET / HTTP/1.1", HOST, "A : b"), (400,)),
    "8-long-headers": (get("/healthz", "A: " + "x" * 17_000), (431,)),
    "9-long-target": (get("/" + "x" * 17_000), (431,)),
    "8-long-headers-of-stream": (get("/events", "A: " + "x" * 17_000), (431,)),
    "9-long-target-of-stream": (get("/events?topic=" + "x" * 17_000), (431,)),
    "10-many-arguments": (get("/api/stats?" + "a&" * 1_100), (200, 400)),
    "10-many-arguments-of-stream": (get("/events?" + "a&" * 1_100), (400,)),
    "11-http2-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,)),
    "13-brew": (raw("BREW /events HTTP/1.1", HOST), (405,)),
    "13-lower-case": (raw("get /events HTTP/1.1", HOST), (405,)),
    "13-trace": (raw("TRACE /api/notify HTTP/1.1", HOST), (405,)),
    "13-connect": (raw("CONNECT localhost:80 HTTP/1.1", HOST), (405,)),
    "13-get-notify": (get("/api/notify"), (405,)),
    "13-delete-page": (raw("DELETE / HTTP/1.1", HOST), (405,)),
    "15-absolute-form": (get("http://hub/healthz"), (200,)),
    "15-absolute-form-of-nothing": (get("http://hub/nothing"), (404,)),
    "16-length-and-chunked": (
        raw(POST, HOST, TYPED, SIZED, "Transfer-Encoding: chunked", body=TAKEN_BODY),
        (400,),
    ),
    "17-gzip-chunked": (raw(POST, HOST, TYPED, "Transfer-Encoding: gzip, chunked"), (400,)),
    "17-unknown-coding": (raw(POST, HOST, TYPED, "Transfer-Encoding: xchunked"), (400,)),
    "18-two-lengths": (raw(POST, HOST, TYPED, SIZED, "Content-Length: 3", body=TAKEN_BODY), (400,)),
    "19-plus": (raw(POST, HOST, TYPED, "Content-Length: +2", body=b"{}"), (400,)),
    "19-minus": (raw(POST, HOST, TYPED, "Content-Length: -1", body=b"{}"), (400,)),
    "19-underscore": (raw(POST, HOST, TYPED, "Content-Length: 2_0", body=b"{}"), (400,)),
    "19-many-digits": (raw(POST, HOST, TYPED, "Content-Length: " + "9" * 5_000), (400, 413)),
    "20-chunk-size": (
        raw(POST, HOST, TYPED, "Transfer-Encoding: chunked", body=b"ZZ\r\n{}\r\n0\r\n\r\n"),
        (400,),
    ),
    "20-chunk-size-0x": (raw(POST, HOST, TYPED, CHUNKED, body=b"0x2\r\n{}\r\n0\r\n\r\n"), (400,)),
    "20-chunk-extension": (
        raw(POST, HOST, TYPED, CHUNKED, body=b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (SIZE, TAKEN_BODY)),
        (400,),
    ),
    "20-trailer": (
        raw(POST, HOST, TYPED, CHUNKED, body=b"%x\r\n%b\r\n0\r\nA: b\r\n\r\n" % (SIZE, TAKEN_BODY)),
        (400,),
    ),
    "22-length-over-limit": (raw(POST, HOST, TYPED, "Content-Length: 99999999"), (413,)),
    "24-expect-with-too-large": (
        raw(POST, HOST, TYPED, "Content-Length: 99999999", "Expect: 100-continue"),
        (413,),
    ),
    "25-gzip-body": (post(b"\x1f\x8b" + b"x" * 50, "Content-Encoding: gzip"), (415,)),
    "27-dots": (get("/../../etc/passwd"), (403, 404)),
    "27-encoded-dots": (get("/%2e%2e/%2e%2e/etc/passwd"), (403, 404)),
    "27-bad-escape": (get("/%zz"), (404,)),
    "27-double-slash": (get("//evil.example/"), (403, 404)),
    "27-nul-in-path": (get("/%00"), (400, 404)),
    "28-query-not-utf8": (get("/events?topic=%ff"), (400,)),
    "28-history-not-utf8": (get("/api/history?topic=%ff"), (400,)),
    "66-many-topics": (get("/events?" + "&".join(["topic=a"] * 101)), (400,)),
    "66-bad-topic": (get("/events?topic=a%0ab"), (422,)),
    "66-reserved-type": (get("/events?type=gap"), (422,)),
    "73-metrics-with-query": (get("/metrics?" + "a=b&" * 500), (200,)),
    "history-limit-0": (get("/api/history?limit=0"), (400,)),
    "history-limit-text": (get("/api/history?limit=ten"), (400,)),
    "history-limit-large": (get("/api/history?limit=1001"), (400,)),
    "no-such-route": (get("/api/nothing"), (404,)),
}


@pytest.mark.parametrize("row", HTTP_ROWS)
def test_odd_request_gets_its_answer_and_harms_nobody(
    hub: HubProcess, witness: Witness, row: str
) -> None:
    request, statuses = HTTP_ROWS[row]
    answer = check_refused(hub, witness, request)
    assert answer.status in statuses
    if answer.status == 405:
        assert "OPTIONS" in answer.headers["allow"]
    if answer.body and answer.status >= 400:
        assert set(answer.json) >= {"error", "code"}
    assert "location" not in answer.headers


SURROGATE = b'{"type": "t", "message": "\\ud800"}'

# Body, status, code, and the field that the answer names.
BODY_ROWS: dict[str, tuple[bytes, int, str, str | None]] = {
    "30-empty": (b"", 400, "invalid_json", None),
    "31-truncated": (b"{", 400, "invalid_json", None),
    "32-not-utf8": (b'{"type": "t", "message": "\xff"}', 400, "invalid_json", None),
    "33-utf16": (notice().decode().encode("utf-16"), 400, "invalid_json", None),
    "33-utf32": (notice().decode().encode("utf-32"), 400, "invalid_json", None),
    "33-bom": (b"\xef\xbb\xbf" + notice(), 400, "invalid_json", None),
    "34-nan": (b'{"type": "t", "message": "m", "data": {"a": NaN}}', 400, "invalid_json", None),
    "34-infinity": (b'{"type":"t","message":"m","data":{"a":Infinity}}', 400, "invalid_json", None),
    "35-overflow": (b'{"type": "t", "message": "m", "data": {"a": 1e999}}', 422, "invalid_field", "data[...]"),
    "36-surrogate": (SURROGATE, 422, "invalid_unicode", None),
    "36-surrogate-type": (b'{"type":"\\ud800","message":"m"}', 422, "invalid_unicode", None),
    "36-surrogate-topic": (b'{"type":"t","message":"m","topic":"\\ud800"}', 422, "invalid_unicode", None),
    "36-surrogate-key": (b'{"type":"t","message":"m","data":{"\\udc00":1}}', 422, "invalid_unicode", None),
    "37-nested": (b'{"type":"t","message":"m","data":{"a":' + b"[" * 4_000, 400, "too_deep", None),
    "38-duplicate": (b'{"type": "a", "type": "b", "message": "m"}', 400, "duplicate_key", None),
    "38-duplicate-inside": (b'{"type":"a","message":"m","data":{"x":1,"x":2}}', 400, "duplicate_key", None),
    "40-string": (b'"hello"', 422, "invalid_field", None),
    "40-null": (b"null", 422, "invalid_field", None),
    "40-number": (b"5", 422, "invalid_field", None),
    "41-type-number": (notice(type=5), 422, "invalid_field", "type"),
    "41-message-number": (notice(message=5), 422, "invalid_field", "message"),
    "41-topic-number": (notice(topic=5), 422, "invalid_field", "topic"),
    "41-data-array": (notice(data=[]), 422, "invalid_field", "data"),
    "41-data-string": (notice(data="x"), 422, "invalid_field", "data"),
    "41-data-null": (notice(data=None), 422, "invalid_field", "data"),
    "42-unknown-field": (notice(topik="a"), 422, "unknown_field", "topik"),
    "42-retry": (notice(retry="1"), 422, "unknown_field", "retry"),
    "44-line-feed-in-type": (notice(type="x\ndata: evil"), 422, "invalid_type", "type"),
    "44-return-in-type": (notice(type="x\rid: 9"), 422, "invalid_type", "type"),
    "44-crlf-in-type": (notice(type="x\r\n"), 422, "invalid_type", "type"),
    "44-nul-in-type": (notice(type="x\0"), 422, "invalid_type", "type"),
    "44-separator-in-type": (notice(type="x\u2028"), 422, "invalid_type", "type"),
    "44-long-type": (notice(type="x" * 65), 422, "invalid_type", "type"),
    **{f"45-reserved-{type}": (notice(type=type), 422, "reserved_type", "type")
       for type in ("open", "error", "connection", "gap", "busy", "presence", "end")},
    "46-id": (notice(id="1-1"), 422, "unknown_field", "id"),
    **{f"49-topic-{number}": (notice(topic=topic), 422, "invalid_topic", "topic")
       for number, topic in enumerate(
           ["", "x" * 257, "*", "../", "a\0", "a\u202eb", "a\u200b", "e\u0301", "a b", "a\n"])},
    "missing-type": (b'{"message": "m"}', 400, "missing_field", "type"),
    "missing-message": (b'{"type": "t"}', 400, "missing_field", "message"),
    "empty-type": (notice(type=""), 400, "missing_field", "type"),
    "empty-message": (notice(message=""), 400, "missing_field", "message"),
    "empty-object": (b"{}", 400, "missing_field", "type"),
    "empty-batch": (b"[]", 400, "batch_size", None),
    "number-of-309-digits": (
        notice(data={"a": [10**308]}), 422, "invalid_field", "data"),
    "50-over-limit": (notice(message="x" * LIMIT), 413, "too_large", None),
}  # fmt: skip


@pytest.mark.parametrize("row", BODY_ROWS)
def test_bad_body_is_refused_with_the_field_it_is_about(
    hub: HubProcess, witness: Witness, row: str
) -> None:
    body, status, code, field = BODY_ROWS[row]
    answer = check_refused(hub, witness, post(body))
    assert answer.headers["content-type"] == "application/json"
    assert (answer.status, answer.json["code"], answer.json.get("field")) == (status, code, field)
    assert isinstance(answer.json["error"], str)
    assert field is None or field in answer.json["error"]


@pytest.mark.parametrize(
    "type", [None, "", "text/plain", "application/json; charset=latin-1", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"]
)  # fmt: skip
def test_other_content_types_are_refused(
    hub: HubProcess, witness: Witness, type: str | None
) -> None:
    answer = check_refused(hub, witness, post(notice(), type=type))
    assert (answer.status, answer.json["code"]) == (415, "unsupported_type")


@pytest.mark.parametrize(
    "type", ["application/json;charset=UTF-8", "Application/JSON", "application/json; v=1"]
)
def test_json_is_known_in_any_spelling(hub: HubProcess, witness: Witness, type: str) -> None:
    assert exchange(hub.port, post(notice(), type=type)).status == 200
    witness.next()


TAKEN: dict[str, dict[str, Any]] = {
    "39-prototype-keys": {"data": {"__proto__": {"a": 1}, "constructor": 2}},
    "47-line-breaks": {"message": " a\r\nb\rc\nd\n"},
    "47-separators": {"message": "\u2028\u2029\x85\x0b\x0c\x1c"},
    "47-controls": {"message": "\x00\x01\x1b[31m\x7f"},
    "48-empty-data": {"data": {}},
    "35-big-integer": {"data": {"id": 2**63 + 1}},
    "html": {"message": "</script><img src=x onerror=alert(1)>"},
    "bidi": {"message": "\u202e\u200b\ufeff"},
    "emoji": {"message": "🔔 é ✓"},
}


@pytest.mark.parametrize("row", TAKEN)
def test_odd_but_valid_event_arrives_unchanged(hub: HubProcess, witness: Witness, row: str) -> None:
    answer = exchange(hub.port, post(notice(**TAKEN[row])))
    event = witness.next()
    expected = {"message": "bonjour", "data": {}} | TAKEN[row]
    assert answer.json["id"] == event.last_event_id
    assert {key: event.json[key] for key in expected} == expected


def test_body_exactly_at_the_limit_is_taken(hub: HubProcess, witness: Witness) -> None:
    body = notice().ljust(LIMIT)
    assert exchange(hub.port, post(body)).status == 200
    witness.next()
    answer = check_refused(hub, witness, post(body + b" "))
    assert (answer.status, answer.json["limit"]) == (413, LIMIT)


def test_event_that_grows_over_the_limit_as_clients_get_it_is_refused(
    hub: HubProcess, witness: Witness
) -> None:
    body = notice(message="x" * (LIMIT - len(notice(message=""))))
    assert len(body) == LIMIT
    answer = check_refused(hub, witness, post(body))
    assert (answer.status, answer.json["code"]) == (413, "too_large")
    assert f"max_event_bytes, {LIMIT} bytes" in answer.json["error"]


def test_chunked_body_that_grows_over_the_limit_is_refused(
    hub: HubProcess, witness: Witness
) -> None:
    body = notice(message="x" * LIMIT)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:2_000], body[2_000:]))
    head = raw(POST, HOST, TYPED, "Transfer-Encoding: chunked")
    answer = check_refused(hub, witness, head + chunks + b"0\r\n\r\n")
    assert (answer.status, answer.json["code"]) == (413, "too_large")


def test_too_large_body_is_refused_before_it_is_read(hub: HubProcess) -> None:
    with socket.create_connection(("127.0.0.1", hub.port), timeout=5) as connection:
        connection.sendall(raw(POST, HOST, TYPED, f"Content-Length: {BATCH_LIMIT + 1}"))
        assert read_answer(connection).status == 413


@pytest.mark.parametrize("odd", [(), ("Upgrade: x",)])
def test_body_beyond_each_limit_gets_one_answer_however_much_of_it_is_there(
    hub: HubProcess, odd: tuple[str, ...]
) -> None:
    request = post(notice(message="x" * BATCH_LIMIT), *odd)
    head = request[: request.index(b"\r\n\r\n") + 4]
    whole, alone = exchange(hub.port, request), exchange(hub.port, head)
    assert (whole.lasting, whole.body) == (alone.lasting, alone.body)
    assert (whole.status, whole.json["limit"]) == (413, BATCH_LIMIT)


def test_expecting_client_is_not_told_to_continue_with_what_is_too_large(hub: HubProcess) -> None:
    with socket.create_connection(("127.0.0.1", hub.port), timeout=5) as connection:
        connection.sendall(
            raw(POST, HOST, TYPED, "Expect: 100-continue", f"Content-Length: {BATCH_LIMIT + 1}")
        )
        assert connection.recv(12) == b"HTTP/1.1 413"


BATCH_ROWS: dict[str, tuple[bytes, str, int, str]] = {
    "second-is-bad": (b"[" + notice() + b"," + notice(type="a b") + b"]", "application/json", 422, "invalid_type"),
    "second-is-no-object": (b"[" + notice() + b", 5]", "application/json", 422, "invalid_field"),
    "second-has-twins": (b"[" + notice() + b', {"type":"a","type":"b"}]', "application/json", 400, "duplicate_key"),
    "second-line-is-bad": (notice() + b"\n{nonsense\n", "application/x-ndjson", 400, "invalid_json"),
    "second-is-large": (notice() + b"\n" + notice(message="x" * LIMIT), "application/x-ndjson", 413, "too_large"),
}  # fmt: skip


@pytest.mark.parametrize("row", BATCH_ROWS)
def test_batch_with_one_bad_event_is_refused_whole(
    hub: HubProcess, witness: Witness, row: str
) -> None:
    body, type, status, code = BATCH_ROWS[row]
    answer = check_refused(hub, witness, post(body, type=type))
    assert (answer.status, answer.json["code"], answer.json["index"]) == (status, code, 1)


def test_batch_of_too_many_events_is_refused(hub: HubProcess, witness: Witness) -> None:
    answer = check_refused(hub, witness, post(b'{"a":1}\n' * 1_001, type="application/x-ndjson"))
    assert (answer.status, answer.json["code"]) == (413, "batch_size")


@pytest.mark.parametrize(
    "id", ["garbage", "1-1", "9999999999999-1", "-5", "18446744073709551616-0", "1-1\xe9", "1-1, 2-2", "x" * 4_000, "x" * 10_000]
)  # fmt: skip
def test_any_last_event_id_opens_a_stream_that_tells_of_a_gap(hub: HubProcess, id: str) -> None:
    with socket.create_connection(("127.0.0.1", hub.port), timeout=5) as connection:
        connection.sendall(raw("GET /events HTTP/1.1", HOST, f"Last-Event-ID: {id}"))
        received = b""
        while b"event: gap" not in received:
            piece = connection.recv(65_536)
            assert piece
            received += piece
        assert received.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "headers",
    [
        ("Range: bytes=5-", "If-None-Match: *", "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT"),
        ("Accept: application/json",),
        ("Accept-Encoding: gzip, br",),
    ],
)
def test_headers_that_mean_nothing_to_a_stream_are_ignored(
    hub: HubProcess, headers: tuple[str, ...]
) -> None:
    with socket.create_connection(("127.0.0.1", hub.port), timeout=5) as connection:
        connection.sendall(get("/events", *headers))
        answer = read_answer(connection)
    assert (answer.status, answer.headers["content-type"]) == (
        200,
        "text/event-stream; charset=utf-8",
    )
    assert "content-encoding" not in answer.headers


def test_length_said_twice_alike_is_taken(hub: HubProcess, witness: Witness) -> None:
    request = raw(POST, HOST, TYPED, SIZED, SIZED, body=TAKEN_BODY)
    for answer in (exchange(hub.port, request), exchange_in_two(hub.port, request)):
        assert answer.json["id"] == witness.next().last_event_id


def test_of_two_last_event_ids_in_the_head_the_last_counts(hub: HubProcess) -> None:
    head = hub.get("/api/stats")["head"]
    with socket.create_connection(("127.0.0.1", hub.port), timeout=5) as connection:
        connection.sendall(get("/events", "Last-Event-ID: 1-1", f"Last-Event-ID: {head}"))
        received = b""
        while b"\n\n" not in received:
            piece = connection.recv(65_536)
            assert piece
            received += piece
    assert b'"resumed":true,"replayed":0,"missed":0' in received


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/api/stats", "/api/history"])
def test_head_is_answered_without_a_body(hub: HubProcess, path: str) -> None:
    request = raw(f"HEAD {path} HTTP/1.1", HOST, "Connection: close")
    with socket.create_connection(("127.0.0.1", hub.port), timeout=5) as connection:
        connection.sendall(request)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert received.endswith(b"\r\n\r\n")


async def test_client_that_does_not_finish_its_request_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "HEAD_S", 0.3)
    stuck = {
        "half a request line": b"GET /eve",
        "half of the headers": b"GET /events HTTP/1.1\r\nHost: localhost\r\n",
        "a TLS hello": bytes.fromhex("16030100a5010000a10303") + b"\0" * 20,
        "half of a body": raw(POST, HOST, TYPED, SIZED, body=TAKEN_BODY[:-5]),
    }
    async with serving() as server:
        sockets = {what: socket.create_connection(("127.0.0.1", server.port)) for what in stuck}
        for what, connection in sockets.items():
            connection.setblocking(False)
            connection.sendall(stuck[what])
        for what, connection in sockets.items():
            await eventually(lambda connection=connection: is_closed(connection), what)  # type: ignore[misc]
            connection.close()
        assert server.hub.ring.head == 0


def is_closed(connection: socket.socket) -> bool:
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    return True


def test_sender_that_leaves_before_the_answer_has_published_all_or_nothing(hub: HubProcess) -> None:
    published = int(hub.metric('tocsin_events_published_total{source="api"}'))
    for length in (5, len(TAKEN_BODY)):
        with socket.create_connection(("127.0.0.1", hub.port)) as connection:
            connection.sendall(raw(POST, HOST, TYPED, SIZED, body=TAKEN_BODY[:length]))
    wait_until(lambda: hub.metric('tocsin_events_published_total{source="api"}') == published + 1)


def test_second_request_on_a_streams_connection_ends_it(hub: HubProcess) -> None:
    with socket.create_connection(("127.0.0.1", hub.port), timeout=5) as connection:
        connection.sendall(get("/events") + post(notice()))
        while connection.recv(65_536):
            pass


def test_errors_say_what_the_contract_says(hub: HubProcess) -> None:
    body = json.dumps({"message": "no type"}).encode()
    answer = exchange(hub.port, post(body))
    assert answer.status == 400
    assert (
        answer.json["error"] == "type is missing or empty; type and message are required, not empty"
    )
