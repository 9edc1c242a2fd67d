"""What is read at one go, and what is left to Tornado."""

from __future__ import annotations

import pytest

from tests.raw import get, notice, post
from tocsin.http.fast_lane import read_plain

POST = post(notice(type="a", message="b"))
GET = get("/events?topic=a", "Last-Event-ID: 1-2", "Connection: keep-alive")


@pytest.mark.parametrize("request_", [GET, POST])
def test_whole_request_is_plain_and_ends_where_it_ends(request_: bytes) -> None:
    plain = read_plain(request_ + GET, 8192)
    assert plain is not None
    assert plain.size == len(request_)
    assert plain.start_line.method == request_.split()[0].decode()


def test_head_and_body_are_taken_as_they_are() -> None:
    plain = read_plain(POST, 8192)
    assert plain is not None
    assert plain.body == notice(type="a", message="b")
    assert plain.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("request_", [GET, POST])
def test_request_that_is_cut_anywhere_is_not_plain(request_: bytes) -> None:
    assert [read_plain(request_[:cut], 8192) for cut in range(len(request_))] == [None] * len(
        request_
    )


@pytest.mark.parametrize(
    "request_",
    [
        get("/"),
        get("/metrics"),
        get("/events", version="1.0"),
        get("/events", "Connection: close"),
        get("/events", "Upgrade: websocket"),
        get("/events", "Content-Length: x"),
        get("/events", "Content-Length: 1, 2"),
        get("/events", "Long: " + "x" * 9_000),
        get("/events").replace(b"\r\n", b"\n"),
        get("/events").replace(b"Host", b"Accept: *\nHost"),
        get("/events").replace(b"Host: ", b"Host : "),
        get("/events", "A: b\r\n folded"),
        get("/events", "A: \x00"),
        post(b"{}", "Transfer-Encoding: chunked"),
        post(b"{}", "Expect: 100-continue"),
        post(b"{}", "Content-Length: 3"),
        post(b"{}").replace(b"Content-Length: 2", b"Content-Length: +2"),
        post(b"{}").replace(b"Content-Length: 2\r\n", b""),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    ],
)
def test_what_is_odd_is_left_to_tornado(request_: bytes) -> None:
    assert read_plain(request_, 8192) is None
