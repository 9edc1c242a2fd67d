"""A journal's file as version 4 wrote it: a row and a whole record for each event."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tocsin.core.event import Draft, Event, EventId
from tocsin.core.record import encode_record
from tocsin.eventlog.journal.sqlite.file import connect
from tocsin.eventlog.journal.sqlite.schema import upgrade


def events_of(epoch: int, drafts: Sequence[Draft], *, at_once: int) -> list[Event]:
    """The first events of a log; so many in each transaction, which come a second after the ones before."""
    return [
        Event(EventId(epoch, seq), draft, 1_000_000.125 + seq // at_once)
        for seq, draft in enumerate(drafts, 1)
    ]


def write(
    path: Path, epoch: int, events: Sequence[Event], floor: int = 0, kept: Sequence[int] = ()
) -> None:
    """Make the file: of `events`, those up to `floor` were evicted, but for the seqs in `kept`."""
    path.touch(mode=0o600)
    db = connect(path)
    upgrade(db, epoch, 4)
    db.execute("BEGIN")
    total = floor_total = 0
    for event in events:
        seq, record = event.id.seq, encode_record(event)
        total += len(record)
        draft = event.draft
        several = 1 if draft.more_topics else 0
        if seq > floor:
            row = (seq, event.time, total, several, draft.topic, draft.type, record)
            db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            continue
        floor_total = total
        if seq in kept:
            kept_row = (seq, event.time, several, draft.topic, draft.type, record)
            db.execute("INSERT INTO kept VALUES (?, ?, ?, ?, ?, ?)", kept_row)
            continue
        for topic in draft.topics:
            db.execute(
                "INSERT INTO evicted (seq, topic, type) VALUES (?, ?, ?)", (seq, topic, draft.type)
            )
    db.execute(
        "UPDATE log SET floor = ?, floor_total = ?, floor_time = ?",
        (floor, floor_total, events[floor - 1].time if floor else 0.0),
    )
    db.execute("COMMIT")
    db.close()
