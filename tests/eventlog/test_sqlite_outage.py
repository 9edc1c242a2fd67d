"""How failures of a journal's file are counted as outages, and what shows that a full disk has room again."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from tocsin.core.event import Draft
from tocsin.core.record import RecordError
from tocsin.errors import Unavailable
from tocsin.eventlog.journal import Append
from tocsin.eventlog.journal.sqlite import room
from tocsin.eventlog.journal.sqlite.file import connect
from tocsin.eventlog.journal.sqlite.gathering import Group
from tocsin.eventlog.journal.sqlite.outage import (
    DAMAGED,
    LONGEST_PAUSE_S,
    STEADY_S,
    Outage,
    told_of,
)
from tocsin.eventlog.journal.sqlite.room import has_room, take_room, wanted_by
from tocsin.eventlog.journal.sqlite.schema import upgrade

FULL = Unavailable("the journal's disk is full", code="storage_full", status=507)
ERROR = sqlite3.OperationalError("database or disk is full")


def test_failures_that_follow_one_another_are_one_outage(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage()
    pauses = []
    for now in range(10):  # it fails, is up again, and fails a second later
        outage.note(FULL, ERROR, float(now))
        pauses.append(outage.next_pause())
        outage.recovered(now + 0.5)
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert caplog.messages == ["the journal is down: the journal's disk is full"]
    outage.look(9.5 + STEADY_S - 0.1)
    assert len(caplog.messages) == 1
    outage.look(9.5 + STEADY_S)
    outage.look(9.5 + 2 * STEADY_S)
    assert caplog.messages[1:] == ["the journal is up again"]
    outage.note(FULL, ERROR, 100.0)
    assert (outage.next_pause(), len(caplog.messages)) == (0.1, 3)


def test_failure_after_a_quiet_time_is_another_outage_though_nobody_looked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = Outage()
    outage.note(FULL, ERROR, 0.0)
    outage.recovered(1.0)
    outage.note(FULL, ERROR, 1.0 + STEADY_S)
    assert len(caplog.messages) == 3


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("Could not decode to UTF-8 column 'x' with text 'secret'"),
        RecordError("secret"),
        UnicodeDecodeError("utf-8", b"secret", 0, 1, "invalid"),
    ],
)
def test_damage_is_told_without_what_is_in_the_file(tmp_path: Path, error: Exception) -> None:
    assert told_of(tmp_path, error).message == DAMAGED


def test_fault_of_ours_is_told_without_its_words(tmp_path: Path) -> None:
    assert "secret" not in told_of(tmp_path, ValueError("secret")).message


def test_fault_of_the_system_is_told_without_the_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        os.stat(tmp_path / "none")
    message = told_of(tmp_path, caught.value).message
    assert ("No such file" in message, str(tmp_path) in message) == (True, False)


def a_file(folder: Path) -> sqlite3.Connection:
    path = folder / "journal.db"
    path.touch()
    db = connect(path)
    upgrade(db, 1)
    return db


def test_room_is_taken_from_the_disk_and_stays_for_what_comes_next(tmp_path: Path) -> None:
    db = a_file(tmp_path)
    before = os.path.getsize(tmp_path / "journal.db-wal")
    take_room(db, 1_000_000)
    assert os.path.getsize(tmp_path / "journal.db-wal") >= before + 950_000
    assert db.execute("SELECT name FROM sqlite_master WHERE name = 'room'").fetchall() == []
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("PRAGMA cache_size").fetchone() == (-2_000,)
    db.close()


def test_room_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    db = a_file(tmp_path)
    db.execute("PRAGMA max_page_count = 20")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        take_room(db, 1_000_000)
    db.close()


def test_as_much_is_wanted_as_failed_within_bounds() -> None:
    def wanted(size: int) -> int:
        group = Group([Append([Draft("tick", b"x" * size)])], lambda result: None)
        return wanted_by([group])

    assert wanted_by(()) == room.LEAST_TRIED_BYTES
    assert wanted(1_000_000) == room.LEAST_TRIED_BYTES + 1_000_000
    assert wanted(20_000_000) == room.LEAST_TRIED_BYTES + room.MOST_TRIED_BYTES


def test_disk_that_cannot_be_asked_may_have_room(tmp_path: Path) -> None:
    assert has_room(tmp_path / "none")
    assert has_room(tmp_path)
