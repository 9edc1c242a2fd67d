"""Requests whose end a proxy and the hub could see at different places: what one takes for a body, none takes for a request."""

from __future__ import annotations

import socket
import time

from tests.conftest import StartHub
from tests.patience import PATIENCE_S, wait_until
from tests.proxies.conftest import StartProxy
from tests.raw import exchange, get, raw

HIDDEN = get("/hidden")
LAST = get("/last", "Connection: close")
POST = ("POST /api/notify HTTP/1.1", "Host: localhost", "Content-Type: application/json")
CHUNKED = "Transfer-Encoding: chunked"
LENGTH = f"Content-Length: {len(HIDDEN)}"
ENDED = b"0\r\n\r\n" + HIDDEN
IN_A_CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)

ODD = {
    "a length and chunks": raw(*POST, f"Content-Length: {len(ENDED)}", CHUNKED, body=ENDED),
    "chunks and a length": raw(*POST, CHUNKED, "Content-Length: 4", body=IN_A_CHUNK),
    "two lengths": raw(*POST, "Content-Length: 0", LENGTH, body=HIDDEN),
    "two lengths in a line": raw(*POST, f"Content-Length: 0, {len(HIDDEN)}", body=HIDDEN),
    "a length with a sign": raw(*POST, f"Content-Length: +{len(HIDDEN)}", body=HIDDEN),
    "a length with a space before the colon": raw(
        *POST, f"Content-Length : {len(HIDDEN)}", "Content-Length: 0", body=HIDDEN
    ),
    "chunks of another name": raw(*POST, "Transfer-Encoding: xchunked", LENGTH, body=HIDDEN),
    "chunks behind a tab": raw(*POST, "Transfer-Encoding:\tchunked", LENGTH, body=ENDED),
    "chunks behind a vertical tab": raw(*POST, "Transfer-Encoding: \x0bchunked", LENGTH, body=ENDED),
    "chunks with a space before the colon": raw(
        *POST, "Transfer-Encoding : chunked", LENGTH, body=ENDED
    ),
    "chunks on a folded line": raw(*POST, "Transfer-Encoding:", " chunked", LENGTH, body=ENDED),
    "chunks twice": raw(*POST, CHUNKED, "Transfer-Encoding: identity", body=ENDED),
    "chunks and something else": raw(*POST, "Transfer-Encoding: chunked, x", LENGTH, body=ENDED),
    "a chunk's size with a line feed in its extension": raw(
        *POST, CHUNKED, body=b"2;\n{}\r\n" + ENDED
    ),
    "a chunk's size that is too large for many": raw(
        *POST, CHUNKED, body=b"10000000000000002\r\n{}\r\n" + ENDED
    ),
    "a body that nobody expects": raw("GET /api/stats HTTP/1.1", "Host: localhost", LENGTH, body=HIDDEN),
    "a line feed alone behind the head": raw(*POST, LENGTH)[:-2] + b"\n" + HIDDEN,
    "a return alone in a field": raw(*POST, f"A: b\rContent-Length: {len(HIDDEN)}", body=HIDDEN),
}  # fmt: skip


def answers_of(port: int, request: bytes) -> bytes:
    """All that comes back until the connection ends, or nothing more does."""
    received, deadline = b"", time.monotonic() + 3
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(request)
        while b"/last" not in received and (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                piece = connection.recv(65_536)
            except (TimeoutError, ConnectionResetError):
                break
            if not piece:
                break
            received += piece
    return received


def test_no_body_is_taken_for_a_request(start_hub: StartHub, start_proxy: StartProxy) -> None:
    hub = start_hub("--canary", "0")
    proxy = start_proxy(hub.port)
    asked = told = 0
    for what, odd in ODD.items():
        received = answers_of(proxy.port, odd + LAST)
        # Where the proxy itself takes it for the next request, it is one, and is answered.
        told += received.count(b'"not_found"')
        for _ in range(3):  # connections of the proxy that others would use next
            answer = exchange(proxy.port, get("/api/history?after=1-1"))
            assert (answer.status, answer.json["events"]) == (200, []), what
            asked += 1
        wait_until(lambda: hub.log().count("path=/api/history") == asked, what="they are logged")  # noqa: B023
        assert hub.log().count("path=/hidden") + hub.log().count("path=/last") == told, what
    assert "path=/last" in hub.log()
    assert "Traceback" not in hub.log()
