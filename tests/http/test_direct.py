"""Requests that come in one piece and in many: the answers are the same."""

from __future__ import annotations

import socket
import time

import pytest

from tests.conftest import StartHub
from tests.raw import exchange, get, notice, post, read_answer
from tests.serving import eventually, serving
from tocsin import listener

POST = post(notice(type="a", message="b"))


def test_request_in_two_pieces_is_answered_wherever_it_is_cut(start_hub: StartHub) -> None:
    hub = start_hub()
    for cut in range(1, len(POST)):
        answer = exchange(hub.port, POST[:cut], then=POST[cut:])
        assert (answer.status, answer.json["sentTo"]) == (200, 0), cut
    assert hub.get("/api/stats")["published"] == len(POST) - 1


def test_requests_on_one_connection_are_answered_in_order(start_hub: StartHub) -> None:
    hub = start_hub()
    odd = post(notice(type="t3", message="c"), "Connection: close")
    sent = [post(notice(type=f"t{n}", message="m")) for n in range(3)]
    with socket.create_connection(("127.0.0.1", hub.port), timeout=5) as connection:
        connection.sendall(b"".join([*sent, odd]))
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    places = [received.index(f'"event":"t{n}"'.encode()) for n in range(4)]
    assert places == sorted(places)


def test_connection_serves_plain_requests_before_and_after_odd_ones(start_hub: StartHub) -> None:
    hub = start_hub()
    with socket.create_connection(("127.0.0.1", hub.port), timeout=5) as connection:
        for request, status in [
            (POST, 200),
            (post(b"{"), 400),
            (POST, 200),
            (get("/healthz"), 200),
            (POST, 200),
        ]:
            connection.sendall(request)
            assert read_answer(connection).status == status
        connection.sendall(get("/events"))
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_client_that_leaves_before_it_asks_is_forgotten(start_hub: StartHub) -> None:
    hub = start_hub()
    for _ in range(5):
        socket.create_connection(("127.0.0.1", hub.port)).close()
    assert exchange(hub.port, POST).status == 200


async def test_connection_that_asks_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(listener.HTTP_LIMITS, "idle_connection_timeout", 0.2)
    async with serving() as server:
        client = socket.create_connection(("127.0.0.1", server.port))
        client.setblocking(False)
        started = time.monotonic()

        def is_closed() -> bool:
            try:
                return client.recv(1) == b""
            except BlockingIOError:
                return False

        await eventually(is_closed)
        assert time.monotonic() - started > 0.1
        client.close()
