"""A hub on `sqlite:` whose disk fails: what publishers are told, what is published, and how it comes back.

Faults are injected into the running hub's system calls by strace.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartHub
from tests.eventlog import version_4
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until
from tests.redis.test_hubs import Listener
from tocsin.core.event import Draft
from tocsin.eventlog.journal.sqlite.file import cannot_open
from tocsin.eventlog.journal.sqlite.schema import VERSION

Inject = Callable[[HubProcess, str], subprocess.Popen[bytes]]


@pytest.fixture
def hub_python() -> None:
    """Forked: what is looked at is a disk that fails under a hub that runs."""


@pytest.fixture
def inject(tmp_path: Path) -> Iterator[Inject]:
    """Let system calls of a hub fail: `inject(hub, "fdatasync:error=EIO")`. Ends when its process is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def start(hub: HubProcess, what: str) -> subprocess.Popen[bytes]:
        output = tmp_path / f"strace-{len(started)}"
        command = ["strace", "-f", "-o", str(output), "-p", str(hub.pid)]
        call = what.partition(":")[0]
        strace = subprocess.Popen(
            [*command, "-e", f"trace={call}", "-e", f"inject={what}"], stderr=subprocess.PIPE
        )
        assert strace.stderr
        said = strace.stderr.readline()
        assert b"attached" in said, said
        started.append(strace)
        return strace

    yield start
    for strace in started:
        end(strace)


def end(strace: subprocess.Popen[bytes]) -> None:
    strace.terminate()
    strace.communicate(timeout=PATIENCE_S)


def post(hub: HubProcess, message: str = "a", key: str = "") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=PATIENCE_S)
    body = json.dumps({"type": "tick", "message": message})
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    connection.request("POST", "/api/notify", body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def messages(hub: HubProcess) -> list[str]:
    page = hub.get("/api/history?limit=1000")
    return [event["data"]["message"] for event in page["events"]]


def readiness(hub: HubProcess) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=PATIENCE_S)
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("pwrite64:error=ENOSPC", 507, "storage_full"),
        ("pwrite64:error=EIO", 503, "journal_down"),
        ("fdatasync:error=EIO", 503, "journal_down"),
    ],
)
def test_failing_disk_publishes_nothing_and_the_hub_recovers(
    start_hub: StartHub, tmp_path: Path, inject: Inject, fault: str, status: int, code: str
) -> None:
    flags = ("--journal", f"sqlite:{tmp_path}/journal.db", "--canary", "0")
    hub = start_hub(*flags)
    listener = Listener(hub)
    listener.until("connection")
    assert post(hub, "before")[0] == 200
    strace = inject(hub, fault)
    for _ in range(3):
        answer = post(hub, "lost")
        assert (answer[0], answer[1]["code"]) == (status, code)
    assert messages(hub) == ["before"]
    assert readiness(hub) == 503
    assert hub.metric("tocsin_journal_up") == 0
    end(strace)
    wait_until(lambda: readiness(hub) == 200, what="recovery")
    assert hub.metric("tocsin_journal_up") == 1
    found, after = post(hub, "after")
    assert (found, after["id"].rpartition("-")[2]) == (200, "2")
    assert messages(hub) == ["before", "after"]
    with listener:  # a stream that was open all the time
        assert [listener.until("tick").json["message"] for _ in range(2)] == ["before", "after"]
    hub.restart()
    assert messages(hub) == ["before", "after"]
    assert "Traceback" not in hub.log(), hub.log()


# A disk of its own, which nobody else sees. The last one ties what it becomes to the tests anew.
WITH_A_DISK = """\
#!/bin/sh
exec unshare --map-root-user --mount sh -ec '
    mount -t tmpfs -o size=6m none "$0"
    exec setpriv --pdeathsig KILL -- "$@"' {folder} {python} "$@"
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A folder, which is a disk of 6 MiB for the hub that `with_small_disk.sh` beside it starts."""
    folder = tmp_path / "disk"
    folder.mkdir()
    script = tmp_path / "with_small_disk.sh"
    script.write_text(WITH_A_DISK.format(folder=folder, python=sys.executable))
    script.chmod(0o755)
    return folder


def test_full_disk_keeps_the_journal_down_until_there_is_room(small_disk: Path) -> None:
    flags = ("--journal", f"sqlite:{small_disk}/journal.db", "--canary", "0")
    python = str(small_disk.with_name("with_small_disk.sh"))
    with closing(HubProcess(*flags, python=python)) as hub:
        for _ in range(50):  # so that the write-ahead log has some room, as it has in use
            assert post(hub)[0] == 200
        filler = Path(f"/proc/{hub.pid}/root{small_disk}/filler")
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4_096)):
                pass
        wait_until(lambda: post(hub)[0] == 507, what="a full disk")
        for _ in range(30):
            assert (post(hub)[0], readiness(hub), hub.metric("tocsin_journal_up")) == (507, 503, 0)
            time.sleep(0.1)
        filler.unlink()
        wait_until(lambda: readiness(hub) == 200, what="recovery")
        assert post(hub)[0] == 200
        assert hub.log().count("the journal is down") == 1


def test_acknowledged_is_synced(start_hub: StartHub, tmp_path: Path, inject: Inject) -> None:
    hub = start_hub("--journal", f"sqlite:{tmp_path}/journal.db", "--canary", "0")
    strace = inject(hub, "fdatasync:delay_enter=1000")
    for n in range(20):  # one after the other: each is a transaction of its own
        assert post(hub, f"{n}")[0] == 200
    end(strace)
    calls = (tmp_path / "strace-0").read_text().count("fdatasync(")
    assert calls >= 20


def test_disk_that_hangs_keeps_nobody_waiting(
    start_hub: StartHub, tmp_path: Path, inject: Inject
) -> None:
    hub = start_hub("--journal", f"sqlite:{tmp_path}/journal.db", "--canary", "0")
    with Listener(hub) as listener, ThreadPoolExecutor() as threads:
        listener.until("connection")
        strace = inject(hub, "fdatasync:delay_enter=600000000")
        first = threads.submit(post, hub, "first", "key")
        wait_until(lambda: "fdatasync" in (tmp_path / "strace-0").read_text(), what="a sync")
        second = threads.submit(post, hub, "second")
        assert (first.result()[0], first.result()[1]["code"]) == (503, "unknown_outcome")
        assert (second.result()[0], second.result()[1]["code"]) == (503, "journal_down")
        assert post(hub, "third")[1]["code"] == "journal_down"
        assert (readiness(hub), hub.metric("tocsin_journal_up")) == (503, 0)
        end(strace)
        wait_until(lambda: readiness(hub) == 200, what="the end of the transaction")
        again = post(hub, "first", "key")[1]
        assert again["id"].rpartition("-")[2] == "1"
        after = post(hub, "after")[1]
        assert (after["id"].rpartition("-")[2], after["sentTo"]) == ("2", 1)
        assert [listener.until("tick").json["message"] for _ in range(2)] == ["first", "after"]
    wait_until(lambda: "journal is up again" in hub.log(), what="a line of the log")
    assert hub.log().count("journal is") == 2


def test_slow_disk_is_waited_for(start_hub: StartHub, tmp_path: Path, inject: Inject) -> None:
    hub = start_hub("--journal", f"sqlite:{tmp_path}/journal.db", "--canary", "0")
    inject(hub, "fdatasync:delay_enter=1500000")
    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(lambda n: post(hub, f"{n}"), range(4)))
        answers += list(threads.map(lambda n: post(hub, f"{n}"), range(4)))
    assert [status for status, _ in answers] == [200] * 8
    assert "journal is down" not in hub.log()


def test_disk_that_hangs_keeps_no_hub_from_its_end(
    start_hub: StartHub, tmp_path: Path, inject: Inject
) -> None:
    hub = start_hub("--journal", f"sqlite:{tmp_path}/journal.db", "--canary", "0")
    strace = inject(hub, "fdatasync:delay_enter=600000000")
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(post, hub)
        wait_until(lambda: "fdatasync" in (tmp_path / "strace-0").read_text(), what="a sync")
        hub.signal(signal.SIGTERM)
        assert answer.result()[1]["code"] == "unknown_outcome"
    wait_until(lambda: "tocsin: stopped" in hub.log(), what="the end")
    assert "the journal was not closed" in hub.log()
    end(strace)  # the kernel can end no process of which a thread is in a system call
    assert hub.wait() == 0


def test_second_hub_on_one_file_does_not_start(start_hub: StartHub, tmp_path: Path) -> None:
    journal = f"sqlite:{tmp_path}/journal.db"
    hub = start_hub("--journal", journal)
    said = refused(journal)
    assert "in use by another hub" in said
    hub.kill()
    start_hub("--journal", journal)


def test_restart_goes_on_with_the_log(start_hub: StartHub, tmp_path: Path) -> None:
    hub = start_hub("--journal", f"sqlite:{tmp_path}/journal.db")
    first = hub.publish_at_once("tick", *(f"{n}" for n in range(100)))
    assert hub.stop() == 0
    hub.restart()
    assert messages(hub) == [f"{n}" for n in range(100)]
    epoch, _, seq = hub.publish("tick")["id"].partition("-")
    assert (epoch, seq) == (first[0].partition("-")[0], "101")


def test_client_resumes_after_its_hub_has_taken_over_a_file_of_version_4(
    start_hub: StartHub, tmp_path: Path
) -> None:
    texts = [b'{"message":"%d"}' % number for number in range(1, 301)]
    drafts = [Draft("tick", text) for text in texts]
    epoch = 1_700_000_000_000
    path = tmp_path / "journal.db"
    version_4.write(path, epoch, version_4.events_of(epoch, drafts, at_once=7))
    hub = start_hub("--journal", f"sqlite:{path}", "--canary", "0", "--window-events", "100")
    hub.publish("tick", "301")
    with Listener(hub, f"{epoch}-42") as listener:  # its events are behind the window
        assert json.loads(listener.until("connection").data)["missed"] == 0
        events = [listener.next() for _ in range(259)]
    assert [event.last_event_id for event in events if event] == [
        f"{epoch}-{seq}" for seq in range(43, 302)
    ]
    assert [json.loads(event.data)["message"] for event in events if event] == [
        f"{seq}" for seq in range(43, 302)
    ]


def refused(journal: str) -> str:
    """What a hub says that can't start with this journal: one line, and exit code 2."""
    command = [sys.executable, "-m", "tocsin", "serve", "--port", "0", "--journal", journal]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("tocsin: journal: "), line
    return line


def a_journal(path: Path, hub: HubProcess) -> None:
    """Leave a file with some hundred pages, as after a clean end."""
    for _ in range(3):
        hub.publish_at_once("tick", *(secrets.token_hex(1_000) for _ in range(100)))
    assert hub.stop() == 0
    assert path.stat().st_size > 300_000


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def set_version(path: Path, version: int) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {version}")
    db.close()


def put_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def break_contents(path: Path) -> None:
    with sqlite3.connect(path) as db:
        newest = "last = (SELECT max(last) FROM segments)"
        db.execute(f"UPDATE segments SET contents = zeroblob(5000) WHERE {newest}")
    db.close()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (lambda path: os.truncate(path, 200_000), "damaged"),
    "no database": (lambda path: overwrite(path, 0, b"x" * 100), "damaged"),
    "broken pages": (lambda path: overwrite(path, 4_096, b"x" * 200_000), "damaged"),
    "broken contents": (break_contents, "damaged"),
    "newer": (lambda path: set_version(path, VERSION + 1), f"version {VERSION + 1}"),
    "read-only": (lambda path: path.chmod(0o444), "read-only"),
    "a folder": (put_a_folder, "no file"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_file_that_cannot_be_used_is_named_and_left_as_it_is(
    start_hub: StartHub, tmp_path: Path, how: str
) -> None:
    path = tmp_path / "journal.db"
    a_journal(path, start_hub("--journal", f"sqlite:{path}", "--canary", "0"))
    break_it, said = BROKEN[how]
    break_it(path)
    before = path.read_bytes() if path.is_file() else b""
    line = refused(f"sqlite:{path}")
    assert said in line
    assert str(path) in line
    assert (path.read_bytes() if path.is_file() else b"") == before


@pytest.mark.parametrize("is_there", [False, True], ids=["no file", "an empty file"])
def test_acknowledged_events_beside_no_file_are_kept(
    start_hub: StartHub, tmp_path: Path, is_there: bool
) -> None:
    path, away, write_ahead = (tmp_path / name for name in ("j.db", "away.db", "j.db-wal"))
    hub = start_hub("--journal", f"sqlite:{path}", "--canary", "0")
    hub.publish_at_once("tick", *(f"{n}" for n in range(100)))
    hub.kill()
    path.rename(away)
    if is_there:
        path.touch(mode=0o600)
    before = write_ahead.read_bytes()
    assert "j.db-wal holds events of a file that is gone or empty" in refused(f"sqlite:{path}")
    for command in ("check", "export"):  # SQLite would empty it there too
        run = [sys.executable, "-m", "tocsin", "journal", command, str(path)]
        assert subprocess.run(run, capture_output=True, timeout=PATIENCE_S).returncode
    assert write_ahead.read_bytes() == before
    assert path.exists() == is_there
    away.rename(path)
    hub.restart()
    assert messages(hub) == [f"{n}" for n in range(100)]


def test_running_hub_keeps_what_lies_beside_an_empty_file(
    start_hub: StartHub, tmp_path: Path
) -> None:
    path, away = tmp_path / "journal.db", tmp_path / "away.db"
    hub = start_hub("--journal", f"sqlite:{path}", "--canary", "0")
    assert post(hub, "before")[0] == 200
    path.rename(away)
    path.touch(mode=0o600)
    wait_until(lambda: "it was replaced" in hub.log(), what="a look at the file")
    assert post(hub, "lost")[0] == 503
    away.rename(path)
    wait_until(lambda: readiness(hub) == 200, what="recovery")
    assert post(hub, "after")[0] == 200
    hub.restart()
    assert messages(hub) == ["before", "after"]


def test_disk_with_nothing_left_is_called_full() -> None:
    # With its shared memory, which it makes first, SQLite speaks of an I/O error alone.
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    assert "its disk is full" in str(cannot_open(Path("/proc/journal.db"), error))
    assert "disk I/O error" in str(cannot_open(Path("/journal.db"), error))


def test_folder_where_everybody_may_write_but_not_remove_is_taken(
    start_hub: StartHub, tmp_path: Path
) -> None:
    tmp_path.chmod(0o1777)
    start_hub("--journal", f"sqlite:{tmp_path}/journal.db").publish()


def test_place_where_others_could_put_something_is_refused(tmp_path: Path) -> None:
    assert "folder can't be used" in refused(f"sqlite:{tmp_path}/none/journal.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in refused(f"sqlite:{tmp_path}/link.db")
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "own.db-journal").symlink_to(tmp_path / "elsewhere")
    assert "own.db-journal is a symbolic link" in refused(f"sqlite:{tmp_path}/own.db")
    tmp_path.chmod(0o777)
    assert "everybody may write" in refused(f"sqlite:{tmp_path}/journal.db")
