"""The fault proxy does what it says: else the tests that use it would prove nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.conftest import StartFaultProxy
from tests.fault_proxy import FaultProxy, Faults
from tests.patience import PATIENCE_S, wait_until

ANSWER = b"head\n" + bytes(range(65, 91)) * 4


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that sends `ANSWER` to what it is sent, whatever it is, and then sends back what comes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65_536)
            connection.sendall(ANSWER)
            while data := connection.recv(65_536):
                connection.sendall(data)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def connect(proxy: FaultProxy, target: str = "/") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S)
    connection.sendall(f"GET {target} HTTP/1.1\r\n\r\n".encode())
    return connection


def read(connection: socket.socket, count: int) -> bytes:
    """So many bytes, or what came before the end."""
    data = b""
    while len(data) < count and (piece := connection.recv(count - len(data))):
        data += piece
    return data


@pytest.mark.parametrize(
    "faults", [Faults(), Faults(latency_s=0.01), Faults(piece_bytes=1), Faults(bytes_per_s=10_000)]
)
def test_bytes_pass_unchanged_in_both_directions(
    fault_proxy: StartFaultProxy, echo_port: int, faults: Faults
) -> None:
    proxy = fault_proxy(echo_port, lambda target, number: faults)
    with connect(proxy) as connection:
        assert read(connection, len(ANSWER)) == ANSWER
        connection.sendall(b"again")
        assert read(connection, 5) == b"again"


@pytest.mark.parametrize("piece", [1, 3, 65_536])
@pytest.mark.parametrize(
    ("start", "expected"), [(b"", ANSWER[:7]), (b"head", ANSWER[:7]), (b"CDE", ANSWER[:14])]
)
def test_answer_is_cut_behind_the_byte_that_was_named(
    fault_proxy: StartFaultProxy, echo_port: int, piece: int, start: bytes, expected: bytes
) -> None:
    faults = Faults(piece_bytes=piece, cut_after=7, cut_from=start, cut_with_reset=False)
    proxy = fault_proxy(echo_port, lambda target, number: faults)
    with connect(proxy) as connection:
        assert read(connection, len(ANSWER)) == expected
    assert proxy.cuts == 1


def test_only_the_first_connection_to_a_target_is_cut(
    fault_proxy: StartFaultProxy, echo_port: int
) -> None:
    first = Faults(cut_after=3, cut_with_reset=False)
    proxy = fault_proxy(echo_port, lambda target, number: Faults() if number else first)
    for target in ("/a", "/b"):
        with connect(proxy, target) as connection:
            assert read(connection, len(ANSWER)) == ANSWER[:3]
        with connect(proxy, target) as connection:
            assert read(connection, len(ANSWER)) == ANSWER


def test_cut_resets_what_is_open(fault_proxy: StartFaultProxy, echo_port: int) -> None:
    proxy = fault_proxy(echo_port)
    with connect(proxy) as connection:
        assert read(connection, len(ANSWER)) == ANSWER
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_black_hole_takes_bytes_and_gives_none(
    fault_proxy: StartFaultProxy, echo_port: int
) -> None:
    proxy = fault_proxy(echo_port)
    with connect(proxy) as connection:
        assert read(connection, len(ANSWER)) == ANSWER
        proxy.loses_answers = True
        connection.sendall(b"lost")
        wait_until(lambda: proxy.lost_bytes == 4, what="the answer has been lost")
        proxy.loses_answers = False
        connection.sendall(b"found")
        assert read(connection, 5) == b"found"


def test_refused_connection_is_reset(fault_proxy: StartFaultProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with connect(fault_proxy(port)) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
