"""Heads as bytes: what is plain, what is left to Tornado, and how answers are written."""

from __future__ import annotations

import pytest

from tests.raw import get, notice, post, raw
from tocsin.http import http1
from tocsin.http.answer import Answer
from tocsin.http.http1 import encode_answer, encode_for_each, read_head
from tocsin.http.request import joined


def head_of(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[0]


def test_parts_of_a_head_are_as_they_were_sent() -> None:
    head = read_head(head_of(get("/events?topic=a%20b&x", "Last-Event-ID:  1-2 ", "Accept: a")))
    assert head is not None
    assert (head.method, head.path, head.query, head.version) == (
        *("GET", "/events", "topic=a%20b&x", "HTTP/1.1"),
    )
    assert head.headers["last-event-id"] == "1-2"
    assert (head.body_bytes, head.keeps_alive) == (0, True)


def test_length_of_a_body_is_what_the_head_says() -> None:
    head = read_head(head_of(post(notice())))
    assert head is not None
    assert head.body_bytes == len(notice())


def test_lines_of_one_name_are_joined_and_of_single_values_the_last_counts() -> None:
    head = read_head(
        head_of(get("/events", "A: 1", "a: 2", "Last-Event-ID: 1-1", "last-event-id: 1-2"))
    )
    assert head is not None
    assert (head.headers["a"], head.headers["last-event-id"]) == ("1, 2", "1-2")


@pytest.mark.timeout(30)  # it took 20 s where each line copied what was joined before it
def test_many_lines_of_one_name_are_joined_in_one_go() -> None:
    lines = 200_000
    assert joined(("A", "") for _ in range(lines)) == {"a": ", " * (lines - 1)}


@pytest.mark.parametrize(
    ("version", "connection", "keeps_alive"),
    [
        ("1.1", "", True),
        ("1.1", "Connection: Keep-Alive", True),
        ("1.1", "Connection: close", False),
        ("1.0", "", False),
        ("1.0", "Connection: keep-alive", False),
    ],
)
def test_connection_lasts_as_its_version_and_its_header_say(
    version: str, connection: str, keeps_alive: bool
) -> None:
    head = read_head(
        head_of(get("/events", *([connection] if connection else []), version=version))
    )
    assert head is not None
    assert head.keeps_alive is keeps_alive


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_common_methods_are_plain(method: str) -> None:
    head = read_head(head_of(raw(f"{method} /x HTTP/1.1", "Host: localhost")))
    assert head is not None
    assert head.method == method


def test_absolute_form_names_the_path() -> None:
    head = read_head(head_of(raw("GET http://hub:3000/healthz?a HTTP/1.1", "Host: localhost")))
    assert head is not None
    assert (head.path, head.query) == ("/healthz", "a")


@pytest.mark.parametrize("credentials", ["Authorization: Bearer x", "cookie: a=b"])
def test_head_that_says_who_sent_it_is_known_as_such(credentials: str) -> None:
    head = read_head(head_of(get("/", credentials)))
    assert head is not None
    assert not head.is_repeated
    plain = read_head(head_of(get("/")))
    assert plain is not None
    assert plain.is_repeated


ODD = {
    "upgrade": get("/events", "Upgrade: websocket"),
    "other-connection": get("/events", "Connection: Upgrade"),
    "length-of-letters": get("/events", "Content-Length: x"),
    "two-lengths": get("/events", "Content-Length: 1", "Content-Length: 2"),
    "plus-length": post(b"{}").replace(b"Content-Length: 2", b"Content-Length: +2"),
    "long-length": post(b"{}").replace(b"Content-Length: 2", b"Content-Length: " + b"2" * 16),
    "no-length": post(b"{}").replace(b"Content-Length: 2\r\n", b""),
    "bare-line-feed": get("/events").replace(b"Host", b"Accept: *\nHost"),
    "bare-return": get("/events", "A: b\rc"),
    "space-before-colon": get("/events").replace(b"Host: ", b"Host : "),
    "folded": get("/events", "A: b\r\n folded"),
    "nul": get("/events", "A: \x00"),
    "no-name": get("/events", ": x"),
    "no-colon": get("/events", "x"),
    "no-host": raw("GET / HTTP/1.1"),
    "two-hosts": raw("GET / HTTP/1.1", "Host: a", "Host: b"),
    "odd-host": raw("GET / HTTP/1.1", "Host: a b"),
    "coded": post(b"{}", "Transfer-Encoding: chunked"),
    "expecting": post(b"{}", "Expect: 100-continue"),
    "other-version": raw("GET / HTTP/1.2", "Host: localhost"),
    "other-method": raw("BREW / HTTP/1.1", "Host: localhost"),
    "lower-case": raw("get / HTTP/1.1", "Host: localhost"),
    "fragment": raw("GET /#a HTTP/1.1", "Host: localhost"),
    "two-spaces": raw("GET  / HTTP/1.1", "Host: localhost"),
    "authority": raw("CONNECT hub:80 HTTP/1.1", "Host: localhost"),
    "asterisk": raw("OPTIONS * HTTP/1.1", "Host: localhost"),
    "not-ascii": get("/\xe9"),
    "preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
}


@pytest.mark.parametrize("row", ODD)
def test_what_is_odd_is_left_to_tornado(row: str) -> None:
    assert read_head(head_of(ODD[row])) is None


FIELDS = (("Server", "tocsin"), ("Vary", "Origin"))


def test_fields_that_were_read_before_say_the_same_behind_any_first_line() -> None:
    lines = b"Host: a\r\nContent-Type: application/json"
    first = read_head(b"GET /events HTTP/1.1\r\n" + lines)
    again = read_head(b"GET /events?topic=a HTTP/1.0\r\n" + lines)
    assert first
    assert again
    assert (first.headers, first.media_type) == (again.headers, again.media_type)
    assert (first.keeps_alive, again.keeps_alive) == (True, False)
    assert read_head(b"POST /api/notify HTTP/1.1\r\n" + lines) is None  # without a length


def test_fields_without_a_host_are_plain_in_http_1_0_alone() -> None:
    assert read_head(b"GET / HTTP/1.0\r\nAccept: a") is not None
    assert read_head(b"GET / HTTP/1.1\r\nAccept: a") is None


@pytest.mark.parametrize("line", ["Cookie: a=1", "Authorization: Bearer s", "Last-Event-ID: 1-2"])
def test_fields_of_one_client_alone_are_not_remembered(line: str) -> None:
    lines = f"Host: alone\r\n{line}".encode()
    assert read_head(b"GET /events HTTP/1.1\r\n" + lines) is not None
    assert lines not in http1._known_fields


def test_remembered_fields_are_bounded_in_number_and_in_bytes() -> None:
    long = b"Host: a\r\nX: " + b"x" * http1.KNOWN_FIELDS_BYTES
    assert read_head(b"GET /events HTTP/1.1\r\n" + long) is not None
    assert long not in http1._known_fields
    for number in range(2 * http1.MAX_KNOWN_FIELDS):
        assert read_head(b"GET /events HTTP/1.1\r\nHost: a\r\nX: %d" % number) is not None
        assert len(http1._known_fields) <= http1.MAX_KNOWN_FIELDS


def encode(answer: Answer, *, is_head: bool = False, keeps_alive: bool = True) -> bytes:
    return encode_answer(answer, 0, FIELDS, is_head, keeps_alive)


def test_answer_is_written_with_its_fields_its_date_and_its_length() -> None:
    assert encode(Answer(200, b"{}", headers=(("Vary", "Accept-Encoding"),))) == (
        b"HTTP/1.1 200 OK\r\nServer: tocsin\r\nVary: Origin, Accept-Encoding\r\n"
        b"Content-Type: application/json\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )


def test_answer_to_head_says_the_length_of_what_it_does_not_send() -> None:
    assert encode(Answer(200, b"{}"), is_head=True).endswith(b"Content-Length: 2\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_status_without_a_body_has_no_length(status: int) -> None:
    written = encode(Answer(status, content_type=""))
    assert b"Content-" not in written
    assert written.endswith(b"\r\n\r\n")


def test_last_answer_of_a_connection_says_so() -> None:
    assert b"\r\nConnection: close\r\n" in encode(Answer(200), keeps_alive=False)


def test_answer_that_many_are_given_is_made_once_for_each_of_its_forms() -> None:
    answer = Answer(200, b"[]")
    forms = [(FIELDS, False, True), (FIELDS, True, True), ((), False, False), (FIELDS, False, True)]
    encoded = encode_for_each(answer, 7, forms * 2)
    assert encoded == [encode_answer(answer, 7, *form) for form in forms * 2]
    assert len({id(data) for data in encoded}) == 3
