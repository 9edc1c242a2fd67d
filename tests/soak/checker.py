"""Says what is wrong with a history, in time linear in its events and deliveries.

First the log of each epoch is put together: what publishers were told, and what of the unknown subscribers
saw. Then each connection is held against it: behind its welcome lie exactly the events of its filter. What
a welcome skips must have been told as a gap, and told truly. Where the newest events of some topics stay, what lies
behind such a welcome has holes: nothing may be missing in them that stays.

A seq that nobody knows is a *hole*: an event of a POST with an unknown outcome that nobody received. It may
match any filter.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import compress, pairwise

from tests.soak.history import (
    ACKNOWLEDGED,
    REFUSED,
    UNKNOWN,
    Asked,
    Connection,
    History,
    Id,
    Subscriber,
    Welcome,
)

HOLE = 255
"""The kind of an event that nobody knows."""


def check(history: History) -> list[str]:
    """The faults of `history`, each as a line that says who met it and where; none is as it should be."""
    return Checker(history).check()


class Checker:
    """One check of one history.

    Attributes:
        faults: what was found so far.
        holes: how many events nobody knows.
        seen_unknown: how many events with an unknown outcome some subscriber received.
    """

    def __init__(self, history: History) -> None:
        self.faults: list[str] = []
        self.holes = 0
        self.seen_unknown = 0
        self._history = history
        self._published = history.published
        self._placed: dict[int, Id] = {}  # unknown tokens that were received, and where
        self._logs: dict[int, array[int]] = {}  # epoch -> by seq, the token; -1 is a hole
        self._kinds: dict[int, bytes] = {}  # epoch -> by seq, the kind
        self._matching: dict[tuple[Asked | None, int], array[int]] = {}

    def check(self) -> list[str]:
        """Check all, and return the faults."""
        self._read_acknowledged()
        for subscriber in self._history.subscribers:
            self._read_received(subscriber)
        self._find_kinds()
        for subscriber in self._history.subscribers:
            self._check_subscriber(subscriber)
        return self.faults

    # --- the log, as publishers and subscribers know it -------------------------------------------

    def _read_acknowledged(self) -> None:
        """Place what was acknowledged. Each publisher's ids must rise in the order it published."""
        published = self._published
        last: dict[int, Id] = {}
        for token in compress(range(len(published)), published.outcomes):
            if published.outcomes[token] == REFUSED:
                continue
            id = published.epochs[token], published.seqs[token]
            publisher = published.publishers[token]
            if id <= last.get(publisher, (0, 0)):
                self.faults.append(f"publisher {publisher}: told {id} after {last[publisher]}")
            last[publisher] = id
            self._place(id, token, f"publisher {publisher}")

    def _read_received(self, subscriber: Subscriber) -> None:
        """Look up what was received; place what publishers don't know the id of."""
        for number, connection in enumerate(subscriber.connections):
            start, end = _bounds(subscriber, number)
            if not connection.welcome or start == end:
                continue
            epoch = connection.welcome.id[0]
            log = self._log(epoch)
            for seq, token in zip(
                subscriber.seqs[start:end], subscriber.tokens[start:end], strict=True
            ):
                if seq >= len(log) or log[seq] != token:
                    self._learn((epoch, seq), token, f"{subscriber.name}, connection {number}")

    def _learn(self, id: Id, token: int, who: str) -> None:
        """`who` received `token` as `id`, which no publisher was told."""
        if token >= len(self._published):
            self.faults.append(f"{who}: {id} was published by nobody, token {token}")
        elif self._published.outcomes[token] == ACKNOWLEDGED:
            self.faults.append(f"{who}: {id} is not the id that its publisher was told")
        elif self._published.outcomes[token] == REFUSED:
            self.faults.append(f"{who}: {id} was refused, and received")
        elif token in self._placed:
            self.faults.append(f"{who}: {id} and {self._placed[token]} are one event")
        else:
            self._placed[token] = id
            self.seen_unknown += 1
            self._place(id, token, who)

    def _place(self, id: Id, token: int, who: str) -> None:
        epoch, seq = id
        if not 0 < seq <= len(self._published):
            self.faults.append(f"{who}: {id}, where {len(self._published)} events are known")
            return
        log = self._log(epoch)
        log.extend([-1] * (seq + 1 - len(log)))
        if log[seq] >= 0:
            self.faults.append(f"{who}: {id} is the id of two events")
        log[seq] = token

    def _log(self, epoch: int) -> array[int]:
        return self._logs.setdefault(epoch, array("l", [-1]))

    def _find_kinds(self) -> None:
        """Find the kind of each event of each log, and count the holes."""
        of_kind = self._published.of_kind
        for epoch, log in self._logs.items():
            self._kinds[epoch] = bytes([HOLE if token < 0 else of_kind[token] for token in log])
            self.holes += self._kinds[epoch].count(HOLE) - 1  # seq 0 is no event
        unseen = self._published.outcomes.count(UNKNOWN) - len(self._placed)
        if self.holes > unseen:
            self.faults.append(f"{self.holes} ids are of no event, and {unseen} may be")

    def _matches(self, asked: Asked | None, epoch: int) -> array[int]:
        """The seqs of `epoch` that `asked` lets through, in order; with None those of the holes."""
        if (asked, epoch) not in self._matching:
            kinds = self._kinds.get(epoch, b"")[1:]
            known = [asked is not None and asked.matches(*each) for each in self._published.kinds]
            table = bytes([*known, *[False] * (HOLE - len(known)), asked is None])
            seqs = compress(range(1, len(kinds) + 1), kinds.translate(table))
            self._matching[asked, epoch] = array("I", seqs)
        return self._matching[asked, epoch]

    # --- each connection against the log ----------------------------------------------------------

    def _check_subscriber(self, subscriber: Subscriber) -> None:
        cursor: Id | None = None
        for number, connection in enumerate(subscriber.connections):
            who = f"{subscriber.name} {subscriber.asked}, connection {number}"
            self.faults += [f"{who}: {odd}" for odd in connection.odd]
            if connection.requested != cursor:
                self.faults.append(f"{who}: asked for {connection.requested}, being at {cursor}")
            if not connection.welcome:
                continue
            wrong = self._wrong_with_beginning(connection, connection.welcome, subscriber.asked)
            if wrong:
                self.faults.append(f"{who}: {wrong}: {connection}")
            wrong = self._wrong_with_replayed(connection, connection.welcome, subscriber.asked)
            if wrong:
                self.faults.append(f"{who}: {wrong}: {connection}")
            start, end = _bounds(subscriber, number)
            cursor = connection.welcome.id
            if start < end:
                received = subscriber.seqs[start:end]
                if self._history.keep_newest and connection.welcome.missed != 0:
                    wrong = self._wrong_with_holes(connection, subscriber.asked, received)
                    if wrong:
                        self.faults.append(f"{who}: {wrong}: {connection}")
                else:
                    self._check_received(who, subscriber, cursor, received)
                cursor = cursor[0], subscriber.seqs[end - 1]
        self._check_end(subscriber, cursor)

    def _wrong_with_beginning(
        self, connection: Connection, welcome: Welcome, asked: Asked
    ) -> str | None:
        """What is wrong with where a connection begins, and with what it is told of that."""
        requested, gap = connection.requested, connection.gap
        if welcome.resumed != (requested is not None):
            return "`resumed` is wrong"
        if requested is None or welcome.missed == 0:
            if welcome.missed != 0 or gap:
                return "a gap is told and denied"
            if requested not in (None, welcome.id):
                return "it goes on elsewhere, and no gap is told"
            return None
        # A client that is cut behind the welcome gets no `gap`, but knows by the welcome.
        if gap and (gap.missed, gap.requested) != (welcome.missed, requested):
            return "the gap is not the welcome's"
        oldest = (None, _next(welcome.id))  # None: the history is empty
        if gap and gap.oldest not in oldest and not self._history.keep_newest:
            return "`oldest` is not where it goes on"
        if requested[0] == welcome.id[0]:
            return self._wrong_with_evicted(connection, welcome, requested, asked)
        if requested > welcome.id or (gap and gap.reason != "restart") or welcome.missed:
            return "no restart can be so"
        return None

    def _wrong_with_evicted(
        self, connection: Connection, welcome: Welcome, requested: Id, asked: Asked
    ) -> str | None:
        """What is wrong with a gap within one epoch."""
        (epoch, floor), gap = welcome.id, connection.gap
        if gap and gap.reason != "evicted":
            return "the reason is wrong"
        if self._history.keep_newest:  # what is missing is known by what comes
            return None
        if welcome.missed != (floor - requested[1] if asked.is_everything else None):
            return "`missed` is wrong"
        for seqs in self._matches(asked, epoch), self._matches(None, epoch):
            if bisect_right(seqs, floor) > bisect_right(seqs, requested[1]):
                return None
        return "nothing is missing, and a gap is told"

    def _wrong_with_replayed(
        self, connection: Connection, welcome: Welcome, asked: Asked
    ) -> str | None:
        """What is wrong with how many events are to be replayed.

        They are those that were in the log when the connection was opened: at least what was
        acknowledged before, and at most what ever came to be in it.
        """
        (epoch, cursor), (newest_epoch, newest) = welcome.id, connection.newest
        if welcome.replayed is None:
            return None
        if connection.requested is None:
            return None if welcome.replayed == 0 else "a newcomer gets a replay"
        matching = self._matches(asked, epoch)
        passed = bisect_right(matching, cursor)
        if self._history.keep_newest and welcome.missed != 0:
            newest = 0  # it has holes
        if welcome.replayed > len(matching) - passed + self.holes:
            return "it replays more than there is"
        if newest_epoch == epoch and welcome.replayed < bisect_right(matching, newest) - passed:
            return "it replays less than there is"
        return None

    def _check_received(
        self, who: str, subscriber: Subscriber, begin: Id, received: array[int]
    ) -> None:
        """Behind the welcome, up to the last event received, lie exactly those asked for."""
        epoch, cursor = begin
        matching = self._matches(subscriber.asked, epoch)
        start = bisect_right(matching, cursor)
        expected = matching[start : bisect_right(matching, max(received))]
        if expected == received:
            return
        if any(after <= before for before, after in pairwise(received)):
            self.faults.append(f"{who}: out of order or repeated")
        lost = sorted(set(expected).difference(received))
        wrong = sorted(set(received).difference(expected))
        if lost:
            self.faults.append(f"{who}: {len(lost)} lost of {epoch}, from {lost[0]} to {lost[-1]}")
        if wrong:
            self.faults.append(f"{who}: {len(wrong)} not asked for of {epoch}, first {wrong[0]}")

    def _wrong_with_holes(
        self, connection: Connection, asked: Asked, received: array[int]
    ) -> str | None:
        """What is wrong with what came behind a gap, where the newest of some topics stay.

        First comes what stays of what is gone, then all. From the first event on that is on another topic, it is all.
        """
        assert connection.welcome
        (epoch, begin), keep = connection.welcome.id, self._history.keep_newest
        matching, got = self._matches(asked, epoch), set(received)
        if any(after <= before for before, after in pairwise((begin, *received))):
            return "out of order, repeated or from before the welcome"
        if not got.issubset(matching):
            return "something that was not asked for"
        is_same_log = connection.requested and connection.requested[0] == epoch
        requested = connection.requested[1] if is_same_log and connection.requested else 0
        passed = bisect_right(matching, requested)
        expected = matching[passed : bisect_right(matching, received[-1])]
        lost = [seq for seq in expected if seq not in got]
        others = [seq for seq in received if self._topic(epoch, seq) not in keep]
        if lost and others and others[0] < lost[-1]:
            return f"{lost[-1]} is lost behind {others[0]}"
        for seq in lost:
            topic = self._topic(epoch, seq)
            newer = self._matches(Asked(topics=(topic,)), epoch)
            if len(newer) - bisect_right(newer, seq) < keep.get(topic, 0):
                return f"{seq} is lost, and is one of the newest on {topic}"
        if others and is_same_log:
            missing = others[0] - requested - bisect_right(received, others[0])
            if asked.is_everything and connection.welcome.missed != missing:
                return f"`missed` is wrong: {missing}"
            if not lost and not self._matches(None, epoch):
                return "nothing is missing, and a gap is told"
        return None

    def _topic(self, epoch: int, seq: int) -> str:
        """The topic of an event that is known."""
        return self._published.kinds[self._kinds[epoch][seq]][0]

    def _check_end(self, subscriber: Subscriber, cursor: Id | None) -> None:
        """At the end every subscriber has read all that is for it."""
        if self._history.end is None:
            return
        epoch, seq = self._history.end
        matching = self._matches(subscriber.asked, epoch)
        upto = bisect_right(matching, seq)
        if upto and (cursor is None or cursor < (epoch, matching[upto - 1])):
            self.faults.append(
                f"{subscriber.name} {subscriber.asked}: ends at {cursor},"
                f" {matching[upto - 1]} of {epoch} never came"
            )


def _bounds(subscriber: Subscriber, number: int) -> tuple[int, int]:
    """Where the deliveries of a connection begin and end."""
    connections = subscriber.connections
    is_last = number + 1 == len(connections)
    end = len(subscriber.seqs) if is_last else connections[number + 1].start
    return connections[number].start, end


def _next(id: Id) -> Id:
    return id[0], id[1] + 1
