"""What happened to client X, and to event Y: the lines of a real hub, in both forms."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.monitoring.audience import open_stream
from tests.patience import PATIENCE_S, wait_until
from tests.raw import exchange, notice, post

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def lines(hub: HubProcess, message: str, count: int = 1) -> list[dict[str, Any]]:
    """The lines that are `message`, as soon as there are so many, as JSON."""

    def found() -> list[dict[str, Any]]:
        made = [json.loads(line) for line in hub.log().splitlines() if line.startswith("{")]
        return [line for line in made if line["message"] == message]

    wait_until(lambda: len(found()) >= count, what=f"{count} x {message}")
    return found()


def posted(hub: HubProcess, body: bytes, head: str = "") -> dict[str, Any]:
    fields = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    request = f"POST /api/notify HTTP/1.1\r\n{fields}{head}\r\n".encode() + body
    answer: dict[str, Any] = json.loads(exchange(hub.port, request).body)
    return answer


def opened(hub: HubProcess, query: str, head: str = "") -> None:
    request = f"GET /events?{query} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode()
    exchange(hub.port, request)  # reads the opening, and leaves


def test_one_clients_number_finds_all_its_lines(start_hub: StartHub) -> None:
    hub = start_hub("--log-format", "json")
    first, newest = hub.publish()["id"], hub.publish()["id"]
    open_stream(hub.port, last_event_id=first).close()
    head = f"User-Agent: {'x' * 300}\r\nLast-Event-ID: 1-1\r\n"
    opened(hub, "topic=a&topic=b*&type=tick", head)
    (one, two), closed = lines(hub, "stream opened", 2), lines(hub, "stream closed", 2)
    assert (one["client"], one["last_id"], one["address"]) == (1, first, "127.0.0.1")
    assert (one["cursor"], one["replayed"]) == (first, 1)
    assert (two["topics"], two["types"], two["gap"]) == ("a,b*", "tick", "restart")
    assert two["agent"] == "x" * 128
    assert {line["client"]: line["cursor"] for line in closed}[1] == newest


def test_one_events_id_finds_its_line(start_hub: StartHub) -> None:
    hub = start_hub("--log-format", "json")
    body = json.dumps({"type": "tick", "message": "m", "topics": ["a", "b"]}).encode()
    answer = posted(hub, body, f"traceparent: {TRACEPARENT}\r\nUser-Agent: probe\r\n")
    (line,) = lines(hub, "request")
    assert (line["id"], line["type"], line["topic"]) == (answer["id"], "tick", "a,b")
    assert (line["trace"], line["agent"], line["status"]) == (TRACE, "probe", 200)
    ids = hub.publish_at_once("tick", "1", "2", "3")
    line = lines(hub, "request", 2)[1]
    assert (line["id"], line["last_id"], line["events"]) == (ids[0], ids[2], 3)
    assert "trace" not in line


@pytest.mark.parametrize("encoding", ["plain", "chunked"])
def test_refused_post_says_why(start_hub: StartHub, encoding: str) -> None:
    hub = start_hub("--log-format", "json")
    body = notice(type="not a type")
    request = post(body)
    if encoding == "chunked":  # the other lane
        head = b"Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        request = (
            b"POST /api/notify HTTP/1.1\r\n" + head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        )
    assert exchange(hub.port, request).status == 422
    (line,) = lines(hub, "request")
    assert (line["code"], line["field"], line["status"]) == ("invalid_type", "type", 422)


def test_refused_stream_has_a_line(start_hub: StartHub) -> None:
    hub = start_hub("--max-clients", "1", "--log-format", "json")
    held = open_stream(hub.port)
    open_stream(hub.port, last_event_id="7-7").close()
    (line,) = lines(hub, "stream refused")
    assert (line["reason"], line["address"], line["last_id"]) == ("full", "127.0.0.1", "7-7")
    held.close()


def test_lines_of_text_hold_the_same(start_hub: StartHub) -> None:
    hub = start_hub()
    answer = posted(hub, notice(), f"traceparent: {TRACEPARENT}\r\nUser-Agent: a b\r\n")
    open_stream(hub.port, last_event_id="7-7").close()
    wait_until(lambda: "stream closed" in hub.log())
    log = hub.log()
    assert re.search(rf"request .*id={answer['id']} .*trace={TRACE} agent='a b'", log)
    assert re.search(r"stream opened client=1 .*address=127.0.0.1 last_id=7-7", log)


def test_sampling_leaves_a_client_all_of_its_lines_or_none(start_hub: StartHub) -> None:
    hub = start_hub("--log-format", "json", "--log-sampling", "0.25")
    for _ in range(8):
        open_stream(hub.port).close()
    with_a_gap = open_stream(hub.port, last_event_id="7-7")
    lines(hub, "stream closed", 2)
    shown = [line["client"] for line in lines(hub, "stream opened", 3)]
    assert shown == [4, 8, 9]  # the last one lost something
    assert {line["client"] for line in lines(hub, "stream closed", 2)} == {4, 8}
    with_a_gap.close()


def test_lines_of_one_text_a_second_can_be_set(start_hub: StartHub) -> None:
    hub = start_hub("--log-format", "json", "--log-alike", "2")

    def is_told() -> bool:  # by the first line of the next second
        hub.publish()
        return "log lines not written" in hub.log()

    wait_until(is_told)
    assert lines(hub, "log lines not written")[0]["alike"] > 0


def test_trace_is_kept_with_the_event_and_not_in_the_stream(
    start_hub: StartHub, tmp_path: Any
) -> None:
    journal = ("--journal", f"sqlite:{tmp_path / 'log.db'}", "--window-events", "1")
    hub = start_hub(*journal)
    posted(hub, notice(), f"traceparent: {TRACEPARENT}\r\n")
    posted(hub, notice(), "traceparent: 00-nonsense\r\n")
    hub.publish()
    shown = [event.get("traceparent") for event in hub.get("/api/history")["events"]]
    assert shown == [TRACEPARENT, None, None]  # the first two from the file
    with socket.create_connection(("127.0.0.1", hub.port), PATIENCE_S) as stream:
        stream.sendall(b"GET /events?last_event_id=earliest HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while received.count(b"event: notification") < 3:
            received += stream.recv(65_536)
    assert TRACE.encode() not in received


def test_streams_come_by_how_far_they_are_behind(start_hub: StartHub) -> None:
    from tests.http.test_slow_clients import stalled_client

    hub = start_hub("--slow-client-timeout", "60")
    slow, quick = stalled_client(hub.port), open_stream(hub.port)
    for _ in range(30):
        hub.publish(message="x" * 50_000)
        wait_until(lambda: quick.recv(1 << 20))
    shown = hub.get("/api/streams?sort=lag&limit=1")
    assert [stream["lag"] > 0 for stream in shown["streams"]] == [True]
    for query in ("sort=name", "sort=lag&after=1"):
        request = f"GET /api/streams?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        assert exchange(hub.port, request).status == 400
    slow.close()
    quick.close()
