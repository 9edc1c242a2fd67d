"""What is used of Tornado's insides does what we rely on: the first thing to run after an upgrade of Tornado."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time

import pytest
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPMessageDelegate
from tornado.iostream import IOStream, StreamClosedError

from tests.serving import eventually
from tocsin.tornado_internals import (
    SteadyCallback,
    bytes_written,
    end_behind_answer,
    has_head,
    iostream_with,
    take_socket,
)


def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


async def test_stream_reads_what_was_read_before_and_then_the_socket() -> None:
    ours, theirs = pair()
    stream = iostream_with(b"GET / HT", ours, max_buffer_size=1_000, chunk_size=100)
    theirs.send(b"TP/1.1\r\n\r\nrest")
    assert await stream.read_until(b"\r\n\r\n") == b"GET / HTTP/1.1\r\n\r\n"
    assert await stream.read_bytes(4) == b"rest"
    stream.close()
    theirs.close()


async def test_stream_serves_what_is_whole_already_without_more() -> None:
    ours, theirs = pair()
    stream = iostream_with(b"a\n", ours, max_buffer_size=1_000, chunk_size=100)
    assert await asyncio.wait_for(stream.read_until(b"\n"), 5) == b"a\n"
    stream.close()
    theirs.close()


async def test_socket_that_is_taken_is_nobody_elses() -> None:
    ours, theirs = pair()
    stream = IOStream(ours)
    reading = asyncio.ensure_future(stream.read_bytes(1))
    await asyncio.sleep(0)
    theirs.send(b"x")
    await reading
    taken = take_socket(stream)
    assert taken is ours
    assert stream.closed()
    with pytest.raises(StreamClosedError):
        await stream.write(b"x")
    theirs.send(b"more")
    await asyncio.sleep(0.01)  # who still watched it would read it
    assert taken.recv(10) == b"more"
    taken.close()
    theirs.close()


async def test_stream_with_bytes_unread_or_unsent_keeps_its_socket() -> None:
    ours, theirs = pair()
    stream = iostream_with(b"x", ours, max_buffer_size=1_000, chunk_size=100)
    assert take_socket(stream) is None
    stream.close()
    theirs.close()


async def test_written_bytes_are_those_that_the_socket_took() -> None:
    ours, theirs = pair()
    stream = IOStream(ours)
    await stream.write(b"abc")
    assert bytes_written(stream) == 3
    stream.close()
    theirs.close()


async def test_connection_that_ends_behind_its_answer_is_closed_by_it() -> None:
    ours, theirs = pair()
    stream = iostream_with(b"GET /next", ours, max_buffer_size=1_000, chunk_size=100)
    connection = HTTP1Connection(stream, is_client=False)
    end_behind_answer(connection)
    connection._read_finished = True  # as at the end of a request
    connection.finish()
    await asyncio.sleep(0)
    assert stream.closed()
    with pytest.raises(StreamClosedError):
        await stream.read_bytes(1)
    theirs.close()


async def test_connection_knows_whether_the_head_of_its_request_came_in() -> None:
    class Ignoring(HTTPMessageDelegate):
        pass

    ours, theirs = pair()
    connection = HTTP1Connection(IOStream(ours), is_client=False)
    reading = asyncio.ensure_future(connection.read_response(Ignoring()))
    await asyncio.sleep(0)
    assert not has_head(connection)
    theirs.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n")
    await eventually(lambda: has_head(connection))
    connection.close()
    await asyncio.wait({reading})
    theirs.close()


async def test_callback_goes_on_when_the_clock_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = itertools.count()
    seen = []
    timer = SteadyCallback(lambda: seen.append(next(calls)), 20)
    timer.start()
    await eventually(lambda: len(seen) >= 2)
    set_back = time.time() - 3_600
    monkeypatch.setattr(time, "time", lambda: set_back)
    await eventually(lambda: len(seen) >= 5)
    timer.stop()


async def test_callback_that_was_held_up_is_called_once_for_all_that_were_due() -> None:
    times: list[float] = []
    timer = SteadyCallback(lambda: times.append(time.monotonic()), 50)
    timer.start()
    time.sleep(0.5)  # the loop stands still
    await eventually(lambda: len(times) >= 3)
    timer.stop()
    assert times[2] - times[0] > 0.025  # the second may be due at once, the third is not
