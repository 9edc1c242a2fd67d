"""Where the hub listens: several hosts, both versions of IP, Unix sockets, and sockets that it is given."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest

from tests.cli.commands import tocsin
from tests.conftest import StartHub
from tests.hub_process import free_ports
from tests.patience import PATIENCE_S, wait_until
from tests.raw import Answer, exchange, get, notice, post, read_answer
from tests.serving import serving
from tocsin import Settings
from tocsin.app import Server
from tocsin.errors import PortTaken, SettingsError
from tocsin.http import places
from tocsin.http.places import check_metrics_port


def exchange_by_path(path: str | Path, request: bytes) -> Answer:
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(str(path))
        connection.sendall(request)
        return read_answer(connection)


def exchange_at(host: str, port: int, request: bytes) -> Answer:
    with closing(socket.create_connection((host, port), PATIENCE_S)) as connection:
        connection.sendall(request)
        return read_answer(connection)


def test_hub_listens_at_each_host_and_greets_with_each(start_hub: StartHub, tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    hub = start_hub("--host", "127.0.0.1", "--host", "::1", "--host", f"unix:{path}")
    assert f"Tocsin listens at http://[::1]:{hub.port}\n" in hub.log()
    assert f"Tocsin listens at unix:{path}\n" in hub.log()
    assert exchange_at("127.0.0.1", hub.port, get("/api/history")).status == 200
    assert exchange_at("::1", hub.port, get("/api/history")).status == 200
    assert exchange_by_path(path, get("/api/history")).status == 200
    wait_until(lambda: "remote=unix" in hub.log() and "remote=::1" in hub.log())


def test_both_versions_of_ip_come_by_one_socket(start_hub: StartHub) -> None:
    hub = start_hub("--host", "::", "--insecure")
    assert "(every address of this machine)" in hub.log()
    for host in ("127.0.0.1", "::1"):
        assert exchange_at(host, hub.port, get("/api/history")).status == 200
        # What is odd in HTTP goes to Tornado, which must know the same address.
        assert exchange_at(host, hub.port, get("/api/history", "Upgrade: x")).status == 200
    wait_until(lambda: hub.log().count("remote=127.0.0.1") == 2)
    wait_until(lambda: hub.log().count("remote=::1") == 2)
    assert "::ffff:" not in hub.log()


@pytest.mark.parametrize(
    "hosts", [("0.0.0.0",), ("127.0.0.1", "0.0.0.0"), ("unix:/tmp/x.sock", "::")]
)
def test_each_host_is_held_to_the_rule_for_hubs_without_authentication(
    hosts: tuple[str, ...],
) -> None:
    flags = [word for host in hosts for word in ("--host", host)]
    result = tocsin("serve", "--port", "0", *flags)
    assert result.returncode == 2
    assert "--insecure" in result.stderr


@pytest.mark.parametrize(
    ("hosts", "where"),
    [
        (("127.0.0.1", "localhost"), ["127.0.0.1"]),
        (("localhost", "127.0.0.1", "127.0.0.1", "127.1"), ["localhost"]),
        (("::", "0.0.0.0", "127.0.0.1", "::1"), ["::"]),
        (("127.0.0.1", "0.0.0.0", "::"), ["::"]),
        (("127.0.0.1", "0.0.0.0", "::1"), ["0.0.0.0", "::1"]),
        (("::ffff:127.0.0.1", "127.0.0.1"), ["::ffff:127.0.0.1"]),
        (("127.0.0.1", "127.0.0.2"), ["127.0.0.1", "127.0.0.2"]),
    ],
)
async def test_address_that_two_hosts_mean_is_bound_once(
    hosts: tuple[str, ...], where: list[str]
) -> None:
    async with serving(host=hosts, insecure=True, canary=0) as server:
        assert server.hosts == where
        for host in hosts:
            ask = partial(exchange_at, host, server.port, get("/healthz"))
            assert (await asyncio.to_thread(ask)).status == 200


async def test_path_that_two_hosts_mean_is_bound_once(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    again = f"{tmp_path}/../{tmp_path.name}/hub.sock"
    async with serving(host=(f"unix:{path}", f"unix:{path}", f"unix:{again}"), canary=0) as server:
        assert server.hosts == [f"unix:{path}"]
        answer = await asyncio.to_thread(exchange_by_path, path, get("/healthz"))
        assert answer.status == 200


def resolved(*addresses: str) -> Any:
    """What names mean then, as `localhost` does on another machine; addresses mean themselves."""
    of_system = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        means = addresses if host == "localhost" else (host,)
        return [one for each in means for one in of_system(each, port, *args, **more)]

    return mock.patch.object(socket, "getaddrinfo", resolve)


async def test_name_of_both_versions_of_ip_is_bound_at_both() -> None:
    with resolved("::1", "127.0.0.1"):
        async with serving(host=("127.0.0.1", "localhost"), canary=0) as server:
            assert server.hosts == ["127.0.0.1", "localhost"]
            for host in ("127.0.0.1", "::1"):
                ask = partial(exchange_at, host, server.port, get("/healthz"))
                assert (await asyncio.to_thread(ask)).status == 200


async def test_name_is_bound_where_its_machine_has_no_ipv6() -> None:
    without = mock.patch.object(places, "_has_ipv6", return_value=False)
    with resolved("::1", "127.0.0.1"), without:
        async with serving(host=("localhost",), canary=0) as server:
            ask = partial(exchange_at, "127.0.0.1", server.port, get("/healthz"))
            assert (await asyncio.to_thread(ask)).status == 200


@pytest.mark.parametrize(
    ("host", "metrics"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("127.0.0.1", "0.0.0.0"),
        ("::", "127.0.0.1"),
        ("::1", "[::]"),
    ],
)
def test_port_of_the_metrics_that_is_the_hubs_is_refused_with_both_settings(
    host: str, metrics: str, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    file = tmp_path / "journal.db"
    flags = ("--host", host, "--port", str(port), "--metrics-listen", f"{metrics}:{port}")
    result = tocsin("serve", *flags, "--insecure", "--journal", f"sqlite:{file}")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert f"metrics_listen: '{metrics}:{port}': the hub itself is to listen there" in result.stderr
    assert f"by host and port ({port}); allowed: another port" in result.stderr
    assert not file.exists()


async def test_metrics_at_the_hubs_port_of_another_address_are_taken() -> None:
    (port,) = free_ports(1)
    server = Server(Settings(port=port, metrics_listen=f"127.0.0.2:{port}", canary=0))
    await server.start()
    ask = partial(exchange_at, "127.0.0.2", port, get("/metrics"))
    assert (await asyncio.to_thread(ask)).status == 200
    await server.stop()


def test_ports_of_several_processes_metrics_are_judged_too() -> None:
    settings = Settings(
        port=9301, processes=3, journal="redis://127.0.0.1/0", metrics_listen="127.0.0.1:9300"
    )
    with pytest.raises(SettingsError, match=r"and the 2 ports behind it.*port \(9301\)"):
        check_metrics_port(settings)
    check_metrics_port(msgspec.structs.replace(settings, port=9303))


async def test_host_that_a_request_names_is_judged_on_each_of_several_hosts(
    tmp_path: Path,
) -> None:
    path = tmp_path / "hub.sock"
    async with serving(host=("127.0.0.1", f"unix:{path}"), canary=0):

        def ask(host: str) -> int:
            return exchange_by_path(
                path, f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            ).status

        assert await asyncio.to_thread(ask, "localhost") == 200
        assert await asyncio.to_thread(ask, "evil.example") == 421


def test_greeting_of_a_hub_on_a_path_alone_is_a_curl_line_that_works(tmp_path: Path) -> None:
    path = tmp_path / "a hub.sock"
    with hub_command("--host", f"unix:{path}") as hub:
        assert hub.stdout
        assert hub.stdout.readline() == f"Tocsin listens at unix:{path}\n"
        curl = hub.stdout.readline().strip().removeprefix("Publish:") + " -s"
        said = subprocess.run(curl, shell=True, capture_output=True, text=True, check=True).stdout
        assert '"success":true' in said
        streamed = get("/events", version="1.0")
        with closing(socket.socket(socket.AF_UNIX)) as stream:
            stream.connect(str(path))
            stream.sendall(streamed)
            assert b"event: connection" in stream.recv(65_536)
        hub.send_signal(signal.SIGTERM)
        assert hub.wait(PATIENCE_S) == 0
    assert not path.exists()


def test_socket_has_the_mode_that_is_set(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    with hub_command("--host", f"unix:{path}", "--socket-mode", "600") as hub:
        assert hub.stdout
        hub.stdout.readline()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    result = tocsin("check-config", "--socket-mode", "999")
    assert result.returncode == 2
    assert "--socket-mode: '999'" in result.stderr


async def test_stale_socket_is_replaced_and_a_live_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(path))  # nobody listens at it any more
    async with serving(host=(f"unix:{path}",), canary=0):
        second = Server(Settings(host=(f"unix:{path}",)))
        with pytest.raises(PortTaken, match="another process listens there"):
            await second.start()
        assert path.exists()
    assert not path.exists()


async def test_path_that_is_no_socket_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(SettingsError, match="a file that is no socket"):
        await Server(Settings(host=(f"unix:{path}",))).start()
    assert path.read_text() == "data"


@pytest.mark.parametrize("path", ["", "/none/hub.sock", "/tmp/" + "x" * 120])
async def test_path_that_cannot_be_made_is_named(path: str) -> None:
    with pytest.raises(SettingsError, match=r"host: 'unix:.*allowed: unix:PATH"):
        await Server(Settings(host=(f"unix:{path}",))).start()


# --- sockets that the hub is given ------------------------------------------------------------------

# What systemd does: the sockets from descriptor 3 on, and their number and the process's in variables.
ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "tocsin", "serve", *sys.argv[2:]])
"""


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        yield listening


def activated(listening: socket.socket, *flags: str) -> subprocess.Popen[str]:
    """A hub that is given `listening`, when it has greeted."""
    hub = subprocess.Popen(
        [sys.executable, "-c", ACTIVATED, str(listening.fileno()), "--canary", "0", *flags],
        pass_fds=[listening.fileno()],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert hub.stdout
    assert "listens at" in hub.stdout.readline()
    return hub


def test_restart_with_an_inherited_socket_refuses_no_connection(listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    statuses: list[int] = []
    over = threading.Event()

    def publish_on() -> None:
        while not over.is_set():
            statuses.append(exchange(port, post(notice(), "Connection: close")).status)

    def answered(more: int) -> None:
        enough = len(statuses) + more
        wait_until(lambda: len(statuses) > enough)

    with ExitStack() as stack:
        hub = stack.enter_context(activated(listening))
        publisher = threading.Thread(target=publish_on)
        publisher.start()
        stack.callback(publisher.join)
        stack.callback(over.set)
        for _ in range(2):
            answered(20)
            hub.send_signal(signal.SIGTERM)
            assert hub.wait(PATIENCE_S) == 0
            hub = stack.enter_context(activated(listening))
        answered(20)
        over.set()
        publisher.join(PATIENCE_S)
        hub.terminate()
    assert set(statuses) <= {200, 503}  # 503: it had the connection, and was told to stop


def test_socket_activation_by_systemds_own_tool_starts_the_hub_at_the_first_request(
    tmp_path: Path,
) -> None:
    (port,) = free_ports(1)
    command = ["systemd-socket-activate", "--listen", f"127.0.0.1:{port}"]
    hub = [sys.executable, "-m", "tocsin", "serve", "--port", "1", "--canary", "0"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_")}
    with subprocess.Popen(
        [*command, f"--setenv=PATH={env['PATH']}", *hub], stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        try:
            answer = Answer(0, {}, b"", closed=True)

            def asked() -> bool:
                nonlocal answer
                with suppress(ConnectionRefusedError):  # as long as the tool doesn't listen
                    answer = exchange(port, get("/healthz"))
                return answer.status == 200

            wait_until(asked)
            assert process.stdout
            assert process.stdout.readline() == f"Tocsin listens at http://localhost:{port}\n"
        finally:
            process.terminate()


def refused(given: socket.socket) -> str:
    """What a hub says that does not start with `given` as its socket."""
    result = subprocess.run(
        [sys.executable, "-c", ACTIVATED, str(given.fileno())],
        pass_fds=[given.fileno()],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    return result.stderr


def test_inherited_socket_is_held_to_the_rule_for_hubs_without_authentication() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listening:
        said = refused(listening)
    assert re.match(r"tocsin: LISTEN_FDS: '0\.0\.0\.0': .*--insecure", said)


def test_descriptor_that_does_not_listen_is_named() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        said = refused(ours)
    assert "LISTEN_FDS: descriptor 3: allowed: a socket that listens" in said


@contextmanager
def hub_command(*flags: str) -> Iterator[subprocess.Popen[str]]:
    """A hub whose greeting is still to be read; it ends with the block."""
    command = [sys.executable, "-m", "tocsin", "serve", "--port", "0", *flags]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as hub:
        try:
            yield hub
        finally:
            hub.kill()
