"""`make run` and `make dev`: a log that outlives the hub; a change of the server starts it anew; one Ctrl-C ends it all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_process import free_ports
from tests.patience import wait_until
from tests.raw import exchange, get, notice, post
from tocsin.cli.dev import PACKAGE, file_times, keep_running

ROOT = Path(__file__).parents[2]


class Dev:
    """The command as a process, in a group of its own like a terminal's."""

    def __init__(self, log: Path, port: int, target: str = "dev") -> None:
        self._log = log
        command = [
            "make",
            "--no-print-directory",
            target,
            f"PORT={port}",
            f"DATA={log.parent}/data",
        ]
        with log.open("wb") as output:
            self._make = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def wait_for_start(self, count: int) -> None:
        wait_until(lambda: self.said.count("Tocsin listens at") == count, 30, f"start {count}")

    def is_alive(self) -> bool:
        """Whether any process of the group is left."""
        self._make.poll()
        try:
            os.killpg(self._make.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def interrupt(self) -> None:
        """What Ctrl-C in a terminal does."""
        os.killpg(self._make.pid, signal.SIGINT)

    def close(self) -> None:
        if self.is_alive():
            os.killpg(self._make.pid, signal.SIGKILL)
        self._make.wait(10)


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    dev = Dev(tmp_path / "log", free_ports(1)[0])
    yield dev
    dev.close()


def change(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))


def test_hub_starts_anew_when_the_server_changes_and_ends_at_one_interrupt(dev: Dev) -> None:
    dev.wait_for_start(1)
    hub = PACKAGE / "hub/hub.py"
    before = hub.stat()
    try:
        change(hub)
        dev.wait_for_start(2)
    finally:
        os.utime(hub, ns=(before.st_atime_ns, before.st_mtime_ns))
    dev.wait_for_start(3)
    assert "starts anew: hub/hub.py\n" in dev.said
    dev.interrupt()
    wait_until(lambda: not dev.is_alive(), 10, "nothing is left")
    assert "Traceback" not in dev.said


def test_what_is_looked_at_is_the_server_with_all_its_folders_and_nothing_else() -> None:
    looked_at = {str(PACKAGE / name) for name in file_times(PACKAGE)}
    sources = {str(path) for path in (ROOT / "server/tocsin").rglob("*.py")}
    assert sources <= looked_at
    assert not [path for path in looked_at if "__pycache__" in path or "frontend" in path]


def test_files_that_come_go_or_change_are_seen_and_those_of_editors_are_not(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    file = tmp_path / "a/b/c.py"
    file.touch()
    before = file_times(tmp_path)
    assert list(before) == ["a/b/c.py"]
    (tmp_path / "a/__pycache__").mkdir()
    for name in ("a/__pycache__/c.pyc", "a/b/.c.py.swp", "a/b/c.py~"):
        (tmp_path / name).touch()
    assert file_times(tmp_path) == before
    change(file)
    assert file_times(tmp_path) != before
    file.unlink()
    assert file_times(tmp_path) == {}


def test_program_that_failed_is_run_again_at_the_next_change(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "program.py"
    program.write_text("1 +")
    over = threading.Event()
    command = [sys.executable, str(program)]
    thread = threading.Thread(target=keep_running, args=(command, tmp_path, over))
    thread.start()
    said = ""

    def has_said(text: str) -> bool:
        nonlocal said
        said += "".join(capfd.readouterr())
        return text in said

    wait_until(lambda: has_said("ended with code 1; waits for a change"))
    program.write_text("print('mended', flush=True); import time; time.sleep(60)")
    wait_until(lambda: has_said("mended\n"))
    over.set()
    thread.join(10)
    assert not thread.is_alive()


def test_program_that_does_not_want_to_end_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    ready = tmp_path.parent / f"{tmp_path.name}-ready"
    program.write_text(
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " open(sys.argv[1], 'w').close(); time.sleep(60)"
    )
    over = threading.Event()
    command = [sys.executable, str(program), str(ready)]
    thread = threading.Thread(target=keep_running, args=(command, tmp_path, over))
    thread.start()
    wait_until(ready.exists)
    over.set()
    thread.join(10)
    assert not thread.is_alive()


def test_hub_of_make_run_has_lost_nothing_after_a_kill(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    ids = []
    for start in ("first", "second"):
        run = Dev(tmp_path / start, port, "run")
        try:
            run.wait_for_start(1)
            assert run.said.index("Ctrl-C stops the hub") < run.said.index("Tocsin listens at")
            ids.append(exchange(port, post(notice(message=start))).json["id"])
            events = exchange(port, get("/api/history?type=notification")).json["events"]
        finally:
            run.close()
        assert [event["id"] for event in events if event["data"]["source"] == "api"] == ids
    epochs = {id.partition("-")[0] for id in ids}
    assert len(epochs) == 1
