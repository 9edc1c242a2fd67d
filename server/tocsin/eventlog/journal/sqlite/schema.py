"""The tables of a journal's file, their version, and the way from the version before.

`segments.total` is the bytes of all events up to this segment and with it, so that what a span of the
log takes is a subtraction, and no start has to add up a million events. `last` and `total` only grow, and `time` never
goes back: a limit by bytes or age is found by bisection.
"""

from __future__ import annotations

import sqlite3

from tocsin.eventlog.journal.sqlite.rows import move_into_segments

APPLICATION_ID = 0x746F6373
"""In the file's header: the letters "tocs"."""

VERSION = 6

_LOG = """CREATE TABLE log (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    floor INTEGER NOT NULL,
    floor_total INTEGER NOT NULL,
    floor_time REAL NOT NULL,
    forgotten INTEGER NOT NULL,
    is_copy INTEGER NOT NULL
)"""
_EVENTS = """CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    total INTEGER NOT NULL,
    several INTEGER NOT NULL,
    topic TEXT NOT NULL,
    type TEXT NOT NULL,
    record BLOB NOT NULL
)"""
# What was evicted last, of each topic and type. Rows are only added: where a newer one of the same pair
# stands further on, the older is removed later. Updated in place, a thousand topics would be a thousand
# pages to write each time.
_EVICTED = """CREATE TABLE evicted (
    place INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    topic TEXT NOT NULL,
    type TEXT NOT NULL
)"""
_KEYS = """CREATE TABLE keys (
    place INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    time REAL NOT NULL,
    UNIQUE (scope, key)
)"""
# Topics that have ended, in that order: the seq and the type of the event by which they did.
_ENDED = """CREATE TABLE ended (
    place INTEGER PRIMARY KEY,
    topic TEXT NOT NULL UNIQUE,
    seq INTEGER NOT NULL,
    type TEXT NOT NULL
)"""
# The newest events of some topics, which stay when the others of their time go: all at or below the floor.
_KEPT = """CREATE TABLE kept (
    seq INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    several INTEGER NOT NULL,
    topic TEXT NOT NULL,
    type TEXT NOT NULL,
    record BLOB NOT NULL
)"""

# What a row of it is: `segments.Segment`. The contents come last, so that who looks at topics reads no page of them.
_SEGMENTS = """CREATE TABLE segments (
    last INTEGER PRIMARY KEY,
    events INTEGER NOT NULL,
    time INTEGER NOT NULL,
    size INTEGER NOT NULL,
    total INTEGER NOT NULL,
    types TEXT NOT NULL,
    topics TEXT NOT NULL,
    contents BLOB NOT NULL
)"""
# The contents and the time of each are as in a segment.
_KEPT_CONTENTS = """CREATE TABLE kept (
    seq INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    content BLOB NOT NULL
)"""

_CREATE = {
    1: (_LOG, _EVENTS, _EVICTED),
    2: (_KEYS,),
    3: (_ENDED,),
    4: (_KEPT,),
    5: (
        _SEGMENTS,
        "ALTER TABLE kept RENAME TO kept_rows",
        _KEPT_CONTENTS,
        "UPDATE log SET floor_time = round(floor_time * 1000000)",
    ),
    6: (),  # its rows are those of 5, which it reads; they are compressed as new ones come
}
"""What each version added to the one before. Version 1 knew no idempotency keys, 2 no topics that end, 3 no events that
stay below the log; 4 had a row for each event, with a record of its own (`rows.py`); 5 compressed nothing. None was
released."""


class UnknownVersion(Exception):
    """The file is of a version that this Tocsin can't read. The message says which."""


def version_of(db: sqlite3.Connection) -> int:
    """The file's version, 0 where nothing is in it yet.

    Raises:
        UnknownVersion: it is newer, or the file belongs to another program.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    owner = int(db.execute("PRAGMA application_id").fetchone()[0])
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and owner != APPLICATION_ID:
        raise UnknownVersion("it is a database of another program")
    if version > VERSION:
        raise UnknownVersion(
            f"it is of version {version}, and this Tocsin reads up to version {VERSION}"
        )
    return version


def upgrade(db: sqlite3.Connection, epoch: int, version: int = VERSION) -> None:
    """Bring the file to `version` in one transaction; an empty one becomes a log that begins with `epoch`.

    Raises:
        UnknownVersion: as `version_of`.
        RecordError: what is in it is damaged. Nothing was changed.
    """
    before = version_of(db)
    if before == version:
        return
    if not before:
        # Both have to be said before the first table is made. A segment of 64 events takes one or two such pages, and a
        # batch 5 % less CPU than with 4 KiB.
        db.execute("PRAGMA page_size = 8192")
        # It lets the file shrink again.
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    try:
        for number in range(before + 1, version + 1):
            for statement in _CREATE[number]:
                db.execute(statement)
            if number == 1:
                db.execute("INSERT INTO log VALUES (1, ?, 0, 0, 0.0, 0, 0)", (epoch,))
            if number == 5:
                move_into_segments(db)
        if not before:
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {version}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
