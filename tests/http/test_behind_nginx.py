"""A hub on a Unix socket behind a real nginx, which says whose request it is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until
from tests.proxy_process import DefaultNginx
from tests.raw import get, notice, post, read_answer

LOCATION = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.sock"


@pytest.fixture
def hub(start_hub: StartHub, path: Path) -> HubProcess:
    hosts = ("--host", "127.0.0.1", "--host", f"unix:{path}")
    return start_hub(*hosts, "--trusted-proxy", "unix", "--max-clients-per-address", "1")


@pytest.fixture
def nginx(hub: HubProcess, path: Path) -> Iterator[DefaultNginx]:
    nginx = DefaultNginx(path, LOCATION)
    yield nginx
    nginx.close()


def ask(nginx: DefaultNginx, request: bytes, source: str = "127.0.0.1") -> socket.socket:
    """A connection of the client `source` that has sent `request`."""
    connection = socket.create_connection(("127.0.0.1", nginx.port), PATIENCE_S, (source, 0))
    connection.sendall(request)
    return connection


def read_until(connection: socket.socket, wanted: bytes) -> None:
    received = b""
    while wanted not in received:
        piece = connection.recv(65_536)
        assert piece, received
        received += piece


def test_address_is_that_of_who_asked_the_proxy_whatever_it_says_itself(
    hub: HubProcess, nginx: DefaultNginx
) -> None:
    request = post(notice(), "X-Forwarded-For: 203.0.113.9", "Connection: close")
    with closing(ask(nginx, request, "127.0.0.3")) as client:
        assert read_answer(client).status == 200
    wait_until(lambda: "path=/api/notify" in hub.log())
    (line,) = [line for line in hub.log().splitlines() if "path=/api/notify" in line]
    assert " remote=127.0.0.3 " in line


def test_clients_behind_the_proxy_are_limited_each_by_its_own_address(nginx: DefaultNginx) -> None:
    stream = get("/events")
    with (
        closing(ask(nginx, stream)) as first,
        closing(ask(nginx, stream, "127.0.0.2")) as other,
    ):
        read_until(first, b"event: connection")
        read_until(other, b"event: connection")
        with closing(ask(nginx, stream)) as second:
            read_until(second, b'"reason":"address"')
        with closing(ask(nginx, post(notice()))) as publisher:
            assert read_answer(publisher).json["sentTo"] == 2
        read_until(first, b"bonjour")
        read_until(other, b"bonjour")
