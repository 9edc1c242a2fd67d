"""`make monitor`: one command, real figures, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub_process import free_ports
from tests.patience import PATIENCE_S, wait_until
from tests.tied import TIED_AND_TOLD

ROOT = Path(__file__).parents[2]

GRAFANA = """\
#!{python}
import json, os, sys, http.server
env = {{k: v for k, v in os.environ.items() if k.startswith(("GF_", "PROMETHEUS_", "GRAFANA_"))}}
with open({note!r}, "w") as note:
    json.dump({{"arguments": sys.argv[1:], "env": env}}, note)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["GF_SERVER_HTTP_PORT"])), Handler).serve_forever()
"""
"""What stands in for Grafana, which Debian doesn't have: it notes how it was started, and is healthy."""


class Monitor:
    """The command as a process, with ports of its own."""

    def __init__(self, log: Path, *command: str, path: str = "") -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                (*TIED_AND_TOLD, *command),
                cwd=ROOT,
                stdout=output,
                stderr=output,
                env=os.environ | {"PATH": path + os.environ["PATH"]},
                start_new_session=True,  # a terminal's foreground group, for `interrupt`
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait_until_running(self) -> None:
        wait_until(
            lambda: "Ctrl-C" in self.said or self._process.poll() is not None, what="make monitor"
        )
        assert "Ctrl-C" in self.said, self.said

    def interrupt(self) -> int:
        """What Ctrl-C in a terminal does; returns the exit code."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        return self._process.wait(PATIENCE_S)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)


@pytest.fixture
def monitors(tmp_path: Path) -> Iterator[Any]:
    started: list[Monitor] = []

    def start(*command: str, path: str = "") -> Monitor:
        started.append(Monitor(tmp_path / f"log-{len(started)}", *command, path=path))
        return started[-1]

    yield start
    for each in started:
        each.close()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(port: int, path: str, **query: str) -> Any:
    url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
        return json.load(response)["data"]


def test_monitor_shows_real_figures_and_ctrl_c_leaves_nothing(monitors: Any) -> None:
    ports = hub, prometheus, grafana = free_ports(3)
    monitor = monitors(
        *("env", "--default-signal=INT"),  # ignored where the tests run in the background
        *("make", "monitor", f"PORT={hub}", f"PROMETHEUS={prometheus}", f"GRAFANA={grafana}"),
    )
    monitor.wait_until_running()
    assert f"http://localhost:{hub}" in monitor.said
    assert f"http://localhost:{prometheus}" in monitor.said
    assert "Grafana" in monitor.said

    def clients() -> list[str]:
        found = ask(prometheus, "query", query="tocsin_clients")["result"]
        return [row["value"][1] for row in found]

    wait_until(lambda: clients() == ["1"], what="a scrape of the hub with its one client")
    (target,) = ask(prometheus, "targets")["activeTargets"]
    assert target["labels"] == {"instance": f"localhost:{hub}", "job": "tocsin"}
    assert len(ask(prometheus, "rules")["groups"]) == 5
    assert monitor.interrupt() == -signal.SIGINT  # make's own; it waits for what it started
    assert "stopped" in monitor.said
    assert [port for port in ports if is_open(port)] == []


def test_monitor_starts_grafana_with_our_files_and_ends_when_it_fails(
    monitors: Any, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    grafana_program = tmp_path / "bin" / "grafana"
    grafana_program.parent.mkdir()
    grafana_program.write_text(GRAFANA.format(python=sys.executable, note=str(note)))
    grafana_program.chmod(0o755)
    ports = hub, prometheus, grafana = free_ports(3)
    monitor = monitors(
        sys.executable,
        *("-m", "grafana.monitor", "--hub-port", str(hub)),
        *("--prometheus-port", str(prometheus), "--grafana-port", str(grafana)),
        path=f"{grafana_program.parent}:",
    )
    monitor.wait_until_running()
    assert f"http://localhost:{grafana}/d/tocsin" in monitor.said
    started = json.loads(note.read_text())
    assert started["arguments"][0] == "server"
    assert started["env"]["GF_PATHS_PROVISIONING"] == str(ROOT / "grafana" / "provisioning")
    assert (Path(started["env"]["GRAFANA_DASHBOARDS"]) / "tocsin.json").exists()
    assert started["env"]["PROMETHEUS_URL"] == f"http://localhost:{prometheus}"
    os.kill(listener(grafana), signal.SIGKILL)
    assert monitor.wait() == 1
    assert "grafana ended with code -9" in monitor.said
    assert [port for port in ports if is_open(port)] == []


def listener(port: int) -> int:
    """The process that listens on `port`."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    (inode,) = [row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"]
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(descriptor) == f"socket:[{inode}]":
                return int(descriptor.parts[2])
        except OSError:
            continue
    raise AssertionError(f"nobody listens on {port}")


def test_taken_port_is_named_and_nothing_is_started(monitors: Any) -> None:
    hub, prometheus, grafana = free_ports(3)
    with socket.create_server(("127.0.0.1", prometheus)):
        monitor = monitors(
            sys.executable,
            *("-m", "grafana.monitor", "--hub-port", str(hub)),
            *("--prometheus-port", str(prometheus), "--grafana-port", str(grafana)),
        )
        assert monitor.wait() == 1
    assert monitor.said == (
        f"monitor: port {prometheus}: Address already in use."
        " Choose another: make monitor PROMETHEUS=...\n"
    )
    assert not is_open(hub)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "3000 "])
def test_port_that_is_none_is_named(monitors: Any, port: str) -> None:
    monitor = monitors(sys.executable, "-m", "grafana.monitor", f"--hub-port={port}")
    assert monitor.wait() == 2
    assert f"--hub-port: {port!r}: allowed: 1 to 65535" in monitor.said
