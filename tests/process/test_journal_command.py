"""`tocsin journal`: check, backup, export and import, as an operator uses them."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until
from tocsin.eventlog.journal.sqlite.file import connect


def journal(
    *arguments: object, given: bytes = b"", code: int = 0
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tocsin", "journal", *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == code, done
    assert b"Traceback" not in done.stderr
    return done


def names_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_file_is_checked_and_copied_and_exported_while_the_hub_runs(
    start_hub: StartHub, tmp_path: Path
) -> None:
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    flags = ("--canary", "0", "--journal")
    hub = start_hub(*flags, f"sqlite:{path}")
    ids = hub.publish_at_once("tick", *(f"é{n}" for n in range(50)))
    said = journal("check", path).stdout.decode()
    assert f"sound; 50 events, {ids[0]} to {ids[-1]}" in said
    journal("backup", path, copy)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert b"sound; 50 events" in journal("check", copy).stdout
    assert b"there already" in journal("backup", path, copy, code=2).stderr
    log, *events, end = map(json.loads, journal("export", path).stdout.splitlines())
    assert log == {"kind": "log", "epoch": int(ids[0].partition("-")[0]), "floor": 0, "form": 2}
    assert end == {"kind": "end", "events": 50, "kept_newest": 0}
    assert [event["seq"] for event in events] == [*range(1, 51)]
    assert json.loads(events[7]["data"])["message"] == "é7"
    # The copy goes on as another log: what the first one gave since can't be given again.
    hub.publish("tick")
    other = start_hub(*flags, f"sqlite:{copy}")
    epoch, _, seq = other.publish("tick")["id"].partition("-")
    assert int(epoch) > log["epoch"]
    assert seq == "51"


def test_export_makes_the_same_log_again(start_hub: StartHub, tmp_path: Path) -> None:
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    hub = start_hub("--canary", "0", "--journal", f"sqlite:{first}", "--history-events", "1000")
    for n in range(15):
        ids = hub.publish_at_once("tick", *(f"{n} {k}" for k in range(100)))
    assert hub.stop() == 0
    exported = journal("export", first).stdout
    floor = json.loads(exported.partition(b"\n")[0])["floor"]
    assert 400 <= floor <= 500
    assert b"%d events" % (1_500 - floor) in journal("import", second, given=exported).stdout
    assert journal("export", second).stdout == exported
    assert b"sound" in journal("check", second).stdout
    hub = start_hub("--canary", "0", "--journal", f"sqlite:{second}")
    assert hub.publish("tick")["id"] == ids[-1].replace("-1500", "-1501")


def test_what_is_no_export_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    log = b'{"kind":"log","epoch":1,"floor":0}\n'
    log_2 = b'{"kind":"log","epoch":1,"floor":0,"form":2}\n'
    event = b'{"seq":%d,"time":1,"type":"tick","topics":["t"]}\n'
    end = b'{"kind":"end","events":%d,"kept_newest":0}\n'
    for given, said in (
        (b"", "line 1"),
        (b"nonsense\n", "line 1"),
        (log + event % 2, "line 2: seq is 2; allowed: 1"),
        (log + event % 1 + b"{}\n", "line 3"),
        (log + (event % 1).replace(b"tick", b"gap"), "reserved"),
        (log + event % 1 + end % 1, "line 3"),  # the first form has none
        (log_2 + event % 1, 'cut off after line 2: its last line, of the kind "end", is missing'),
        (log_2, "cut off after line 1"),
        (log_2 + event % 1 + end % 2, "line 3: the export had 2 events"),
        (log_2 + event % 1 + end % 1 + event % 2, "line 4 follows the end"),
        (log_2.replace(b"2", b"3"), "form 3"),
    ):
        done = journal("import", path, given=given, code=2)
        assert said in done.stderr.decode()
        assert names_in(tmp_path) == {"journal.db.lock"}
    for odd in (
        b'{"kind":"log","epoch":-1,"floor":0}\n',
        b'{"kind":"log","epoch":1,"floor":-5}\n',
        b'{"kind":"log","epoch":1,"floor":9223372036854775806}\n',
        log + (event % 1).replace(b'["t"]', b"[]"),
        log + (event % 1).replace(b'"time":1', b'"time":1e300'),
    ):
        assert odd != log + event % 1
        assert b"is none of an export" in journal("import", path, given=odd, code=2).stderr
        assert not path.exists()
    assert b"how many" in journal("import", path, given=log + event % 1).stderr
    assert b"there already" in journal("import", path, given=log, code=2).stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_import_that_is_ended_midway_makes_no_file(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "journal.db"
    command = [sys.executable, "-m", "tocsin", "journal", "import", str(path)]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as importing:  # type: ignore[call-overload]
        importing.stdin.write(b'{"kind":"log","epoch":1,"floor":0}\n')
        importing.stdin.flush()
        wait_until(lambda: any(name.endswith("-wal") for name in names_in(tmp_path)), what="log")
        importing.send_signal(number)
        said = importing.stderr.read()
        assert importing.wait(PATIENCE_S) == (-number if number == signal.SIGKILL else 130), said
    left = names_in(tmp_path) - {"journal.db.lock"}
    if number == signal.SIGKILL:  # what nobody could remove says what it is
        assert left
        assert all(".part" in name for name in left)
    else:
        assert not left
    whole = (
        b'{"kind":"log","epoch":1,"floor":0,"form":2}\n{"kind":"end","events":0,"kept_newest":0}\n'
    )
    journal("import", path, given=whole)
    assert b"sound; 0 events" in journal("check", path).stdout


def a_journal(path: Path, hub: HubProcess) -> None:
    """Leave a file of some three hundred pages, as after a clean end."""
    for _ in range(30):
        hub.publish_at_once("tick", *(secrets.token_hex(500) for _ in range(64)))
    assert hub.stop() == 0


def damage_contents(path: Path) -> None:
    """Where no page shows it: within a row."""
    with closing(connect(path)) as db:
        db.execute("UPDATE segments SET contents = substr(contents, 1, 5000) WHERE last = 640")


def overwrite(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"y" * 20_000)


DAMAGED: dict[str, Callable[[Path], object]] = {
    "pages": lambda path: overwrite(path, 150_000),
    "contents": damage_contents,
    "its header": lambda path: overwrite(path, 0),
    "cut to half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut within a page": lambda path: os.truncate(path, path.stat().st_size - 5_000),
    "cut to 100 bytes": lambda path: os.truncate(path, 100),
    "cut to nothing": lambda path: os.truncate(path, 0),
    "no database": lambda path: path.write_text("x" * 10_000),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damage_is_found(start_hub: StartHub, tmp_path: Path, what: str) -> None:
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    a_journal(path, start_hub("--canary", "0", "--journal", f"sqlite:{path}"))
    DAMAGED[what](path)
    for command, code in ((["check"], 1), (["backup"], 1), (["export"], 2)):
        done = journal(*command, path, *([copy] if command == ["backup"] else []), code=code)
        (said,) = done.stderr.decode().splitlines()
        assert "is damaged: " in said
        assert "journal check" not in said
        assert b"written" not in done.stdout
        assert b'"end"' not in done.stdout
    if copy.exists():  # the contents as they were
        assert b"damaged" in journal("check", copy, code=1).stderr
    assert not [name for name in names_in(tmp_path) if ".part" in name]


def test_backup_of_a_damaged_file_is_kept_and_named(start_hub: StartHub, tmp_path: Path) -> None:
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    a_journal(path, start_hub("--canary", "0", "--journal", f"sqlite:{path}"))
    damage_contents(path)
    assert b"copy.db' is written, and as" in journal("backup", path, copy, code=1).stderr
    assert copy.stat().st_mode & 0o777 == 0o600


def test_what_is_no_file_is_not_called_damaged(tmp_path: Path) -> None:
    assert b"no file" in journal("check", tmp_path / "none", code=2).stderr
    with closing(sqlite3.connect(tmp_path / "others.db")) as db:
        db.execute("CREATE TABLE others (one)")
    assert b"another program" in journal("check", tmp_path / "others.db", code=2).stderr


def test_output_that_takes_no_more_is_one_line(start_hub: StartHub, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    a_journal(path, start_hub("--canary", "0", "--journal", f"sqlite:{path}"))
    for words in (["export", path], ["check", path], ["backup", path, tmp_path / "copy.db"]):
        command = [sys.executable, "-m", "tocsin", "journal", *map(str, words)]
        with open("/dev/full", "wb") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE_S)
        assert done.returncode == 2
        assert done.stderr.decode().splitlines() == [
            "tocsin: journal: standard output can't be written: No space left on device"
        ]


def test_input_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tocsin", "journal", "import", str(tmp_path / "journal.db")]
    with open(os.devnull, "wb") as closed:
        done = subprocess.run(command, stdin=closed, stderr=subprocess.PIPE, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert done.stderr == b"tocsin: journal: standard input can't be read: Bad file descriptor\n"


def test_backup_to_a_disk_that_is_full_leaves_nothing(start_hub: StartHub, tmp_path: Path) -> None:
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    a_journal(path, start_hub("--canary", "0", "--journal", f"sqlite:{path}"))
    fault = ["-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC:when=50+"]
    backup = [sys.executable, "-m", "tocsin", "journal", "backup", str(path), str(copy)]
    command = ["strace", "-f", "-o", os.devnull, *fault, *backup]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert done.stderr.decode() == f"tocsin: journal: {str(copy)!r}: its disk is full\n"
    assert names_in(tmp_path) == {"journal.db", "journal.db.lock"}
    journal("backup", path, copy)
    assert b"sound" in journal("check", copy).stdout


ON_A_SMALL_DISK = """\
mount -t tmpfs -o size=1m none "$PWD"
cd "$PWD"
{tocsin} journal import journal.db < ../export > ../imported
dd if=/dev/zero of=filler bs=4k 2> ../dd || true
code=0
{tocsin} serve --port 0 --journal sqlite:journal.db 2> ../served || code=$?
test $code = 2
truncate --size 500K filler
{tocsin} journal backup journal.db copy.db 2> ../copied || code=$?
test $code = 2
ls > ../left
"""


@pytest.mark.soak  # what makes the disk isn't allowed everywhere
def test_start_and_backup_on_a_full_disk_say_so(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    lines = ['{"kind":"log","epoch":1,"floor":0}']
    for seq in range(1, 31):
        data = secrets.token_hex(5_000)
        lines.append(f'{{"seq":{seq},"time":{seq},"type":"tick","topics":["t"],"data":"{data}"}}')
    (tmp_path / "export").write_text("\n".join(lines))
    script = ON_A_SMALL_DISK.format(tocsin=f"{sys.executable} -m tocsin")
    command = ["unshare", "--map-root-user", "--mount", "sh", "-exc", script]
    done = subprocess.run(command, cwd=disk, capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert "its disk is full" in (tmp_path / "served").read_text()
    assert "its disk is full" in (tmp_path / "copied").read_text()
    assert (tmp_path / "left").read_text().split() == ["filler", "journal.db", "journal.db.lock"]
