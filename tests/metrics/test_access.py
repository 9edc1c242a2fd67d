"""Who gets the metrics: a bearer token, and a listener of their own."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest

from tests.conftest import StartHub
from tests.raw import Answer, exchange
from tests.serving import serving
from tocsin import Settings
from tocsin.app import Server

TOKEN = "a-token-of-some-length"


def ask(port: int, path: str = "/metrics", authorization: str = "") -> Answer:
    fields = "Host: localhost\r\n" + (
        f"Authorization: {authorization}\r\n" if authorization else ""
    )
    return exchange(port, f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode("latin-1"))


WRONG = (
    "",
    "Bearer",
    "Bearer ",
    "Bearer x",
    TOKEN,
    f"Basic {TOKEN}",
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN.upper()}",
    "Bearer \xe9",
)


def test_metrics_with_a_token_are_refused_to_others(start_hub: StartHub) -> None:
    hub = start_hub(env={"TOCSIN_METRICS_TOKEN": TOKEN})
    for authorization in WRONG:
        answer = ask(hub.port, authorization=authorization)
        assert (answer.status, answer.json["code"]) == (401, "unauthorized"), authorization
        assert answer.headers["www-authenticate"] == 'Bearer realm="metrics"'
        assert b"tocsin_clients" not in answer.body


def test_metrics_with_a_token_are_for_who_has_it(start_hub: StartHub) -> None:
    hub = start_hub(env={"TOCSIN_METRICS_TOKEN": TOKEN})
    for scheme in ("Bearer", "bearer"):
        answer = ask(hub.port, authorization=f"{scheme} {TOKEN}")
        assert (answer.status, b"tocsin_clients 0.0" in answer.body) == (200, True)
    assert ask(hub.port, "/api/stats").status == 200
    hub.stop()
    assert TOKEN not in hub.log()


async def test_metrics_have_a_listener_of_their_own_and_the_hub_none_then() -> None:
    async with serving(metrics_listen="127.0.0.1:0") as server:
        of_hub = await asyncio.to_thread(ask, server.port)
        of_metrics = await asyncio.to_thread(ask, server.metrics_port)
        other = await asyncio.to_thread(ask, server.metrics_port, "/api/stats")
    assert (of_hub.status, of_hub.json["code"]) == (404, "not_found")
    assert (of_metrics.status, b"tocsin_clients 0.0" in of_metrics.body) == (200, True)
    assert other.status == 404


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tocsin", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def test_taken_port_for_metrics_ends_the_start_with_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", "--port", "0", "--metrics-listen", f"127.0.0.1:{port}")
    assert ended.returncode == 1
    assert ended.stderr == (
        f"tocsin: metrics_listen: {port} on 127.0.0.1: Address already in use\n"
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [("9100", "allowed: text like"), ("h:99999", "0 to 65535"), ("192.0.2.1:0", "this machine")],
)
def test_bad_listener_for_metrics_ends_the_start_with_one_line(value: str, said: str) -> None:
    ended = run("serve", "--port", "0", "--metrics-listen", value)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "metrics" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_token_is_never_shown() -> None:
    shown = run("check-config", "--metrics-token", TOKEN)
    assert shown.returncode == 0
    assert 'metrics_token = "(hidden)"' in shown.stdout
    refused = run("check-config", "--metrics-token", TOKEN + " !")
    assert refused.returncode == 2
    assert TOKEN not in shown.stdout + refused.stderr + repr(Settings(metrics_token=TOKEN))
    assert 'metrics_token = ""' in run("check-config").stdout


def test_taken_port_of_the_hub_is_named_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", "--port", str(port))
    assert (ended.returncode, ended.stderr) == (
        1,
        f"tocsin: port: {port} on 127.0.0.1: Address already in use\n",
    )


def test_server_knows_where_its_metrics_are() -> None:
    assert Server(Settings(metrics_listen="[::1]:9100"))._settings.metrics_address == ("::1", 9100)
