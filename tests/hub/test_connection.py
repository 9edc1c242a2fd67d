from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tornado.iostream import IOStream

from tests.hub.hubs import pair, tcp_pair
from tests.serving import eventually
from tocsin.hub.connection import (
    SocketConnection,
    StreamConnection,
    connect,
)
from tocsin.sockets import Sockets


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def close(self, reason: str) -> None:
        self.told.append(reason)

    def on_drained(self) -> None:
        self.told.append("drained")

    def on_gone(self) -> None:
        self.told.append("gone")


class BuggyOwner(Owner):
    def on_gone(self) -> None:
        raise RuntimeError("a bug")


@asynccontextmanager
async def watching() -> AsyncIterator[Sockets]:
    sockets = Sockets()
    sockets.start()
    try:
        yield sockets
    finally:
        sockets.stop()


def open_connection(
    ours: socket.socket, sockets: Sockets, owner: Owner | None = None
) -> tuple[SocketConnection, Owner]:
    connection, owner = SocketConnection(ours, sockets), owner or Owner()
    connection.open(owner)
    return connection, owner


def fill(ours: socket.socket) -> int:
    """Send until the socket takes no more; returns how much it took."""
    took = 0
    while True:
        try:
            took += ours.send(b"x" * 65_536)
        except BlockingIOError:
            return took


async def read(theirs: socket.socket, size: int) -> int:
    """Read at least `size` bytes, and return how many."""
    loop, took = asyncio.get_running_loop(), 0
    while took < size:
        took += len(await asyncio.wait_for(loop.sock_recv(theirs, 4_096), 5))
    return took


# --- giving up the socket -------------------------------------------------------------------------


async def test_iostream_with_bytes_unsent_stays_one_and_sends_them_first() -> None:
    async with watching() as sockets:
        ours, theirs = tcp_pair()
        iostream = IOStream(ours)
        before = fill(ours)
        iostream.write(b"before ")
        connection = connect(iostream, sockets)
        assert isinstance(connection, StreamConnection)
        owner = Owner()
        connection.open(owner)
        connection.keep(memoryview(b"after"))
        assert await read(theirs, before + 12) == before + 12
        await eventually(lambda: owner.told == ["drained"])
        connection.close()
        theirs.close()


async def test_iostream_with_bytes_nobody_asked_for_is_closed_as_one_that_speaks() -> None:
    async with watching() as sockets:
        ours, theirs = pair()
        iostream = IOStream(ours)
        theirs.send(b"GET\nmore")
        await iostream.read_until(b"\n")
        connection, owner = connect(iostream, sockets), Owner()
        connection.open(owner)
        await eventually(lambda: owner.told[:1] == ["gone"])
        connection.close()
        theirs.close()


# --- sending --------------------------------------------------------------------------------------


async def test_what_the_socket_did_not_take_is_sent_as_soon_as_it_does() -> None:
    async with watching() as sockets:
        ours, theirs = tcp_pair()
        connection, owner = open_connection(ours, sockets)
        before = fill(ours)
        connection.keep(memoryview(b"y" * 100_000))
        connection.keep(memoryview(b"z" * 10))
        assert await read(theirs, before + 100_010) == before + 100_010
        assert owner.told == ["drained"]
        connection.close()
        theirs.close()


async def test_bytes_that_leave_are_progress_even_where_the_socket_takes_none() -> None:
    async with watching() as sockets:
        ours, theirs = tcp_pair(buffer_bytes=256 * 1024)
        connection, _ = open_connection(ours, sockets)
        fill(ours)
        connection.keep(memoryview(b"y" * 100_000))
        await asyncio.sleep(0.05)  # for the kernel to get to the client what it can
        connection.has_moved()
        assert not connection.has_moved()
        await read(theirs, 60_000)  # less than makes the socket take more
        await eventually(connection.has_moved)
        await asyncio.sleep(0.05)
        connection.has_moved()
        assert not connection.has_moved()
        connection.close()
        theirs.close()


# --- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["closes", "resets", "ends its half", "speaks"])
async def test_owner_is_told_that_the_client(how: str) -> None:
    async with watching() as sockets:
        ours, theirs = tcp_pair()
        connection, owner = open_connection(ours, sockets)
        if how == "resets":
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if how == "speaks":
            theirs.send(b"x")
        elif how == "ends its half":
            theirs.shutdown(socket.SHUT_WR)
        else:
            theirs.close()
        await eventually(lambda: owner.told[:1] == ["gone"])
        connection.close()
        theirs.close()


@pytest.mark.parametrize("reset", [False, True])
async def test_close_drops_what_the_kernel_holds_only_with_a_reset(reset: bool) -> None:
    async with watching() as sockets:
        ours, theirs = tcp_pair()
        connection, _ = open_connection(ours, sockets)
        queued = fill(ours)
        connection.close(reset=reset)
        if reset:
            with pytest.raises(ConnectionResetError):
                await read(theirs, queued)
        else:
            assert await read(theirs, queued) == queued
        theirs.close()


async def test_last_bytes_are_taken_before_the_owner_is_told() -> None:
    async with watching() as sockets:
        ours, theirs = tcp_pair()
        connection, owner = open_connection(ours, sockets)
        connection.finish(b"bye")
        assert owner.told == ["drained"]
        connection.close()
        assert await asyncio.get_running_loop().sock_recv(theirs, 10) == b"bye"
        theirs.close()


async def test_bug_of_one_owner_closes_its_connection_and_disturbs_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watching() as sockets:
        first, second = pair(), pair()
        _, buggy = open_connection(first[0], sockets, BuggyOwner())
        other, owner = open_connection(second[0], sockets)
        first[1].close()
        second[1].close()
        await eventually(lambda: owner.told[:1] == ["gone"])
        assert buggy.told == ["error"]
        assert first[0].fileno() == -1
        assert "a connection failed" in caplog.text
        other.close()
