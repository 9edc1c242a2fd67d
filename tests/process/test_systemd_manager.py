"""The shipped units under a real systemd: process 1 of its own namespaces, with none of this machine's units."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.hub_process import free_ports
from tests.patience import PATIENCE_S, wait_until

pytestmark = pytest.mark.soak

ROOT = Path(__file__).parents[2]
TARGETS = ("sysinit", "basic", "sockets", "shutdown", "network")
"""Empty here: what every unit waits for by default."""

ALL = """[Unit]
DefaultDependencies=no
Wants=tocsin.socket tocsin.service
"""
SHORT = """[Service]
Environment=TOCSIN_JOURNAL=sqlite:hub.db
Environment=TOCSIN_DRAIN_TIMEOUT=2
WatchdogSec=2
"""
# Its state and its sockets stay in memory, and apart from the machine's.
BOOT = (
    "mount -t tmpfs none /run && mount -t tmpfs none /var/lib && exec {} --system --unit=all.target"
)


class Systemd:
    """A systemd with Tocsin's two units.

    Attributes:
        port: of the socket unit.
    """

    def __init__(self, units: Path, port: int) -> None:
        self.port = port
        environment = {"container": "test", "SYSTEMD_UNIT_PATH": str(units), "PATH": os.defpath}
        systemd = "/lib/systemd/systemd --log-target=console --show-status=no"
        command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        self._process = subprocess.Popen(
            [*command, "sh", "-ec", BOOT.format(systemd)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def control(self, *command: str) -> str:
        """What `systemctl` says, without its last line break."""
        pid = self._process.pid
        process_1 = Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()
        inside = ["nsenter", "--target", process_1 or "0", "--mount", "--pid"]
        result = subprocess.run(
            [*inside, "systemctl", *command],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return result.stdout.strip() or result.stderr.strip()

    def show(self, name: str) -> str:
        """A property of the service."""
        return self.control("show", "--value", "--property", name, "tocsin.service")

    def kill(self, sent: signal.Signals) -> None:
        """Send a signal to the hub."""
        self.control("kill", "--signal", sent.name, "tocsin.service")

    def is_active(self) -> bool:
        """Whether the hub said that it is ready."""
        return self.control("is-active", "tocsin.service") == "active"

    def close(self) -> None:
        """Kill it, and with it all that it started."""
        self._process.kill()
        self._process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """A folder with the hub installed where a service that sees no home may run it."""
    folder = Path("/opt") / f"tocsin-test-{os.getpid()}"
    python = shutil.which("python3", path="/usr/bin")
    assert python, "Debian's python3 is missing"
    try:
        subprocess.run([python, "-m", "venv", folder], check=True, timeout=PATIENCE_S)
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, str(ROOT)], check=True, timeout=180)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def systemd(installed: Path, tmp_path: Path) -> Iterator[Systemd]:
    (port,) = free_ports(1)
    for name, old, new in (
        ("tocsin.service", "/opt/tocsin/", f"{installed}/"),
        ("tocsin.socket", "127.0.0.1:3000", f"127.0.0.1:{port}"),
    ):
        text = (ROOT / "config/systemd" / name).read_text()
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new))
    for name in TARGETS:
        (tmp_path / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    (tmp_path / "all.target").write_text(ALL)
    (tmp_path / "tocsin.service.d").mkdir()
    (tmp_path / "tocsin.service.d/short.conf").write_text(SHORT)
    started = Systemd(tmp_path, port)
    try:
        wait_until(started.is_active)
        yield started
    finally:
        started.close()


def ask(port: int, path: str, body: bytes | None = None) -> dict[str, object]:
    """The JSON that the hub answers on a connection of its own."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def test_hub_runs_hardened(systemd: Systemd) -> None:
    assert ask(systemd.port, "/healthz") == {"status": "ok"}
    assert systemd.show("StatusText").startswith("listens at ")
    ours = f"tocsin-test-{os.getpid()}/bin/tocsin".encode()
    (hub,) = [each for each in Path("/proc").glob("[0-9]*") if ours in _read(each / "cmdline")]
    status = (hub / "status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["Uid"].split()[0]) >= 61_184, "a dynamic user"
    assert (fields["CapEff"], fields["NoNewPrivs"], fields["Seccomp"]) == ("0" * 16, "1", "2")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended
        return b""


def test_restarts_and_kills_refuse_no_connection_and_lose_no_event(systemd: Systemd) -> None:
    acknowledged: list[str] = []
    faults: list[Exception] = []
    is_over = threading.Event()

    def publish() -> None:
        while not is_over.is_set():
            body = json.dumps({"type": "test", "message": str(len(acknowledged))}).encode()
            try:
                acknowledged.append(str(ask(systemd.port, "/api/notify", body)["id"]))
            except ConnectionRefusedError as error:
                faults.append(error)
            except OSError:
                pass  # cut off by the kill, before its answer

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        for _ in range(3):
            _after_more(acknowledged, lambda: systemd.control("restart", "tocsin.service"))
        for _ in range(2):
            _after_more(acknowledged, lambda: systemd.kill(signal.SIGKILL))
        _after_more(acknowledged, lambda: systemd.control("reload", "tocsin.service"))
        _after_more(acknowledged, lambda: None)
    finally:
        is_over.set()
        publisher.join(PATIENCE_S)
    assert faults == []
    assert int(systemd.show("NRestarts")) == 2
    first, *others = acknowledged
    assert _kept_after(systemd.port, first) >= set(others)


def _after_more(acknowledged: Sequence[str], act: object) -> None:
    """Act when ten more events were acknowledged."""
    assert callable(act)
    wanted = len(acknowledged) + 10
    wait_until(lambda: len(acknowledged) >= wanted)
    act()


def _kept_after(port: int, id: str) -> set[str]:
    """The ids of all events in the history that came after one."""
    found: set[str] = set()
    while True:
        page = ask(port, f"/api/history?limit=1000&after={id}")
        events = page["events"]
        assert isinstance(events, list)
        found |= {event["id"] for event in events}
        if not page["more"]:
            return found
        id = str(page["cursor"])


def test_hub_whose_loop_stands_still_is_replaced(systemd: Systemd) -> None:
    before = systemd.show("MainPID")
    systemd.kill(signal.SIGSTOP)
    wait_until(lambda: systemd.show("MainPID") not in ("0", before), 30)
    wait_until(systemd.is_active)
    assert ask(systemd.port, "/healthz") == {"status": "ok"}
