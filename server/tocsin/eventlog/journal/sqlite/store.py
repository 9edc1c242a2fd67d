"""What is in a journal's file, as the writer changes it. It begins and ends no transaction of its own.

After a rollback, or any error, what it knows may be ahead of the file: it is closed, and another is opened.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tocsin.core.event import Event, EventId
from tocsin.core.record import decode_records, encode_record
from tocsin.eventlog.evictions import Evictions
from tocsin.eventlog.journal.base import Once
from tocsin.eventlog.journal.ended import Ended, EndedTopics, Final
from tocsin.eventlog.journal.keys import Appended
from tocsin.eventlog.journal.sqlite.kept_newest import Change, KeptRows, as_json
from tocsin.eventlog.journal.sqlite.limits import Limits

ROWS = 64
"""Rows that one INSERT adds. Each statement gives up the interpreter's lock once; `executemany` does for each row."""

STEP = 1_000
"""Events that a transaction evicts beyond as many as it adds."""

MAX_SLACK = 1_000
"""Events above the limit by count that wait for the others, and go in one step."""

MAX_SLACK_BYTES = 256 * 1024

JUMP_S = 60.0
"""Seconds of the log that the limit by age evicts a second, at most: a clock that jumps empties no log."""

KEYS_STEP = 500

_INSERT = "INSERT INTO events VALUES "
_ROW = "(?, ?, ?, ?, ?, ?, ?)"
_INSERTS = [_INSERT + ", ".join([_ROW] * rows) for rows in range(ROWS + 1)]


class Pair(msgspec.Struct, frozen=True, gc=False):
    """A topic and a type of which `seq` was evicted last, in a form that `Evictions` takes."""

    seq: int
    topic: str
    type: str
    more_topics: tuple[str, ...] = ()


class Evicted(NamedTuple):
    """What an eviction did: the pairs of topic and type that went, by seq, and what became of those that stay."""

    pairs: Sequence[Pair]
    change: Change


_read_rows = msgspec.json.Decoder(list[tuple[int, int, str, str]]).decode
_read_pairs = msgspec.json.Decoder(list[tuple[int, str, str]]).decode


class Store:
    """The log in the file, on the connection of the writer.

    Args:
        db: a connection to a file of this version.
        limits: what is kept.
        wall: Unix time in seconds, now.
        steady: seconds of a clock that can't be set, now.

    Attributes:
        epoch: of the log.
        head: the newest seq, and `time` its time; `total` the bytes of all records so far.
        floor: the newest seq that was evicted; `floor_total` the bytes of all records up to it.
        forgotten: what `Evictions` calls so, as it was last put by.
        oldest_time: of the oldest event kept; None where none is.
        ended: the topics that have ended, as they are in the file.
        kept_newest: what stays of that which is evicted.
    """

    def __init__(self, db: sqlite3.Connection, limits: Limits, wall: float, steady: float) -> None:
        self._db = db
        self._limits = limits
        self._offset = wall - steady
        row = db.execute(
            "SELECT epoch, floor, floor_total, floor_time, forgotten, is_copy FROM log"
        ).fetchone()
        self.epoch: int
        self.floor: int
        self.floor_total: int
        self.time: float
        self.forgotten: int
        self.is_copy: int
        self.epoch, self.floor, self.floor_total, self.time, self.forgotten, self.is_copy = row
        self.head, self.total = self.floor, self.floor_total
        newest = db.execute("SELECT seq, total, time FROM events ORDER BY seq DESC LIMIT 1")
        for self.head, self.total, self.time in newest:
            pass
        self.oldest_time = self._value("time", self.floor + 1) if self.events else None
        self.kept_newest = KeptRows(db, limits, self.epoch)
        self._loaded = self.head  # these are as old as their own times say
        self._noted: deque[tuple[int, float]] = (
            deque()
        )  # a seq, and when it was there at the latest
        self._too_old = 0  # all up to this seq have to go for their age
        rows = db.execute("SELECT topic, seq, type FROM ended ORDER BY place")
        self.ended = EndedTopics(
            limits.ended_topics, [(topic, Final(seq, type)) for topic, seq, type in rows]
        )
        self._hand = 0  # the place in `evicted` up to which older rows of a pair were looked for

    @property
    def events(self) -> int:
        """How many are kept."""
        return self.head - self.floor

    @property
    def bytes(self) -> int:
        """Of their records."""
        return self.total - self.floor_total

    # --- what comes ---------------------------------------------------------------------------

    def add(self, events: Sequence[Event]) -> None:
        """Add the next events, at most `ROWS` of them, in one statement."""
        total = self.total
        values: list[object] = []
        for event in events:
            draft, record = event.draft, encode_record(event)
            total += len(record)
            values += (
                event.id.seq,
                event.time,
                total,
                1 if draft.more_topics else 0,
                draft.topic,
                draft.type,
                record,
            )
        self._db.execute(_INSERTS[len(events)], values)
        if self.oldest_time is None:
            self.oldest_time = events[0].time
        self.head, self.total, self.time = events[-1].id.seq, total, events[-1].time

    def find_key(self, once: Once, steady: float) -> Appended | None:
        """What was appended under the key of `once`, if that is known."""
        since = steady + self._offset - self._limits.key_window_s
        row = self._db.execute(
            "SELECT digest, first, count, time FROM keys WHERE scope = ? AND key = ? AND time > ?",
            (once.scope, once.key, since),
        ).fetchone()
        return Appended(row[0], EventId(self.epoch, row[1]), row[2], row[3]) if row else None

    def add_key(self, once: Once, first: int, count: int, steady: float) -> None:
        """Note that `once` stands for the `count` events from `first` on."""
        self._db.execute(
            "INSERT OR REPLACE INTO keys (scope, key, digest, first, count, time)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (once.scope, once.key, once.digest, first, count, steady + self._offset),
        )
        self._db.execute(
            "DELETE FROM keys WHERE place <= (SELECT max(place) FROM keys) - ?",
            (self._limits.keys,),
        )

    def drop_keys(self, steady: float) -> None:
        """Drop some of the keys that are older than the window."""
        since = steady + self._offset - self._limits.key_window_s
        self._db.execute(
            "DELETE FROM keys WHERE place <= (SELECT max(place) FROM"
            " (SELECT place, time FROM keys ORDER BY place LIMIT ?) WHERE time <= ?)",
            (KEYS_STEP, since),
        )

    def end(self, ended: Sequence[Ended]) -> None:
        """Note that these topics, of which there is one, have ended, and forget the oldest of too many."""
        self.ended.add(ended)
        self._db.executemany(
            "INSERT OR REPLACE INTO ended (topic, seq, type) VALUES (?, ?, ?)",
            [(topic, seq, type) for topic, (seq, type) in ended],
        )
        self._db.execute(
            "DELETE FROM ended WHERE place < (SELECT place FROM ended WHERE topic = ?)",
            (self.ended.oldest,),
        )

    # --- what goes ----------------------------------------------------------------------------

    def look_at_ages(self, steady: float) -> None:
        """Find what is too old; to be called once a second."""
        max_age_s = self._limits.age_s
        if not max_age_s:
            return
        noted = self._noted
        last, at = noted[-1] if noted else (self._loaded, 0.0)
        if self.head > last and steady >= at + max_age_s / 1024:
            noted.append((self.head, steady))
        while noted and noted[0][1] <= steady - max_age_s:
            self._too_old = noted.popleft()[0]
        if max(self.floor, self._too_old) < self._loaded:
            self._find_too_old_by_time(steady + self._offset - max_age_s)

    def _find_too_old_by_time(self, since: float) -> None:
        """Of what was there at the start: its times are all that is known of its age."""
        oldest = self._value("time", self.floor + 1)
        last = self._last("time", min(since, oldest + JUMP_S), self._loaded)
        self._too_old = max(self._too_old, last)

    @property
    def surplus_to(self) -> int:
        """The seq up to which events have to go; the floor or less where none has to."""
        limits = self._limits
        target = self._too_old
        if self.events > limits.events + min(limits.events // 128, MAX_SLACK):
            target = max(target, self.head - limits.events)
        if self.bytes > limits.bytes + min(limits.bytes // 128, MAX_SLACK_BYTES):
            # One more than the last that is within: what is left is then no more than the limit.
            within = self._last("total", self.total - limits.bytes - 1, self.head)
            target = max(target, within + 1)
        return min(target, self.head)

    def evict(self, to: int, evictions: Evictions) -> Evicted:
        """Evict all up to `to`, but for what stays of it.

        Args:
            to: a kept seq.
            evictions: what is known of earlier ones, read only: it may be somewhat behind.
        """
        db = self._db
        change = self.kept_newest.take(self.floor, to)
        where = "events WHERE seq > ? AND seq <= ?"
        values: list[object] = [self.floor, to]
        if change.added:
            where += " AND seq NOT IN (SELECT value FROM json_each(?))"
            values.append(as_json([event.id.seq for event in change.added]))
        pairs = self._pairs(where, *values)
        late = self._let_go(change.removed)
        total, time = db.execute("SELECT total, time FROM events WHERE seq = ?", (to,)).fetchone()
        db.execute("DELETE FROM events WHERE seq <= ?", (to,))
        self._remember([*late, *pairs], evictions)
        db.execute(
            "UPDATE log SET floor = ?, floor_total = ?, floor_time = ?, forgotten = ?",
            (to, total, time, self.forgotten),
        )
        self.floor, self.floor_total = to, total
        self.oldest_time = self._value("time", to + 1) if self.events else None
        return Evicted(pairs, change)

    def take_up_kept_newest(self, evictions: Evictions) -> list[Pair]:
        """Take up what stays, and evict of it what may not any more, as the limits may be others now.

        Args:
            evictions: as for `evict`.

        Returns:
            The pairs that went.
        """
        surplus = self.kept_newest.load()
        if not surplus:
            return []
        self._db.execute("BEGIN IMMEDIATE")
        late = self._let_go(surplus)
        self._remember(late, evictions)
        self._db.execute("UPDATE log SET forgotten = ?", (self.forgotten,))
        self._db.execute("COMMIT")
        return late

    def _let_go(self, seqs: Sequence[int]) -> list[Pair]:
        """Let these go that stayed until now; their pairs."""
        if not seqs:
            return []
        some = "kept WHERE seq IN (SELECT value FROM json_each(?))"
        pairs = self._pairs(some, as_json(seqs))
        self.kept_newest.remove(seqs)
        return pairs

    def _pairs(self, where: str, *values: object) -> list[Pair]:
        """The pairs of topic and type of these rows, by seq."""
        # One row with all of them: the interpreter's lock is given up once for each row.
        text = self._db.execute(
            "SELECT json_group_array(json_array(seq, topic, type)) FROM"
            f" (SELECT max(seq) AS seq, topic, type FROM {where} GROUP BY topic, type)",
            values,
        ).fetchone()[0]
        pairs = [Pair(*each) for each in _read_pairs(text)]
        if self._db.execute(f"SELECT max(several) FROM {where}", values).fetchone()[0]:
            pairs += self._more_pairs(where, *values)
        pairs.sort(key=lambda pair: pair.seq)
        return pairs

    def _more_pairs(self, where: str, *values: object) -> list[Pair]:
        """Of the events on several topics, those that stand in their records."""
        count, records = self._db.execute(
            "SELECT count(*), CAST(group_concat(CAST(record AS TEXT), '') AS BLOB)"
            f" FROM {where} AND several",
            values,
        ).fetchone()
        newest = {
            (topic, event.draft.type): event.id.seq
            for event in decode_records(records, count, self.epoch)
            for topic in event.draft.more_topics
        }
        return [Pair(seq, topic, type) for (topic, type), seq in newest.items()]

    def _remember(self, pairs: Sequence[Pair], evictions: Evictions) -> None:
        """Put `pairs` by, and remove as many older rows that say nothing any more."""
        db = self._db
        values: list[object] = []
        for first in range(0, len(pairs), 4 * ROWS):
            some = pairs[first : first + 4 * ROWS]
            values = [value for pair in some for value in (pair.seq, pair.topic, pair.type)]
            db.execute(
                "INSERT INTO evicted (seq, topic, type) VALUES "
                + ", ".join(["(?, ?, ?)"] * len(some)),
                values,
            )
        self.forgotten = max(self.forgotten, evictions.exact_from)
        text = db.execute(
            "SELECT json_group_array(json_array(place, seq, topic, type)) FROM"
            " (SELECT * FROM evicted WHERE place > ? ORDER BY place LIMIT ?)",
            (self._hand, 2 * len(pairs) + 10),
        ).fetchone()[0]
        rows = _read_rows(text)
        self._hand = rows[-1][0] if len(rows) == 2 * len(pairs) + 10 else 0
        dead = [
            place
            for place, seq, topic, type in rows
            if seq <= self.forgotten or seq < evictions.newest(topic, type)
        ]
        if dead:
            db.execute(
                "DELETE FROM evicted WHERE place IN (SELECT value FROM json_each(?))",
                (msgspec.json.encode(dead).decode(),),
            )

    def begin_epoch(self, epoch: int) -> None:
        """Go on as another log with the same events: what follows gets ids that were never given before."""
        self.epoch = max(epoch, self.epoch + 1)
        self._db.execute("UPDATE log SET epoch = ?, is_copy = 0", (self.epoch,))
        self._db.execute("DELETE FROM keys")

    # --- what is asked ------------------------------------------------------------------------

    def has_old_keys(self, steady: float) -> bool:
        """Whether a key is older than the window."""
        row = self._db.execute("SELECT time FROM keys ORDER BY place LIMIT 1").fetchone()
        return bool(row) and row[0] <= steady + self._offset - self._limits.key_window_s

    def newest(self, max_events: int, max_bytes: int) -> list[Event]:
        """The newest events that fit into both."""
        low = max(self.floor, self.head - max_events)
        if self.bytes > max_bytes:
            low = max(low, self._last("total", self.total - max_bytes - 1, self.head) + 1)
        found: list[Event] = []
        while low < self.head:
            count, records = self._db.execute(
                "SELECT count(*), CAST(group_concat(CAST(record AS TEXT), '') AS BLOB)"
                " FROM events WHERE seq > ? AND seq <= ?",
                (low, low + STEP),
            ).fetchone()
            found += decode_records(records, count, self.epoch)
            low += STEP
        return found

    def load_evictions(self, remembered: int) -> Evictions:
        """What was evicted last, of at most `remembered` pairs."""
        evictions = Evictions(remembered)
        evictions.forgotten = self.forgotten
        rows = self._db.execute("SELECT seq, topic, type FROM evicted ORDER BY seq")
        while some := rows.fetchmany(10_000):
            evictions.remember(list(itertools.starmap(Pair, some)), several=False)
        return evictions

    def pairs_after(self, seq: int) -> list[Pair]:
        """The pairs that were evicted after `seq`, as far as they are remembered."""
        rows = self._db.execute(
            "SELECT seq, topic, type FROM evicted WHERE seq > ? ORDER BY seq", (seq,)
        )
        return [Pair(*row) for row in rows]

    def _value(self, column: str, seq: int) -> float:
        row = self._db.execute(f"SELECT {column} FROM events WHERE seq = ?", (seq,)).fetchone()
        return float(row[0]) if row else 0.0

    def _last(self, column: str, limit: float, high: int) -> int:
        """The last seq up to `high` whose `column` is at most `limit`; the floor if none is."""
        low = self.floor
        while low < high:
            middle = (low + high + 1) // 2
            if self._value(column, middle) <= limit:
                low = middle
            else:
                high = middle - 1
        return low


def cut(db: sqlite3.Connection, head: int) -> None:
    """Take back what follows `head`: a commit that failed may be in the file all the same.

    Its publishers were told that nothing was published, and nobody saw it.
    """
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM events WHERE seq > ?", (head,))
    db.execute("DELETE FROM keys WHERE first > ?", (head,))
    db.execute("DELETE FROM ended WHERE seq > ?", (head,))
    # Written in any case: it is seen here whether the disk takes something again.
    db.execute("UPDATE log SET is_copy = 0")
    db.execute("COMMIT")
