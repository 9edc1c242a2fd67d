"""What clients can make the hub hold, or hold up: bodies, answers, connections, heads, times."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess, free_ports
from tests.patience import PATIENCE_S, wait_until
from tests.raw import exchange, get, notice, post, raw, read_answer
from tests.serving import eventually, publish, serving
from tocsin import Draft
from tocsin.http import fast_lane, listener, patience, tornado_lane
from tocsin.logs import MAX_WARNINGS_A_MINUTE

MIB = 1024 * 1024
HOST = "Host: localhost"
JSON = "Content-Type: application/json"
NDJSON = "Content-Type: application/x-ndjson"
BATCH_BYTES = 4 * MIB


LARGE = Draft("large", b'"' + b"x" * 60_000 + b'"')


LANES = pytest.mark.parametrize("lane", [(), ("Upgrade: x",)], ids=["fast", "tornado"])


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


@contextmanager
def uploads(port: int, count: int, size: int, *headers: str) -> Iterator[list[socket.socket]]:
    """So many connections that announce a batch of `size` bytes and send all but the last one."""
    head = raw(
        *("POST /api/notify HTTP/1.1", HOST, NDJSON, f"Content-Length: {size}", *headers),
        body=b"\n" * (size - 1),
    )
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(connect(port))) for _ in range(count)]
        for connection in connections:
            connection.setblocking(False)
        left = dict.fromkeys(connections, memoryview(head))
        deadline = time.monotonic() + 30
        while any(left.values()) and time.monotonic() < deadline:
            for connection, rest in left.items():
                try:
                    left[connection] = rest[connection.send(rest) :] if rest else rest
                except BlockingIOError:
                    continue
                except OSError:  # refused meanwhile
                    left[connection] = memoryview(b"")
        yield connections


@LANES
def test_uploads_that_never_end_are_dropped_when_their_clients_leave(
    start_hub: StartHub, lane: tuple[str, ...]
) -> None:
    hub = start_hub("--canary", "0", "--max-bodies-bytes", str(400 * MIB))
    before = hub.memory_kib()
    with uploads(hub.port, 40, BATCH_BYTES, *lane):
        wait_until(lambda: hub.memory_kib() > before + 100 * 1024)
    wait_until(lambda: hub.memory_kib() < before + 40 * 1024)
    assert exchange(hub.port, post(notice())).status == 200


@LANES
async def test_bodies_beyond_the_budget_are_refused_and_the_others_taken(
    lane: tuple[str, ...],
) -> None:
    async with serving(canary=0, max_bodies_bytes=BATCH_BYTES) as server:
        bodies = server._listener.edge.bodies
        head = ("POST /api/notify HTTP/1.1", HOST, NDJSON, f"Content-Length: {BATCH_BYTES}", *lane)
        first, second = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        first[1].write(raw(*head, body=b"\n" * (3 * MIB)))
        await eventually(lambda: bodies.held == 3 * MIB)
        second[1].write(raw(*head, body=b"\n" * (2 * MIB)))
        answer = await asyncio.wait_for(second[0].readuntil(b"\r\n\r\n"), 20)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 1" in answer
        first[1].write(notice() + b"\n" * (MIB - len(notice())))
        assert (await asyncio.wait_for(first[0].readline(), 20)).startswith(b"HTTP/1.1 200")
        assert server.hub.ring.head == 1
        for _, writer in (first, second):
            writer.close()
        await eventually(lambda: bodies.held == 0)


async def test_history_is_not_made_for_readers_while_too_much_of_it_is_unread() -> None:
    async with serving(canary=0, max_answers_bytes=2 * MIB, max_event_bytes=MIB) as server:
        for _ in range(40):
            await server.hub.publish(LARGE)
        answers = server._listener.edge.answers
        with ExitStack() as stack:
            readers = [stack.enter_context(closing(socket.socket())) for _ in range(8)]
            for reader in readers:
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                reader.setblocking(False)
                await asyncio.get_running_loop().sock_connect(reader, ("127.0.0.1", server.port))
                reader.send(get("/api/history?limit=1000"))
            await eventually(lambda: answers.is_spent)
            reading, writing = await asyncio.open_connection("127.0.0.1", server.port)
            writing.write(get("/api/history?limit=1000", "Connection: close"))
            answer = await asyncio.wait_for(reading.read(), 20)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b'"busy"' in answer
            assert answers.held < 8 * MIB
            writing.close()
        await eventually(lambda: answers.held == 0)


def test_page_of_history_is_bounded_by_bytes_and_says_that_there_is_more(
    start_hub: StartHub,
) -> None:
    hub = start_hub()
    for number in range(40):
        hub.publish(message=f"{number} " + "x" * 60_000)
    page = exchange(hub.port, get("/api/history?limit=1000"))
    assert len(page.body) < 1.2 * MIB
    assert page.json["more"] is True
    seen: list[str] = []
    after = "earliest"
    while True:
        page = exchange(hub.port, get(f"/api/history?limit=1000&after={after}"))
        assert len(page.body) < 1.2 * MIB
        seen += [event["data"]["message"].split()[0] for event in page.json["events"]]
        if not page.json["more"]:
            break
        after = page.json["events"][-1]["id"]
    assert seen == [str(number) for number in range(40)]


async def test_answer_that_nobody_takes_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "STALLED_S", 0.2)
    async with serving(canary=0, max_event_bytes=MIB) as server:
        for _ in range(20):
            await server.hub.publish(LARGE)
        with closing(socket.socket()) as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            reader.setblocking(False)
            await asyncio.get_running_loop().sock_connect(reader, ("127.0.0.1", server.port))
            reader.send(get("/api/history?limit=1000"))
            await eventually(lambda: server._listener.edge.answers.held > 0)
            await eventually(lambda: server._listener.open == 0)
            assert server._listener.edge.answers.held == 0


@LANES
async def test_answer_of_which_a_reader_takes_a_little_now_and_then_ends(
    monkeypatch: pytest.MonkeyPatch, lane: tuple[str, ...]
) -> None:
    monkeypatch.setattr(patience, "STALLED_S", 0.2)
    monkeypatch.setattr(patience, "LEAST_RATE", 10 * MIB)
    async with serving(canary=0, max_event_bytes=8 * MIB) as server:
        await server.hub.publish(Draft("large", b'"' + b"x" * (8 * MIB - 1_000) + b'"'))
        with closing(socket.socket()) as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            reader.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(reader, ("127.0.0.1", server.port))
            reader.send(get("/api/history", *lane))
            received, is_open = 0, True
            while is_open:
                try:
                    is_open = bool(
                        piece := await asyncio.wait_for(loop.sock_recv(reader, 1_000), 20)
                    )
                    received += len(piece)
                except ConnectionResetError:
                    is_open = False
                await asyncio.sleep(0.01)
        assert received < 8 * MIB
        await eventually(lambda: server._listener.edge.answers.held == 0)


async def test_slow_body_that_keeps_its_rate_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that takes far longer than a head may."""
    monkeypatch.setattr(patience, "HEAD_S", 0.5)
    async with serving(canary=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        body = notice() + b"\n" * (64 * 1024)
        length = f"Content-Length: {len(body)}"
        writer.write(raw("POST /api/notify HTTP/1.1", HOST, NDJSON, length))
        for at in range(0, len(body), 8 * 1024):
            await asyncio.sleep(0.3)
            writer.write(body[at : at + 8 * 1024])
        assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 200")
        writer.close()


@LANES
async def test_body_that_comes_too_slowly_is_told_so(
    monkeypatch: pytest.MonkeyPatch, lane: tuple[str, ...]
) -> None:
    monkeypatch.setattr(patience, "HEAD_S", 0.2)
    async with serving(canary=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = ("POST /api/notify HTTP/1.1", HOST, NDJSON, "Content-Length: 100", *lane)
        writer.write(raw(*head, body=b"\n"))
        answer = await asyncio.wait_for(reader.read(), 20)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b'"timeout"' in answer
        writer.close()


@LANES
async def test_body_that_came_while_the_hub_stood_still_is_taken(
    monkeypatch: pytest.MonkeyPatch, lane: tuple[str, ...]
) -> None:
    monkeypatch.setattr(patience, "HEAD_S", 0.5)
    monkeypatch.setattr(tornado_lane, "LOOK_EVERY_S", 0.2)
    async with serving(canary=0) as server:
        body = notice()
        length = f"Content-Length: {len(body)}"
        with connect(server.port) as connection:
            head = raw("POST /api/notify HTTP/1.1", HOST, JSON, length, *lane)
            connection.sendall(head + body[:5])
            await asyncio.sleep(0.2)  # it is being read
            connection.sendall(body[5:])
            time.sleep(1)  # the loop stands still, for longer than a body may take
            await server._listener._look()
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            answer = await asyncio.wait_for(loop.sock_recv(connection, 65_536), PATIENCE_S)
    assert answer.startswith(b"HTTP/1.1 200")


async def test_answer_that_could_be_taken_while_the_hub_stood_still_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "STALLED_S", 0.5)
    async with serving(canary=0) as server:
        await server.hub.publish(*[LARGE] * 200)
        with connect(server.port) as reader:
            reader.sendall(get("/api/history?limit=1000"))
            await eventually(lambda: server._listener.edge.answers.held > 0)
            reader.settimeout(1)  # longer than an answer may lie there, and the loop stands still
            with suppress(TimeoutError):
                while reader.recv(MIB):
                    pass
            before = server._listener.edge.answers.held
            await server._listener._look()
            assert 0 < server._listener.edge.answers.held < before


async def test_head_beyond_its_limit_is_told_so_counted_and_logged() -> None:
    async with serving(canary=0, max_header_bytes=8_192) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(get("/events", "Cookie: " + "x" * 9_000))
        answer = await asyncio.wait_for(reader.read(), 20)
        assert answer.startswith(b"HTTP/1.1 431")
        assert b'"limit":8192' in answer
        writer.close()


def test_head_below_its_limit_is_taken(start_hub: StartHub) -> None:
    with connect(start_hub().port) as connection:
        connection.sendall(get("/events", "Cookie: " + "x" * 16_000))
        assert read_answer(connection).status == 200


def test_second_request_behind_the_last_one_is_not_taken(start_hub: StartHub) -> None:
    """RFC 9112, section 9.6."""
    hub = start_hub()
    with connect(hub.port) as connection:
        connection.sendall(post(notice(), "Connection: close") + post(notice()))
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    assert received.count(b"HTTP/1.1 200 OK") == 1
    assert hub.get("/api/stats")["published"] == 1


def test_request_that_came_while_the_hub_was_stopped_is_answered(start_hub: StartHub) -> None:
    hub = start_hub("--keep-alive", "1")
    with connect(hub.port) as connection:
        connection.sendall(post(notice()))
        assert read_answer(connection).status == 200
        hub.signal(signal.SIGSTOP)
        time.sleep(2.5)  # longer than a connection may wait
        connection.sendall(post(notice()))
        hub.signal(signal.SIGCONT)
        assert read_answer(connection).status == 200


def test_silent_connections_to_the_metrics_starve_nobody() -> None:
    metrics = free_ports(1)[0]
    with ExitStack() as stack:
        hub = stack.enter_context(closing(HubProcess("--metrics-listen", f"127.0.0.1:{metrics}")))
        resource.prlimit(hub.pid, resource.RLIMIT_NOFILE, (100, 100))
        for _ in range(300):
            stack.enter_context(closing(connect(metrics)))
        with connect(hub.port) as stream:
            stream.sendall(get("/events"))
            assert read_answer(stream).status == 200
            assert exchange(hub.port, post(notice())).json["sentTo"] == 1
        assert "Traceback" not in hub.log()
        # The log's own limit, and a new minute may have begun.
        assert hub.log().count("descriptors run low") <= 2 * MAX_WARNINGS_A_MINUTE


@pytest.mark.parametrize("where", ["first", "second", "path", "metrics"])
def test_no_listener_without_descriptors_spins(
    where: str, start_hub: StartHub, tmp_path: Path
) -> None:
    path, (metrics,) = tmp_path / "hub.sock", free_ports(1)
    hosts = [flag for host in ("127.0.0.1", "::1", f"unix:{path}") for flag in ("--host", host)]
    hub = start_hub("--canary", "0", *hosts, "--metrics-listen", f"127.0.0.1:{metrics}")
    limits = resource.prlimit(hub.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(hub.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    with (
        socket.socket(socket.AF_UNIX)
        if where == "path"
        else socket.socket(socket.AF_INET6 if where == "second" else socket.AF_INET) as waiting
    ):
        waiting.settimeout(PATIENCE_S)
        addresses: dict[str, str | tuple[str, int]] = {
            "first": ("127.0.0.1", hub.port),
            "second": ("::1", hub.port),
            "path": str(path),
            "metrics": ("127.0.0.1", metrics),
        }
        waiting.connect(addresses[where])
        waiting.sendall(get("/healthz"))
        wait_until(lambda: "accepting failed" in hub.log())
        before = cpu_s(hub.pid)
        time.sleep(1.5)
        assert cpu_s(hub.pid) - before < 0.5  # one that spins takes 1.5
        assert hub.log().count("accepting failed") < 10
        resource.prlimit(hub.pid, resource.RLIMIT_NOFILE, limits)
        assert read_answer(waiting).status == 200


def cpu_s(pid: int) -> float:
    """Processor time that the process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_other_protocol_on_the_port_is_closed_in_time_and_without_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(patience, "HEAD_S", 0.2)
    async with serving(canary=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(bytes.fromhex("16030100c8010000c40303") + bytes(200))  # a TLS ClientHello
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        writer.close()
    assert not [r for r in caplog.records if r.levelname != "INFO" and r.name != "asyncio"]


async def test_failing_access_log_harms_no_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    async with serving(canary=0) as server:
        monkeypatch.setattr(server._listener.edge.access_log, "note", fail)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(2):
            writer.write(post(notice()))
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readuntil(b"}")
        assert server.hub.ring.head == 2
        assert "answered, but not logged" in caplog.text
        writer.close()


async def test_large_batch_gives_the_loop_its_turn() -> None:
    async with serving(canary=0) as server:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=MIB)
        body = b"\n".join([notice(message="x" * 3_000, data={"a": [1, {"b": 2}]})] * 1_000)
        length = f"Content-Length: {len(body)}"
        writer.write(raw("POST /api/notify HTTP/1.1", HOST, NDJSON, length, body=body))
        await writer.drain()
        counting = asyncio.ensure_future(count())
        assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 200")
        counting.cancel()
        assert turns > 5
        assert server.hub.ring.head == 1_000
        writer.close()


async def test_stream_names_what_it_ignored() -> None:
    async with serving(canary=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(get("/events?_=123&utm_source=mail"))
        opening = await asyncio.wait_for(reader.readuntil(b"\nid: "), 20)
        assert b'"ignored":["_","utm_source"]' in opening
        writer.close()


async def test_newest_of_several_last_event_ids_counts() -> None:
    async with serving(canary=0) as server:
        ids = await publish(server, 4)
        query = f"/events?last_event_id={ids[0]}&lastEventId={ids[3]}"
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(get(query, f"Last-Event-ID: {ids[1]}"))
        opening = await asyncio.wait_for(reader.readuntil(b"\nid: "), 20)
        assert b'"resumed":true,"replayed":0' in opening
        writer.close()


@LANES
async def test_body_that_is_refused_changes_no_budget(lane: tuple[str, ...]) -> None:
    async with serving(canary=0) as server:
        body = b"x" * 500_000
        head = ("POST /api/notify HTTP/1.1", HOST, f"Content-Length: {len(body)}", *lane)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(raw(*head, body=body))
        assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"HTTP/1.1 415")
        writer.close()
        await eventually(lambda: server._listener.open == 0)
        assert server._listener.edge.bodies.held == 0


@LANES
async def test_array_whose_first_segment_is_blank_is_a_batch(lane: tuple[str, ...]) -> None:
    async with serving(canary=0) as server:
        body = b"\n[" + b",".join([notice(message="x" * 1_000)] * 100) + b"]"
        length = f"Content-Length: {len(body)}"
        content_type = "Content-Type: application/json"
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            raw("POST /api/notify HTTP/1.1", HOST, content_type, length, *lane, body=body[:1])
        )
        await eventually(lambda: server._listener.edge.bodies.held == 1)
        writer.write(body[1:])
        assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_requests_sent_ahead_of_their_answers_wait_in_the_socket() -> None:
    """Else one connection makes the hub hold all of them, and copy them once for each answer."""
    async with serving(canary=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=MIB)
        count = 20_000
        writer.write(get("/healthz") * count)
        answered = most_held = 0
        while answered < count:
            answered += (await asyncio.wait_for(reader.read(MIB), 20)).count(b'"ok"}')
            connections = server._listener._connections
            most_held = max([most_held, *(len(each._held) for each in connections)])
        assert most_held <= fast_lane.READ_BYTES
        writer.close()


@LANES
async def test_answer_that_its_reader_takes_slowly_is_sent_whole(
    monkeypatch: pytest.MonkeyPatch, lane: tuple[str, ...]
) -> None:
    monkeypatch.setattr(patience, "STALLED_S", 0.5)
    async with serving(canary=0, max_event_bytes=8 * MIB) as server:
        await server.hub.publish(Draft("large", b'"' + b"x" * (8 * MIB - 1_000) + b'"'))
        with closing(socket.socket()) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, ("127.0.0.1", server.port))
            connection.send(get("/api/history", "Connection: close", *lane))
            received = 0
            while piece := await asyncio.wait_for(loop.sock_recv(connection, MIB), 20):
                received += len(piece)
                await asyncio.sleep(len(piece) / (4 * MIB))  # 2 s for the whole
        assert received > 8 * MIB - 1_000
        await eventually(lambda: server._listener.edge.answers.held == 0)


async def test_history_page_of_rare_events_gives_the_loop_its_turn() -> None:
    """Each look at the ring finds something, and the looks are many."""
    async with serving(canary=0, history_events=100_000) as server:
        common = [Draft("b" if n % 2 else "a", b"{}", "t/" + str(n % 2)) for n in range(2_000)]
        for _ in range(20):
            await server.hub.publish(*common, Draft("a", b"{}", "t/1"))
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(get("/api/history?after=earliest&limit=1000&topic=t/1&type=a"))
        counting = asyncio.ensure_future(count())
        answer = await asyncio.wait_for(reader.readuntil(b'"more":false}'), 20)
        counting.cancel()
        assert answer.count(b'"topic":"t/1"') == 20
        assert turns > 10
        writer.close()


@pytest.mark.parametrize(
    "fields",
    [
        ("Connection: keep-alive, close",),
        ("Connection: TE, Close",),
        ("Connection: keep-alive", "Connection: close"),
        ("Connection: close", "Upgrade: x"),
    ],
)
def test_nothing_is_taken_behind_a_request_that_asks_to_close(
    start_hub: StartHub, fields: tuple[str, ...]
) -> None:
    """RFC 9112, section 9.6."""
    hub = start_hub()
    before = hub.get("/api/stats")["published"]
    with connect(hub.port) as connection:
        connection.sendall(post(notice(), *fields) + post(notice()))
        received = read_to_end(connection)
    assert received.count(b"HTTP/1.1 200 OK") == 1
    assert b"Connection: close" in received
    assert hub.get("/api/stats")["published"] == before + 1


@LANES
def test_nothing_is_taken_behind_an_answer_that_says_it_closes(
    start_hub: StartHub, lane: tuple[str, ...]
) -> None:
    hub = start_hub()
    before = hub.get("/api/stats")["published"]
    with connect(hub.port) as connection:
        connection.sendall(post(notice(message="x" * 70_000), *lane) + post(notice()))
        received = read_to_end(connection)
    assert received.startswith(b"HTTP/1.1 413")
    assert received.count(b"HTTP/1.1") == 1
    assert hub.get("/api/stats")["published"] == before


def read_to_end(connection: socket.socket) -> bytes:
    received = b""
    try:
        while piece := connection.recv(65_536):
            received += piece
    except ConnectionResetError:  # what came behind was not read
        pass
    return received


async def test_requests_whose_clients_leave_in_the_middle_of_the_body_end() -> None:
    """By Tornado's lane too, where a task waits for each."""
    async with serving(canary=0) as server:
        before = len(asyncio.all_tasks())
        for request in (
            raw("POST /api/notify HTTP/1.1", HOST, NDJSON, "Content-Length: 100", "Upgrade: x"),
            raw("POST /api/notify HTTP/1.1", HOST, NDJSON, "Transfer-Encoding: chunked"),
            raw("POST /api/notify HTTP/1.1", HOST, "Content-Length: 100", "Upgrade: x"),
        ):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request)
            await eventually(lambda: server._listener._tornado.open == 1)
            await eventually(lambda: len(asyncio.all_tasks()) > before)
            writer.transport.abort()
            await eventually(lambda: server._listener.open == 0)
        await eventually(lambda: len(asyncio.all_tasks()) == before)


async def test_history_is_json_whatever_text_an_embedder_published() -> None:
    texts = [b"plain", b"", b"two\nlines", b"\xff", b"NaN", b'{"a":', b"[" * 5_000]
    async with serving(canary=0) as server:
        await server.hub.publish(*[Draft("a", text) for text in (*texts, b'{"a":1}')])
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(get("/api/history", "Connection: close"))
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    events = json.loads(answer.partition(b"\r\n\r\n")[2])["events"]
    expected = [text.decode(errors="replace") for text in texts]
    assert [event["data"] for event in events] == [*expected, {"a": 1}]


@LANES
async def test_request_that_came_while_the_loop_stood_still_is_answered(
    monkeypatch: pytest.MonkeyPatch, lane: tuple[str, ...]
) -> None:
    monkeypatch.setattr(listener, "HEAD_S", 0.5)
    async with serving(canary=0, keep_alive=0.5) as server:
        with closing(connect(server.port)) as connection:
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            for _ in range(2):
                connection.send(get("/healthz", *lane))
                answer = await asyncio.wait_for(loop.sock_recv(connection, 65_536), 20)
                assert answer.startswith(b"HTTP/1.1 200")
                time.sleep(2)  # the loop's own thread: longer than a connection may wait
            await eventually(lambda: server._listener.open == 0)


async def test_connection_that_never_asked_has_less_time_than_one_that_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "HEAD_S", 0.2)
    async with serving(canary=0) as server:
        _, silent = await asyncio.open_connection("127.0.0.1", server.port)
        reader, asked = await asyncio.open_connection("127.0.0.1", server.port)
        asked.write(get("/healthz"))
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        await eventually(lambda: server._listener.open == 1)
        asked.write(get("/healthz"))
        answer = await asyncio.wait_for(reader.readuntil(b"HTTP/1.1 200"), 20)
        assert answer.endswith(b"200")
        silent.close()
        asked.close()
