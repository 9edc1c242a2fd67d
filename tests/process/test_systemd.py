"""What the hub and systemd agree on: the datagrams of sd_notify(3), over a real socket, and the units."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartHub
from tests.patience import PATIENCE_S, wait_until
from tocsin.systemd import notify, watchdog_s

ROOT = Path(__file__).parents[2]
UNITS = ("tocsin.service", "tocsin.socket")


class Manager:
    """Takes what a service tells."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(PATIENCE_S)

    def next(self) -> list[str]:
        """The lines of the next datagram."""
        return self._socket.recv(4_096).decode().splitlines()

    def next_but(self, line: str) -> list[str]:
        """The lines of the next datagram that isn't `line`."""
        while (told := self.next()) == [line]:
            pass
        return told

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify.sock")
    yield manager
    manager.close()


def test_service_manager_is_told_of_start_reload_and_stop(
    start_hub: StartHub, manager: Manager
) -> None:
    flags = ("--drain-delay", "0.2", "--drain-timeout", "7")
    hub = start_hub(*flags, env={"NOTIFY_SOCKET": manager.path})
    assert manager.next() == ["READY=1", f"STATUS=listens at http://localhost:{hub.port}"]
    hub.signal(signal.SIGHUP)
    reloading, since = manager.next()
    assert reloading == "RELOADING=1"
    assert since.removeprefix("MONOTONIC_USEC=").isdigit()
    assert manager.next() == ["READY=1"]
    hub.signal(signal.SIGTERM)
    assert manager.next() == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=12200000"]
    assert hub.wait() == 0


def test_watchdog_is_fed_while_the_loop_turns(start_hub: StartHub, manager: Manager) -> None:
    hub = start_hub(env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "300000"})
    manager.next()
    for _ in range(3):
        assert manager.next() == ["WATCHDOG=1"]
    assert hub.stop() == 0
    assert manager.next_but("WATCHDOG=1")[0] == "STOPPING=1"


def test_watchdog_of_another_process_is_not_fed() -> None:
    assert watchdog_s({"WATCHDOG_USEC": "3000000"}) == 3.0
    assert watchdog_s({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}) == 3.0
    assert watchdog_s({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}) == 0.0
    assert watchdog_s({}) == 0.0


def test_service_manager_that_is_gone_harms_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@tocsin-nobody-listens-here")
    notify("READY=1")
    assert "the service manager was not told" in caplog.text


def test_hangup_without_a_service_manager_ends_nothing(start_hub: StartHub) -> None:
    hub = start_hub()
    hub.signal(signal.SIGHUP)
    wait_until(lambda: "read again" in hub.log())
    assert hub.get("/healthz") == {"status": "ok"}


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The shipped units, with the command that is installed here."""
    for name in UNITS:
        shutil.copy(ROOT / "config/systemd" / name, tmp_path)
    service = tmp_path / "tocsin.service"
    command = Path(sys.executable).with_name("tocsin")
    service.write_text(service.read_text().replace("/opt/tocsin/bin/tocsin", str(command)))
    return [str(tmp_path / name) for name in UNITS]


def test_units_are_taken_by_systemd(units: list[str]) -> None:
    command = ["systemd-analyze", "verify", "--man=no", *units]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_service_is_hardened(units: list[str]) -> None:
    """Exposure in tenths, of 100: below 15 systemd calls it OK."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", units[0]]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert result.returncode == 0, result.stdout


def test_flags_of_the_service_are_settings(units: list[str]) -> None:
    line = next(re.finditer(r"^ExecStart=(.*)", Path(units[0]).read_text(), re.MULTILINE))[1]
    command = line.replace(" serve ", " check-config ").split()
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert result.returncode == 0, result.stderr
