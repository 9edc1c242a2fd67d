"""What is in a journal's file, as the writer changes it. It begins and ends no transaction of its own.

After a rollback, or any error, what it knows may be ahead of the file: it is closed, and another is opened.
"""

from __future__ import annotations

import itertools
import logging
import operator
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from tocsin.core.event import Draft, Event, EventId
from tocsin.core.record import RecordError
from tocsin.eventlog.evictions import Evictions
from tocsin.eventlog.journal.base import Once
from tocsin.eventlog.journal.ended import Ended, EndedTopics, Final
from tocsin.eventlog.journal.keys import Appended
from tocsin.eventlog.journal.sqlite.damage import end_behind
from tocsin.eventlog.journal.sqlite.file import is_damage
from tocsin.eventlog.journal.sqlite.kept_newest import NO_CHANGE, Change, KeptRows, as_json
from tocsin.eventlog.journal.sqlite.limits import Limits
from tocsin.eventlog.journal.sqlite.outage import MOST_DETAIL
from tocsin.eventlog.journal.sqlite.segments import (
    Segment,
    SeqPair,
    holder_of,
    insert,
    last_of,
    load,
    names_in,
    newest_pairs,
    seconds,
    segments_of,
)

log = logging.getLogger("tocsin")

STEP = 1_000
"""Events that are read at a time for the window."""

MOST_SEGMENTS = 500
"""Rows that one eviction removes, beyond as much as was just added. It has ten statements, each of which asks for the
interpreter's lock again, so it should have much to do; and not too much, as publishers wait for it."""

MOST_BYTES = 1024 * 1024
"""Bytes of their events, likewise."""

MOST_NAMES = 2_000
"""Topics that these rows name, likewise; a topic counts once for each row that names it."""

MOST_LOOKED_AT = 1_000
"""Events, likewise, where some may stay, and so each is looked at."""

LEFT_ROWS = 128
"""Behind damage: so many of the smallest fill most of a page, which isn't joined with the damaged one then."""

MAX_SLACK = 8_000
"""Events above the limit by count that wait for the others, and go in one step."""

MAX_SLACK_BYTES = 1024 * 1024

NEAR = 1_000
"""Segments that a look for the first beyond the limit by bytes passes, before it goes by bisection."""

JUMP_S = 60.0
"""Seconds of the log that the limit by age evicts a second, at most: a clock that jumps empties no log."""

KEYS_STEP = 500

PAIRS = 256
"""Pairs that one INSERT adds."""


class Pair(msgspec.Struct, frozen=True, gc=False):
    """A topic and a type of which `seq` was evicted last, in a form that `Evictions` takes."""

    seq: int
    topic: str
    type: str
    more_topics: tuple[str, ...] = ()


class Evicted(NamedTuple):
    """What an eviction did.

    Attributes:
        pairs: of topic and type that went, by seq.
        change: what became of those that stay.
        unknown_to: up to this seq nobody knows what went: it couldn't be read.
    """

    pairs: Sequence[Pair]
    change: Change
    unknown_to: int = 0


_read_rows = msgspec.json.Decoder(list[tuple[int, int, str, str]]).decode


class Names(NamedTuple):
    """Of a segment: its last seq, the log's bytes up to it, and its types and topics as its row has them."""

    last: int
    total: int
    types: str
    topics: str


_read_names = msgspec.json.Decoder(list[Names]).decode

# `>=` throughout: `>` looks at the page of what lies before too, which may be damaged and stay.
# Each inner SELECT ends at the first row that it finds, and one bound ends the outer one: of two it would pass all rows up
# to the first, and look at each.
_OLDEST_NAMES = """SELECT json_group_array(json_array(last, total, types, topics)) FROM (
    SELECT last, total, types, topics FROM segments
    WHERE last >= :first AND last <= min(
        (SELECT last FROM segments WHERE last >= :to ORDER BY last LIMIT 1),
        max(
            coalesce((SELECT last FROM segments WHERE last >= :first ORDER BY last LIMIT 1 OFFSET :more_rows), :head),
            coalesce((SELECT last FROM segments WHERE last >= :wanted ORDER BY last LIMIT 1), 0),
            coalesce((SELECT last FROM segments WHERE last >= :first AND total >= :wanted_total ORDER BY last LIMIT 1), 0)
        )
    )
    AND (last - events < :wanted OR total - size < max(:wanted_total, :more_total))
    ORDER BY last
)"""


class Store:
    """The log in the file, on the connection of the writer.

    Args:
        db: a connection to a file of this version.
        limits: what is kept.
        wall: Unix time in seconds, now.
        steady: seconds of a clock that can't be set, now.

    Attributes:
        epoch: of the log.
        head: the newest seq, and `time` its time, in microseconds; `total` the bytes of all events so far.
        floor: the newest seq that was evicted; `floor_total` the bytes of all up to it.
        forgotten: what `Evictions` calls so, as it was last put by.
        oldest_time: of the oldest event kept, in seconds; None where none is.
        ended: the topics that have ended, as they are in the file.
        kept_newest: what stays of that which is evicted.
    """

    def __init__(self, db: sqlite3.Connection, limits: Limits, wall: float, steady: float) -> None:
        self._db = db
        self._limits = limits
        self._offset = wall - steady
        self._opened = steady
        row = db.execute(
            "SELECT epoch, floor, floor_total, floor_time, forgotten, is_copy FROM log"
        ).fetchone()
        self.epoch: int
        self.floor: int
        self.floor_total: int
        self.forgotten: int
        self.is_copy: int
        self.epoch, self.floor, self.floor_total, time, self.forgotten, self.is_copy = row
        self.head, self.total, self.time = self.floor, self.floor_total, int(time)
        newest = db.execute("SELECT last, total, time FROM segments ORDER BY last DESC LIMIT 1")
        for self.head, self.total, self.time in newest:
            pass
        self.oldest_time = self._oldest_time()
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
        """That they count."""
        return self.total - self.floor_total

    # --- what comes ---------------------------------------------------------------------------

    def next_segments(self, drafts: Sequence[Draft], time: int) -> list[Segment]:
        """The next events, which come at `time` in microseconds, as `add` takes them."""
        return segments_of(drafts, time, self.head, self.total)

    def add(self, segments: Sequence[Segment]) -> None:
        """Add these, of which there is one; up to `ROWS` of them in one statement."""
        insert(self._db, segments)
        if self.oldest_time is None:
            self.oldest_time = seconds(segments[0].time)
        newest = segments[-1]
        self.head, self.total, self.time = newest.last, newest.total, newest.time

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
        if steady >= self._opened + max_age_s:
            # Whatever the times say of what was there: a clock that was ahead when it came would keep it for as long.
            self._too_old = max(self._too_old, self._loaded)
        if max(self.floor, self._too_old) < self._loaded:
            self._find_too_old_by_time(steady + self._offset - max_age_s)

    def _find_too_old_by_time(self, since: float) -> None:
        """Of what was there at the start: its times are all that is known of its age."""
        if self.oldest_time is None or self.oldest_time > since:
            return
        limit = int(min(since, self.oldest_time + JUMP_S) * 1e6)
        last = self._behind_damage(lambda: self._last("time", limit)[0])
        self._too_old = max(self._too_old, min(last, self._loaded))

    @property
    def surplus_to(self) -> int:
        """The seq up to which events have to go; the floor or less where none has to."""
        limits = self._limits
        target = self._too_old
        if self.events > limits.events + min(limits.events // 128, MAX_SLACK):
            target = max(target, self.head - limits.events)
        if self.bytes > limits.bytes + min(limits.bytes // 128, MAX_SLACK_BYTES):
            beyond = self._behind_damage(lambda: self._first_beyond(self.total - limits.bytes - 1))
            target = max(target, beyond)
        return min(target, self.head)

    def _behind_damage(self, find: Callable[[], int]) -> int:
        """The seq that `find` finds; where damage keeps it from that, the next one: so the log moves on to the damage."""
        try:
            return find()
        except Exception as error:
            if not is_damage(error):
                raise
            return self.floor + 1

    def evict(self, to: int, evictions: Evictions, added: int = 0, added_bytes: int = 0) -> Evicted:
        """Evict what is up to `to`, but for what stays of it; or the oldest part, where that is too much at once.

        Args:
            to: a kept seq.
            evictions: what is known of earlier ones, read only: it may be somewhat behind.
            added: events that were just added. So many are evicted in any case, or else the log could grow for good.
            added_bytes: that they count, likewise.
        """
        db = self._db
        if self.kept_newest.is_on:
            to = min(to, self.floor + MOST_LOOKED_AT + added)
        names = self._oldest_names(to, self.floor + added, self.floor_total + added_bytes)
        to, total, time = self._end_at(min(to, names[-1].last))
        change = self.kept_newest.take(self.floor, to)
        pairs = self._pairs(names, to, {event.id.seq for event in change.added})
        late = self._let_go(change.removed)
        db.execute("DELETE FROM segments WHERE last >= ? AND last <= ?", (self.floor + 1, to))
        self.floor, self.floor_total = to, total
        self._remember([*late, *pairs], evictions)
        db.execute(
            "UPDATE log SET floor = ?, floor_total = ?, floor_time = ?, forgotten = ?",
            (to, total, time, self.forgotten),
        )
        self.oldest_time = self._oldest_time()
        return Evicted(pairs, change)

    def _end_at(self, seq: int) -> tuple[int, int, int]:
        """`seq`, the bytes of the log up to it, and its time; of a damaged segment those of its end, as it goes whole."""
        try:
            holder = holder_of(self._db, seq)
        except RecordError as error:
            log.error(
                "a damaged part of the journal's file is evicted",
                extra={"error": str(error)[:MOST_DETAIL]},
            )
            return self._row_of(seq)
        if holder is None:  # its row is gone: the log goes on at the next one
            total, time = self._db.execute(
                "SELECT total - size, time FROM segments WHERE last >= ? ORDER BY last LIMIT 1",
                (seq,),
            ).fetchone()
            return seq, int(total), int(time)
        return seq, holder.total_at(seq), holder.time

    def _row_of(self, seq: int) -> tuple[int, int, int]:
        """Of the segment that has `seq`: its last seq, the bytes of the log up to it, and its time."""
        row = self._db.execute(
            "SELECT last, total, time FROM segments WHERE last >= ? ORDER BY last LIMIT 1", (seq,)
        ).fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def evict_damage(self, error: Exception) -> Evicted:
        """Evict all up to the end of the damage that an eviction met, by `error`, and `LEFT_ROWS` more; the rows stay.

        Outside a transaction: SQLite writes nothing more in one that has met damage. It can't delete these rows, nor those
        of the next page of its tree, which it would join with the damaged one.

        Raises:
            Exception: `error`, where some of it may have to stay, which can't be decided.
        """
        if self.kept_newest.is_on:
            raise error
        db = self._db
        # What it knows is ahead of the file, which was rolled back.
        (self.floor,) = db.execute("SELECT floor FROM log").fetchone()
        damaged_to = end_behind(db, self.floor, self.head)
        if damaged_to is None:  # it is in another table
            raise error
        row = db.execute(
            "SELECT last, total, time FROM segments WHERE last >= ? ORDER BY last LIMIT 1 OFFSET ?",
            (damaged_to + 1, LEFT_ROWS - 1),
        ).fetchone()
        end, total, time = row or (self.head, self.total, self.time)
        log.error("a damaged part of the journal's file is evicted", extra={"up_to": end})
        self.floor, self.floor_total, self.forgotten = end, total, max(self.forgotten, end)
        db.execute(
            "UPDATE log SET floor = ?, floor_total = ?, floor_time = ?, forgotten = ?",
            (end, total, time, self.forgotten),
        )
        self.oldest_time = self._oldest_time()
        return Evicted((), NO_CHANGE, end)

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
        return _newest_of(
            (row.seq, topic, row.content.attributes.type)
            for row in self.kept_newest.remove(seqs)
            for topic in row.content.attributes.topics
        )

    def _oldest_names(self, to: int, wanted: int, wanted_total: int) -> Sequence[Names]:
        """What the oldest segments name, up to the one that has `to`.

        Of all that come up to the seq `wanted` and to so many bytes of the log; and of further ones, up to the limits.
        """
        # One row with all of them: the interpreter's lock is given up once for each row.
        bounds = {
            "first": self.floor + 1,
            "to": to,
            "head": self.head,
            "wanted": max(wanted, self.floor + 1),
            "wanted_total": wanted_total,
            "more_total": self.floor_total + MOST_BYTES,
            "more_rows": MOST_SEGMENTS - 1,
        }
        text = self._db.execute(_OLDEST_NAMES, bounds).fetchone()[0]
        names = _read_names(text)
        room = MOST_NAMES
        for number, each in enumerate(names, 1):
            room -= len(names_in(each.topics))
            if room < 0 and each.last >= wanted and each.total >= wanted_total:
                return names[:number]
        return names

    def _pairs(self, names: Sequence[Names], to: int, staying: Collection[int]) -> list[Pair]:
        """The pairs of the events of these segments up to `to` but those that stay and those evicted before, by seq."""
        found: list[SeqPair] = []
        lasts = [each.last for each in names]
        if not staying:
            found, lasts = _newest_named(names, to)
        if lasts:
            some = "last IN (SELECT value FROM json_each(?))"
            try:
                found += newest_pairs(self._db, self.floor, to, staying, some, as_json(lasts))
            except RecordError:  # one is damaged: all that they may have had counts as evicted
                found += _all_named([each for each in names if each.last in lasts], to)
        return _newest_of(found)

    def _remember(self, pairs: Sequence[Pair], evictions: Evictions) -> None:
        """Put `pairs` by, and remove as many older rows that say nothing any more."""
        db = self._db
        values: list[object] = []
        for first in range(0, len(pairs), PAIRS):
            some = pairs[first : first + PAIRS]
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
            low = max(low, self._first_beyond(self.total - max_bytes - 1))
        found: list[Event] = []
        while low < self.head:
            high = last_of(self._db, min(low + STEP, self.head))
            for segment in load(self._db, "last > ? AND last <= ?", low, high):
                found += segment.events_between(low, high, self.epoch)
            low = high
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

    def _oldest_time(self) -> float | None:
        row = self._db.execute(
            "SELECT time FROM segments WHERE last >= ? ORDER BY last LIMIT 1", (self.floor + 1,)
        ).fetchone()
        return seconds(row[0]) if row else None

    def _first_beyond(self, total: int) -> int:
        """The first seq by which the events of the log are more than `total` bytes; there is one."""
        # Most often it is near: by bisection each step would ask for the interpreter's lock again.
        near = self._db.execute(
            "SELECT last FROM (SELECT last, total FROM segments WHERE last >= ? ORDER BY last LIMIT ?)"
            " WHERE total > ? ORDER BY last LIMIT 1",
            (self.floor + 1, NEAR, total),
        ).fetchone()
        seq = near[0] if near else self._last("total", total)[0] + 1
        try:
            holder = holder_of(self._db, seq)
        except RecordError:  # it is damaged, and goes whole
            return self._row_of(seq)[0]
        if holder is None:  # its row is gone
            return seq
        at = holder.total_at(holder.first - 1)
        for seq, content in holder.between(0, holder.last):
            at += content.bytes
            if at > total:
                return seq
        return holder.last

    def _last(self, column: str, limit: int) -> tuple[int, int]:
        """The end of the last segment whose `column` is at most `limit`, and its total; the floor's if none is."""
        low, total, high = self.floor, self.floor_total, self.head
        while low < high:
            middle = (low + high + 1) // 2
            last, found, value = self._db.execute(
                f"SELECT last, total, {column} FROM segments WHERE last >= ? ORDER BY last LIMIT 1",
                (middle,),
            ).fetchone()
            if value <= limit:
                low, total = last, found
            else:
                high = middle - 1
        return low, total


def _newest_named(names: Sequence[Names], to: int) -> tuple[list[SeqPair], list[int]]:
    """What the names of segments tell of the newest events of each topic and type up to `to`.

    Returns:
        The pairs of segments that have one each; and the last seqs of segments to be decoded. All pairs of the others
        are in segments at higher seqs.
    """
    found: list[SeqPair] = []
    lasts: list[int] = []
    told: dict[str, set[str]] = {}  # by type, the topics of whole segments that were looked at
    for each in reversed(names):
        type, *more_types = names_in(each.types)
        if more_types or each.last > to:
            lasts.append(each.last)
            continue
        known, topics = told.setdefault(type, set()), names_in(each.topics)
        if known.issuperset(topics):
            continue
        known.update(topics)
        if len(topics) == 1:
            found.append((each.last, topics[0], type))
        else:
            lasts.append(each.last)
    return found, lasts


def _all_named(names: Sequence[Names], to: int) -> list[SeqPair]:
    """Each topic with each type of these segments, as if the newest event up to `to` had them."""
    return [
        (min(each.last, to), topic, type)
        for each in names
        for topic in names_in(each.topics)
        for type in names_in(each.types)
    ]


def _newest_of(found: Iterable[SeqPair]) -> list[Pair]:
    """The newest of each topic and type among seqs, topics and types; by seq."""
    newest: dict[tuple[str, str], int] = {}
    for seq, topic, type in found:
        pair = (topic, type)
        if newest.get(pair, -1) < seq:
            newest[pair] = seq
    return [
        Pair(seq, topic, type)
        for (topic, type), seq in sorted(newest.items(), key=operator.itemgetter(1))
    ]


def has_log(db: sqlite3.Connection, epoch: int, head: int) -> bool:
    """Whether the file holds the log of `epoch` up to `head` at least, and is no copy of it. It only reads."""
    row = db.execute(
        "SELECT epoch, is_copy, floor = :head OR EXISTS (SELECT 1 FROM segments WHERE last = :head) FROM log",
        {"head": head},
    ).fetchone()
    return bool(row == (epoch, 0, 1))


def cut(db: sqlite3.Connection, head: int) -> None:
    """Take back what follows `head`: a commit that failed may be in the file all the same.

    Its publishers were told that nothing was published, and nobody saw it. No segment has events of two transactions,
    so none goes in part.
    """
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM segments WHERE last > ?", (head,))
    db.execute("DELETE FROM keys WHERE first > ?", (head,))
    db.execute("DELETE FROM ended WHERE seq > ?", (head,))
    # Written in any case: it is seen here whether the disk takes something again. It changes nothing. The mark of a copy
    # stays above all: without it, a copy would go on in the epoch of its log, and give the same ids.
    db.execute("UPDATE log SET floor = floor")
    db.execute("COMMIT")
