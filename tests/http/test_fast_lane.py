"""Requests that come in one piece and in many: the answers are the same."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.web import Application, RequestHandler

import tocsin
from tests.conftest import StartHub
from tests.raw import exchange, exchange_in_two, get, notice, post, read_answer
from tests.serving import eventually, serving
from tocsin import Draft
from tocsin.eventlog.journal import Once
from tocsin.hub.publishing import Answer, Receipts

POST = post(notice(type="a", message="b"))
INTERNAL = post(notice(type="canary", topic="tocsin/x"))


def test_request_in_two_pieces_is_answered_wherever_it_is_cut(start_hub: StartHub) -> None:
    hub = start_hub()
    for cut in range(1, len(POST)):
        answer = exchange(hub.port, POST[:cut], then=POST[cut:])
        assert (answer.status, answer.json["sentTo"]) == (200, 0), cut
    assert hub.get("/api/stats")["published"] == len(POST) - 1


async def test_request_of_a_known_head_may_be_cut_anywhere() -> None:
    """Each piece is read before the next one is sent."""
    async with serving(canary=0) as server:
        loop = asyncio.get_running_loop()
        for cut in range(1, len(INTERNAL)):
            with closing(server._listener.connect()) as client:
                await loop.sock_sendall(client, INTERNAL)
                await loop.sock_recv(client, 65_536)
                await loop.sock_sendall(client, INTERNAL[:cut])
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                await loop.sock_sendall(client, INTERNAL[cut:])
                answer = await asyncio.wait_for(loop.sock_recv(client, 65_536), 20)
                assert answer.startswith(b"HTTP/1.1 200"), cut


@pytest.mark.parametrize("before_the_end", range(5))
def test_known_head_that_is_cut_in_its_last_bytes_is_waited_for(
    start_hub: StartHub, before_the_end: int
) -> None:
    """Else the head's own bytes are taken as its body, and the body as the next request."""
    hub = start_hub()
    assert exchange(hub.port, POST).status == 200
    cut = POST.index(b"\r\n\r\n") + 4 - before_the_end
    with socket.create_connection(("127.0.0.1", hub.port), timeout=20) as connection:
        connection.sendall(POST[:cut])
        assert exchange(hub.port, get("/healthz")).status == 200  # so the hub has seen the first
        connection.sendall(POST[cut:] + get("/healthz", "Connection: close"))
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert received.count(b"HTTP/1.1 200") == 2


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


async def test_connection_that_asks_nothing_is_closed() -> None:
    async with serving(keep_alive=0.2) as server:
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


ORIGIN = "Origin: https://a.example"
TAKEN = {
    "event": POST,
    "batch": post(b"[" + notice() + b"," + notice() + b"]"),
    "of-an-origin": post(notice(), ORIGIN),
    "of-another-origin": post(notice(), "Origin: https://b.example"),
    "with-charset": post(notice(), type="Application/JSON; charset=UTF-8"),
    "identity": post(notice(), "Content-Encoding: identity", "Connection: Keep-Alive"),
    "stream": get("/events"),
    "stream-of-an-origin": get("/events?topic=a*&type=b", ORIGIN, "Last-Event-ID: x"),
    "stream-with-a-body": get("/events", "Content-Length: 2") + b"{}",
}


@pytest.mark.parametrize("origins", [(), ("--cors-origin", "https://a.example")])
def test_answer_has_the_same_head_whole_and_in_two(
    start_hub: StartHub, origins: tuple[str, ...]
) -> None:
    hub = start_hub(*origins)
    for name, request in TAKEN.items():
        whole, parts = exchange(hub.port, request), exchange_in_two(hub.port, request)
        assert whole.status == 200, name
        assert whole.lasting == parts.lasting, name
        assert set(whole.headers) == set(parts.headers), name


def test_batch_beyond_its_limit_is_refused_however_it_comes(start_hub: StartHub) -> None:
    hub = start_hub("--max-batch-bytes", "2048")
    request = post(b"[" + b",".join([notice(message="x" * 500)] * 5) + b"]")
    for answer in (exchange(hub.port, request), exchange_in_two(hub.port, request)):
        assert (answer.status, answer.json["limit"]) == (413, 2_048)
    assert hub.get("/api/stats")["published"] == 0


def test_event_may_be_larger_than_a_batch(start_hub: StartHub) -> None:
    hub = start_hub(
        *("--max-event-bytes", "3000000", "--max-batch-bytes", "2048"),
        *("--history-bytes", "8000000"),
    )
    for size in (4_000, 2_500_000):
        request = post(notice(message="x" * size))
        for answer in (exchange(hub.port, request), exchange_in_two(hub.port, request)):
            assert answer.status == 200, size


async def test_bug_is_answered_with_500_and_the_connection_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for is_broken, status in ((True, b"500"), (False, b"200")):
            with monkeypatch.context() as patch:
                if is_broken:
                    patch.setattr(server.hub, "enqueue", fail)
                writer.write(POST)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert head.split()[1] == status
            body = await reader.readexactly(
                int(head.lower().split(b"content-length: ")[1].split()[0])
            )
            assert (b'"internal"' in body) == is_broken
        writer.close()


async def test_bug_in_reading_closes_the_connection_and_does_not_spin(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*request: object) -> None:
        raise RuntimeError("a bug")

    async with serving(canary=0) as server:
        monkeypatch.setattr(server._listener.edge, "answer", fail)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(POST)
        with suppress(ConnectionResetError):  # what was sent is unread
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert caplog.text.count("uncaught exception") == 1
        assert server._listener.open == 0


async def test_answers_nobody_reads_are_not_piled_up() -> None:
    async with serving(canary=0, history_events=100) as server:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", server.port))
        client.setblocking(False)
        burst, sent = POST * 100, 0
        last_taken = time.monotonic()
        while time.monotonic() < last_taken + 0.5:  # the hub has stopped reading
            with suppress(BlockingIOError):
                sent += client.send(burst[sent % len(burst) :])
                last_taken = time.monotonic()
            await asyncio.sleep(0)
            assert sent < 64 * 2**20
        published = server.hub.ring.head
        assert 0 < published < sent // len(POST)
        client.close()
        await eventually(lambda: server._listener.open == 0)


async def test_connection_that_publishes_when_the_hub_stops_is_answered_and_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving() as server:
        published, may_go_on = asyncio.Event(), asyncio.Event()
        append, tasks = server.hub.enqueue, []

        def enqueue(
            drafts: Sequence[Draft], once: Once | None, answer: Answer, received: float
        ) -> None:
            append(
                drafts,
                once,
                lambda receipts: tasks.append(asyncio.ensure_future(late(answer, receipts))),
                received,
            )

        async def late(answer: Answer, receipts: Receipts | Exception) -> None:
            published.set()
            await may_go_on.wait()
            answer(receipts)

        monkeypatch.setattr(server.hub, "enqueue", enqueue)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(POST)
        await published.wait()
        server._listener.stop()
        closing = asyncio.ensure_future(server._listener.close_all_connections())
        await asyncio.sleep(0)
        assert not closing.done()
        may_go_on.set()
        await asyncio.wait_for(closing, 20)
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 200")
        writer.close()


async def test_waiting_connection_is_told_of_the_drain_like_a_new_one() -> None:
    async with serving() as server:
        connections = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        for reader, writer in connections:
            writer.write(POST)
            assert (await asyncio.wait_for(reader.readuntil(b"}"), 5)).startswith(b"HTTP/1.1 200")
        server.hub.draining = True
        for (reader, writer), request in zip(connections, (POST, get("/events")), strict=True):
            writer.write(request)
            answer = await asyncio.wait_for(reader.readuntil(b"draining"), 5)
            assert answer.startswith(b"HTTP/1.1 " + (b"503" if request is POST else b"200"))
            writer.close()


def test_client_that_closes_its_half_behind_a_request_is_answered(start_hub: StartHub) -> None:
    with socket.create_connection(("127.0.0.1", start_hub().port), timeout=5) as connection:
        connection.sendall(POST)
        connection.shutdown(socket.SHUT_WR)
        assert read_answer(connection).status == 200
        assert connection.recv(1) == b""


def test_thousands_of_pipelined_requests_are_each_answered_once(start_hub: StartHub) -> None:
    hub = start_hub()
    with socket.create_connection(("127.0.0.1", hub.port), timeout=10) as connection:
        sender = threading.Thread(target=connection.sendall, args=(POST * 3_000,))
        sender.start()
        received = b""
        while received.count(b'"success":true') < 3_000:
            piece = connection.recv(65_536)
            assert piece
            received += piece
        sender.join()
    assert hub.get("/api/stats")["published"] == 3_000


async def test_hub_mounts_into_an_application_of_ones_own() -> None:
    class Mine(RequestHandler):
        def get(self) -> None:
            self.finish("mine")

    hub = tocsin.Hub(tocsin.Settings(drain_timeout=0.1))
    await hub.start()
    server = Application([("/mine", Mine), *tocsin.routes(hub)]).listen(0, "127.0.0.1")
    port = next(iter(server._sockets.values())).getsockname()[1]
    client = AsyncHTTPClient()
    url = f"http://127.0.0.1:{port}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(get("/events?topic=orders"))
    await reader.readuntil(b"event: connection")
    answer = await client.fetch(
        f"{url}/api/notify",
        method="POST",
        headers={"Content-Type": "application/json"},
        body=notice(type="order_paid", topic="orders"),
    )
    assert b'"sentTo":1' in answer.body
    await asyncio.wait_for(reader.readuntil(b"event: order_paid"), 5)
    assert (await client.fetch(f"{url}/mine")).body == b"mine"
    assert b"<html" in (await client.fetch(f"{url}/")).body
    writer.close()
    server.stop()
    await hub.stop()
    await server.close_all_connections()


async def test_thousand_connections_that_wait_too_long_are_all_closed() -> None:
    async with serving(canary=0, keep_alive=0.2) as server:
        loop = asyncio.get_running_loop()
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(1_000)]
        for client in clients:
            client.setblocking(False)
            assert await asyncio.wait_for(loop.sock_recv(client, 1), 60) == b""
            client.close()
        assert server._listener.open == 0


async def test_request_that_comes_as_the_hub_stops_is_answered_on_a_connection_just_made() -> None:
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await eventually(lambda: server._listener.open == 1)
        server._listener.stop()
        closing = asyncio.ensure_future(server._listener.close_all_connections())
        await asyncio.sleep(0.02)
        writer.write(POST[:40])
        await asyncio.sleep(0.02)
        writer.write(POST[40:])
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"Connection: close" in answer
        await closing
        writer.close()
