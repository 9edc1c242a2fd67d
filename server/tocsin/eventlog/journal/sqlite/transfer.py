"""A journal's file from outside: is it sound, a copy while the hub runs, and the way to and from NDJSON.

A line of NDJSON is an event; the first line is the log. So nobody is locked in: any language reads it.
"""

from __future__ import annotations

import base64
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Annotated, TypeVar

import msgspec
from msgspec import Meta

from tocsin.core.event import Draft, Event, EventId, ids_from
from tocsin.core.record import RecordError, encode_contents
from tocsin.errors import InvalidInput, SettingsError
from tocsin.eventlog.journal.ended import ended_by
from tocsin.eventlog.journal.sqlite import schema
from tocsin.eventlog.journal.sqlite.file import cannot_open, connect, prepare
from tocsin.eventlog.journal.sqlite.kept_newest import event_of, kept_rows
from tocsin.eventlog.journal.sqlite.limits import Limits
from tocsin.eventlog.journal.sqlite.lock import FileLock
from tocsin.eventlog.journal.sqlite.segments import (
    MOST_EVENTS,
    Loaded,
    load,
    micros,
    names_of,
)
from tocsin.eventlog.journal.sqlite.store import Store

Parsed = TypeVar("Parsed")

AT_ONCE = 16
"""Segments that are read at a time."""


MAX_EPOCH = 10**15 - 1
MAX_SEQ = 10**14
"""Ids have at most 15 digits on each side; with these there is room for more events than come in a life."""

MAX_TIME_S = 253_402_300_799.0
"""The end of the year 9999. Times of a log never go back: events that follow one beyond would all bear that."""


class Summary(msgspec.Struct, frozen=True):
    """What a file holds: ids of the oldest and the newest event, None where none is; events, bytes of records.

    What stays below the log is counted apart, in `kept_newest`.
    """

    oldest: str | None
    newest: str | None
    events: int
    bytes: int
    kept_newest: int = 0


class Header(msgspec.Struct, frozen=True, tag_field="kind", tag="log"):
    """The first line of an export: the log, and the newest seq that was evicted from it."""

    epoch: Annotated[int, Meta(ge=0, le=MAX_EPOCH)]
    floor: Annotated[int, Meta(ge=0, le=MAX_SEQ)]


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event of an export. `data` is text; `data_base64` stands there instead where it isn't UTF-8."""

    seq: int
    time: Annotated[float, Meta(ge=0, le=MAX_TIME_S)]
    type: str
    topics: Annotated[tuple[str, ...], Meta(min_length=1)]
    data: str = ""
    data_base64: str = ""
    source: str = "api"
    principal: str = ""
    traceparent: str = ""
    key: str = ""
    final: bool = False


class Unsound(Exception):
    """What a check found. The message is one line."""


_encode = msgspec.json.Encoder().encode
_decode_header = msgspec.json.Decoder(Header).decode
_decode_line = msgspec.json.Decoder(Line).decode


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
                raise Unsound(f"damaged: {said.splitlines()[-1]}")
        return _check_log(db)
    except (sqlite3.Error, RecordError) as error:
        raise Unsound(f"damaged: {error}") from error
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


def backup(path: Path, target: Path) -> None:
    """Write a copy of the file to `target`, which is not there yet; the hub may run meanwhile.

    A hub that is given the copy goes on as another log: ids that the first one gave since stay its own.

    Raises:
        SettingsError: the file can't be read, or the copy can't be written.
    """
    source = _open(path)
    try:
        # Made anew, as nobody shall write into a file that is there.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        source.execute("VACUUM INTO ?", (str(target),))
        copy = connect(target)
        try:
            copy.execute("PRAGMA journal_mode = WAL")
            copy.execute("UPDATE log SET is_copy = 1")
            copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # and synced
        finally:
            copy.close()
    except OSError as error:
        raise SettingsError(
            f"journal: {str(target)!r} can't be written: {error.strerror}"
        ) from None
    except sqlite3.Error as error:
        raise SettingsError(f"journal: {str(target)!r} can't be written: {error}") from None
    finally:
        source.close()


def export(path: Path, output: IO[bytes]) -> int:
    """Write the log to `output` as NDJSON; how many events it was. The hub may run meanwhile.

    Raises:
        SettingsError: the file can't be read.
    """
    db = _open(path)
    try:
        db.execute("BEGIN")
        epoch, floor, _ = _log(db)
        output.write(_encode(Header(epoch, floor)) + b"\n")
        count = 0
        for event in _events(db, epoch, floor):
            output.write(_encode(_line(event)) + b"\n")
            count += 1
        return count
    except (sqlite3.Error, RecordError) as error:
        raise cannot_open(path, error) from error
    finally:
        db.close()


def read_in(path: Path, lines: Iterable[bytes]) -> int:
    """Make a new file at `path` from the lines of an export; how many events it holds.

    Idempotency keys are not in an export, so they are known no more; nor are topics that ended by an event which isn't
    kept: these are open again. The log goes on under the same ids.

    Raises:
        SettingsError: there is a file already, it can't be made, or a line is none of an export. What was
            made is removed again.
    """
    if path.exists():
        raise SettingsError(f"journal: {str(path)!r} is there already; allowed: a new file")
    prepare(path)
    lock = FileLock(path)
    try:
        return _read_in(path, lines)
    except BaseException:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        raise
    finally:
        lock.release()


def _read_in(path: Path, lines: Iterable[bytes]) -> int:
    numbered = enumerate(lines, 1)
    header = _parse(_decode_header, *next(numbered, (1, b"")))
    db = connect(path)
    try:
        schema.upgrade(db, header.epoch)
        db.execute("UPDATE log SET floor = ?, forgotten = ?", (header.floor, header.floor))
        store = Store(db, Limits(), 0.0, 0.0)
        db.execute("BEGIN")
        some: list[Draft] = []
        time = last_kept = count = 0
        for number, text in numbered:
            line = _parse(_decode_line, number, text)
            count += 1
            if last_kept < line.seq <= header.floor and not (some or store.events):
                store.kept_newest.add(line.seq, micros(line.time), _draft(number, line))
                last_kept = line.seq
                continue
            due = store.head + len(some) + 1
            if line.seq != due:
                raise SettingsError(
                    f"journal: line {number}: seq is {line.seq}; allowed: {due}, the next"
                )
            if len(some) == MOST_EVENTS or (some and micros(line.time) > time):
                _add(store, some, time)
                some = []
            some.append(_draft(number, line))
            time = max(micros(line.time), time)
        if some:
            _add(store, some, time)
        db.execute("COMMIT")
        return count
    except sqlite3.Error as error:
        raise cannot_open(path, error) from error
    finally:
        db.close()


def _add(store: Store, drafts: Sequence[Draft], time: int) -> None:
    """Add events of one time, which follow one another."""
    ids = ids_from(store.epoch, store.head + 1, len(drafts))
    store.add(store.next_segments(drafts, time))
    ended = ended_by([Event(id, draft, 0.0) for id, draft in zip(ids, drafts, strict=True)])
    if ended:
        store.end(ended)


def _draft(number: int, line: Line) -> Draft:
    """What a line says that was published."""
    try:
        data = base64.b64decode(line.data_base64) if line.data_base64 else line.data.encode()
        topic, *more = line.topics
        return Draft(
            line.type,
            data,
            topic,
            line.source,
            tuple(more),
            line.principal,
            line.traceparent,
            line.key,
            line.final,
        )
    except (InvalidInput, ValueError) as error:
        raise SettingsError(f"journal: line {number}: {error}") from None


def _parse(decode: Callable[[bytes], Parsed], number: int, text: bytes) -> Parsed:
    try:
        return decode(text)
    except msgspec.MsgspecError as error:
        raise SettingsError(f"journal: line {number} is none of an export: {error}") from None


def _line(event: Event) -> Line:
    draft = event.draft
    try:
        text, encoded = draft.data.decode(), ""
    except UnicodeDecodeError:
        text, encoded = "", base64.b64encode(draft.data).decode()
    return Line(
        event.id.seq,
        event.time,
        draft.type,
        draft.topics,
        text,
        encoded,
        draft.source,
        draft.principal,
        draft.traceparent,
        draft.key,
        draft.final,
    )


def _open(path: Path) -> sqlite3.Connection:
    """A connection to a journal's file of this version.

    Raises:
        SettingsError: there is none, or it is something else.
    """
    if not path.is_file():
        raise SettingsError(f"journal: {str(path)!r} is no file")
    try:
        db = connect(path)
        version = schema.version_of(db)
    except (sqlite3.Error, schema.UnknownVersion) as error:
        raise cannot_open(path, error) from error
    if version != schema.VERSION:
        db.close()
        raise SettingsError(
            f"journal: {str(path)!r} is of version {version}; a hub that is started with it brings it"
            f" to version {schema.VERSION}"
        )
    return db


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
