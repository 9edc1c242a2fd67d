"""A journal's file from outside: is it sound, a copy while the hub runs, and the way to and from an export."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from tocsin.core.event import Draft, Event, EventId, ids_from
from tocsin.core.record import RecordError, encode_contents
from tocsin.errors import SettingsError
from tocsin.eventlog.journal.ended import ended_by
from tocsin.eventlog.journal.sqlite import schema
from tocsin.eventlog.journal.sqlite.export_lines import (
    FORM,
    End,
    Header,
    Line,
    draft_in,
    header_in,
    line_in,
    line_of,
    written,
)
from tocsin.eventlog.journal.sqlite.file import (
    cannot_open,
    check_place,
    connect,
    is_damage,
    settle,
)
from tocsin.eventlog.journal.sqlite.kept_newest import event_of, kept_rows
from tocsin.eventlog.journal.sqlite.limits import Limits
from tocsin.eventlog.journal.sqlite.lock import FileLock
from tocsin.eventlog.journal.sqlite.part import made_beside
from tocsin.eventlog.journal.sqlite.segments import (
    MOST_EVENTS,
    Loaded,
    load,
    micros,
    names_of,
)
from tocsin.eventlog.journal.sqlite.store import Store

AT_ONCE = 16
"""Segments that are read at a time."""


class Summary(msgspec.Struct, frozen=True):
    """What a file holds: ids of the oldest and the newest event, None where none is; events, bytes of records.

    What stays below the log is counted apart, in `kept_newest`.
    """

    oldest: str | None
    newest: str | None
    events: int
    bytes: int
    kept_newest: int = 0


class Imported(NamedTuple):
    """What came of an import: its events, and whether they are known to be all; older exports don't say how many."""

    events: int
    are_all: bool


class Unsound(Exception):
    """The file is damaged. The message is one line that says so, and where."""

    def __init__(self, what: object) -> None:
        super().__init__(f"damaged: {what}")


def check(path: Path) -> Summary:
    """Read all of the file at `path`; the hub may run meanwhile.

    Raises:
        SettingsError: it can't be opened.
        Unsound: it is damaged, or what is in it makes no log.
    """
    db = _open(path)
    try:
        db.execute("BEGIN")  # one state, whatever the hub does meanwhile
        for (said,) in db.execute("PRAGMA integrity_check(1)"):
            if said != "ok":
                raise Unsound(said.splitlines()[-1])
        return _check_log(db)
    except (sqlite3.Error, RecordError) as error:
        raise Unsound(error) from error
    finally:
        db.close()


def _check_log(db: sqlite3.Connection) -> Summary:
    epoch, floor, first_total = _log(db)
    total, seq, time = first_total, floor, 0
    for segment in _segments(db, floor):
        # The floor may lie within the first one.
        if segment.first != seq + 1 and not (seq == floor and segment.first <= floor):
            raise Unsound(f"event {seq + 1} is missing; {segment.first} is the next")
        if segment.time < time:
            raise Unsound(f"event {segment.first} is older than the one before it")
        if segment.total_at(max(seq, segment.first - 1)) != total:
            raise Unsound(f"events {segment.first} to {segment.last} are counted with wrong bytes")
        _check_segment(db, segment)
        seq, time, total = segment.last, segment.time, segment.total
    kept = 0
    for rows in kept_rows(db):
        for row in rows:
            if event_of(row, epoch).id.seq > floor:
                raise Unsound(f"event {row.seq} stays below the log, which goes on after {floor}")
        kept += len(rows)
    return Summary(
        str(EventId(epoch, floor + 1)) if seq > floor else None,
        str(EventId(epoch, seq)) if seq > floor else None,
        seq - floor,
        total - first_total,
        kept,
    )


def _check_segment(db: sqlite3.Connection, segment: Loaded) -> None:
    """Whether its row is what its events would make."""
    drafts = [content.draft for content in segment.contents]
    names = db.execute("SELECT types, topics FROM segments WHERE last = ?", (segment.last,))
    if names.fetchone() != names_of(encode_contents(drafts)):
        raise Unsound(f"events {segment.first} to {segment.last} are of other types or topics")


def backup(path: Path, target: Path) -> Unsound | None:
    """Write a copy of the file to `target`, which is not there yet; the hub may run meanwhile.

    A hub that is given the copy goes on as another log: ids that the first one gave since stay its own.

    Returns:
        What is wrong with the copy, which is there all the same: it is as good as the file.

    Raises:
        SettingsError: the file can't be read, or the copy can't be written. There is no copy.
        Unsound: the file is so damaged that it can't be copied. There is no copy.
    """
    source = _open(path)
    try:
        with made_beside(target) as part:
            try:
                source.execute("VACUUM INTO ?", (str(part),))
                _make_copy(part)
                check(part)
            except Unsound as error:
                return error
            except sqlite3.Error as error:
                if is_damage(error):
                    raise Unsound(error) from error
                raise cannot_open(target, error) from error
    finally:
        source.close()
    return None


def _make_copy(path: Path) -> None:
    """Let a hub that is given this file go on as another log."""
    db = connect(path)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("UPDATE log SET is_copy = 1")
        settle(db)
    finally:
        db.close()


def export(path: Path, output: IO[bytes]) -> int:
    """Write the log to `output` as NDJSON; how many events it was. The hub may run meanwhile.

    Raises:
        SettingsError: the file can't be read.
        Unsound: it is damaged. What was written lacks its end.
        OSError: `output` takes no more.
    """
    db = _open(path)
    try:
        db.execute("BEGIN")
        epoch, floor, _ = _log(db)
        output.write(written(Header(epoch, floor, FORM)))
        kept = count = 0
        for event in _events(db, epoch, floor):
            output.write(written(line_of(event)))
            count += 1
            kept += event.id.seq <= floor
        output.write(written(End(count - kept, kept)))
        return count
    except (sqlite3.Error, RecordError) as error:
        raise Unsound(error) from error
    finally:
        db.close()


def read_in(path: Path, lines: Iterable[bytes]) -> Imported:
    """Make a new file at `path` from the lines of an export.

    Idempotency keys are not in an export, so they are known no more; nor are topics that ended by an event which isn't
    kept: these are open again. The log goes on under the same ids.

    Raises:
        SettingsError: there is a file already, it can't be made, a line is none of an export, or the export was cut
            off. No file was made.
    """
    check_place(path)
    lock = FileLock(path)
    try:
        with made_beside(path) as part:
            try:
                return _read_in(part, lines)
            except sqlite3.Error as error:
                raise cannot_open(path, error) from error
    finally:
        lock.release()


def _read_in(path: Path, lines: Iterable[bytes]) -> Imported:
    numbered = enumerate(lines, 1)
    _, text = next(numbered, (1, b""))
    header = header_in(text)
    db = connect(path)
    try:
        schema.upgrade(db, header.epoch)
        db.execute("UPDATE log SET floor = ?, forgotten = ?", (header.floor, header.floor))
        db.execute("BEGIN")
        events = _Incoming(db)
        number, end = 1, None
        for number, text in numbered:
            if end:
                raise SettingsError(f"journal: line {number} follows the end of the export")
            line = line_in(number, text, header.form)
            if isinstance(line, End):
                end = line
            else:
                events.add(number, line)
        count = events.end(number, end, header.form)
        db.execute("COMMIT")
        settle(db)
        return Imported(count, end is not None)
    finally:
        db.close()


class _Incoming:
    """The events of an export, on their way into a new file: those of one time that follow one another go together."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._store = Store(db, Limits(), 0.0, 0.0)
        self._some: list[Draft] = []
        self._time = self._last_kept = self._kept = 0

    def add(self, number: int, line: Line) -> None:
        """Add the event of this line: one that stays below the log, or else the log's next.

        Raises:
            SettingsError: it is neither.
        """
        store, time = self._store, micros(line.time)
        draft = draft_in(number, line)
        if self._last_kept < line.seq <= store.floor and not (self._some or store.events):
            store.kept_newest.add(line.seq, time, draft)
            self._last_kept = line.seq
            self._kept += 1
            return
        due = store.head + len(self._some) + 1
        if line.seq != due:
            raise SettingsError(
                f"journal: line {number}: seq is {line.seq}; allowed: {due}, the next"
            )
        if len(self._some) == MOST_EVENTS or time > self._time:
            self._flush()
        self._some.append(draft)
        self._time = max(time, self._time)

    def end(self, number: int, end: End | None, form: int) -> int:
        """Add what is left; how many they were. `number` is that of the last line.

        Raises:
            SettingsError: some are missing.
        """
        self._flush()
        store = self._store
        if end is None and form > 1:
            raise SettingsError(
                f'journal: the export was cut off after line {number}: its last line, of the kind "end", is missing'
            )
        if end and end != End(store.events, self._kept):
            raise SettingsError(
                f"journal: line {number}: the export had {end.events} events and {end.kept_newest} older ones that"
                f" stay; {store.events} and {self._kept} came"
            )
        return store.events + self._kept

    def _flush(self) -> None:
        store, drafts = self._store, self._some
        if not drafts:
            return
        ids = ids_from(store.epoch, store.head + 1, len(drafts))
        store.add(store.next_segments(drafts, self._time))
        ended = ended_by([Event(id, draft, 0.0) for id, draft in zip(ids, drafts, strict=True)])
        if ended:
            store.end(ended)
        self._some = []


def _open(path: Path) -> sqlite3.Connection:
    """A connection to a journal's file of this version.

    Raises:
        SettingsError: there is none, or it is something else.
        Unsound: it is damaged.
    """
    if not path.is_file():
        raise SettingsError(f"journal: {str(path)!r} is no file")
    try:
        db = connect(path)
        try:
            version = schema.version_of(db)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, schema.UnknownVersion) as error:
        if is_damage(error):
            raise Unsound(error) from error
        raise cannot_open(path, error) from error
    if version == schema.VERSION:
        return db
    db.close()
    if not version:
        raise Unsound("no log is in it")
    raise SettingsError(
        f"journal: {str(path)!r} is of version {version}; a hub that is started with it brings it"
        f" to version {schema.VERSION}"
    )


def _log(db: sqlite3.Connection) -> tuple[int, int, int]:
    epoch, floor, total = db.execute("SELECT epoch, floor, floor_total FROM log").fetchone()
    return epoch, floor, total


def _events(db: sqlite3.Connection, epoch: int, floor: int) -> Iterator[Event]:
    """All events: those that stay below the log first."""
    for rows in kept_rows(db):
        yield from [event_of(row, epoch) for row in rows]
    for segment in _segments(db, floor):
        yield from segment.events_between(floor, segment.last, epoch)


def _segments(db: sqlite3.Connection, after: int) -> Iterator[Loaded]:
    """All segments that have events after this seq."""
    while segments := load(
        db,
        "last IN (SELECT last FROM segments WHERE last > ? ORDER BY last LIMIT ?)",
        after,
        AT_ONCE,
    ):
        yield from segments
        after = segments[-1].last
