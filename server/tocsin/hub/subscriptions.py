"""How streams begin: who is let in, and where each of them starts. `streams` has what comes then."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from tornado.iostream import IOStream

from tocsin.core.event import EventId
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.core.wire import encode_retry
from tocsin.errors import Busy
from tocsin.eventlog.journal.ended import Final
from tocsin.eventlog.recent import Recent, Selection
from tocsin.eventlog.resume import (
    Resume,
    count_after,
    from_start,
    id_ahead,
    known_id,
    resolve,
)
from tocsin.hub.connection import Connection, connect
from tocsin.hub.counters import Counters
from tocsin.hub.group import Group, Piece
from tocsin.hub.publishing import Publishing
from tocsin.hub.readers import Reader
from tocsin.hub.stream import Stream
from tocsin.hub.streams import Streams, log
from tocsin.hub.welcome import encode_ended, encode_welcome, iso_time
from tocsin.logs import is_sampled, is_wanted
from tocsin.settings import Settings

SHOWN = 5
"""Topics, types and ids of one client that a line names."""

SHOWN_CHARACTERS = 128
"""Of what a client says of itself."""


class Asked(NamedTuple):
    """What a client asked for, and who it is: see `Subscriptions.open`."""

    last_event_id: str | Sequence[str]
    ignored: Sequence[str]
    recent: Recent | None
    address: str
    agent: str


class Subscriptions(Streams):
    """The `Log` of all clients' streams, with the way in.

    Args:
        settings, publishing, counters, clock: as for `Streams`.
        clients_limit: how many streams may be open.
    """

    def __init__(
        self,
        settings: Settings,
        publishing: Publishing,
        counters: Counters,
        clock: Callable[[], float],
        clients_limit: int,
    ) -> None:
        super().__init__(settings, publishing, counters, clock)
        self._clients_limit = clients_limit

    def refuses(self, filter: Filter, chunked: bool = True) -> str:
        """Why one more stream of `filter` isn't opened: ``full``, ``draining``, ``patterns``; or empty."""
        if self._publishing.is_over:
            return "draining"
        if len(self.streams) >= self._clients_limit:
            return "full"
        if self._fan_out.entries_with(filter, chunked) > self._settings.max_patterns:
            return "patterns"
        return ""

    def has_all(self, filter: Filter, last_event_id: str | Sequence[str]) -> bool:
        """Whether a client with this id, or these, has all that ever comes for `filter`: it needn't come back.

        All its topics have ended, and the id, of this log, is at or behind every final event; or nothing that is of its
        types follows it.
        """
        publishing = self._publishing
        ended, ring = publishing.ended, publishing.ring
        if not ended.cover(filter):
            return False
        known = known_id(last_event_id, ring)
        if known is None:
            return False
        if known.seq >= ended.of(filter)[-1][1].seq:
            return True
        is_kept = not (self._kept.has_lost(known.seq, filter) or ring.has_lost(known.seq, filter))
        return is_kept and count_after(known.seq, ring, filter, self._kept) == 0

    def open(
        self,
        connection: socket.socket | IOStream,
        filter: Filter,
        last_event_id: str | Sequence[str],
        head: bytes,
        chunked: bool,
        presence: bool,
        ignored: Sequence[str],
        address: str = "",
        reader: Reader | None = None,
        recent: Recent | None = None,
        agent: str = "",
    ) -> Stream:
        """Open a stream over a connection, and send its opening.

        The opening is: `head`, the reconnection time, the welcome event `connection`, the event
        `gap` if something was missed, and the first piece of the replay. Where the client names an id that
        only other processes have yet, the first two go at once, and the others when this one has it too; so it is
        where the journal is searched for recent events.

        Args:
            connection: connected and non-blocking. The hub owns and closes it from here on.
            filter: what the stream gets.
            last_event_id: as the client sent it, whatever it holds, or all that it sent in several places;
                empty begins at the head.
            head: the HTTP answer's head, sent before the first byte of the body.
            chunked: whether the body is chunked.
            presence: whether the stream also gets `presence` events.
            ignored: what the client asked for and nobody knows; the welcome names it.
            address: that it counts for; an empty one isn't limited.
            reader: who asks, and for how long; None where everybody may do everything.
            recent: what it gets first if it has nothing of this log; None is nothing.
            agent: what the client says that it is, for the log.

        Raises:
            Busy: no stream is opened now; the connection is as it was, and still the caller's.
        """
        name = reader.name if reader else ""
        reason = self.refuses(filter, chunked) or self._limits.refuses(name, address)
        if reason:
            self._counters.rejected[reason] += 1
            if is_wanted(log, "stream refused"):
                extra: dict[str, object] = {"reason": reason, "principal": name}
                extra |= _shown(filter, Asked(last_event_id, ignored, recent, address, agent))
                log.info("stream refused", extra=extra)
            raise Busy(reason, self.retry_ms(3.0))
        whose = (reader, address)
        ahead = self._id_ahead(last_event_id)
        resume = None if ahead else self._resolve(last_event_id, filter, recent)
        asked = Asked(last_event_id, ignored, recent, address, agent)
        if resume is None:
            return self._open_waiting(
                connection, filter, asked, ahead, head, chunked, presence, whose
            )
        number, clients = self._last_number + 1, self.clients + 1
        welcome = self._welcome(resume, number, clients, ignored, filter, reader)
        welcome += self._ended_before(resume, filter)
        opening = encode_retry(self.retry_ms(1.5)) + welcome
        connected = connect(connection, self.sockets)
        try:
            group = self._fan_out.join(filter, chunked, self._counters)
        except BaseException:
            connected.close(reset=True)
            raise
        stream = self._new_stream(connected, group, resume.cursor, presence, whose)
        stream.opened_at_seq = self._publishing.ring.head
        stream.selection = resume.selection
        self._counters.count_opened(resume.resumed)
        try:
            self._note(stream, resume, asked)
            self._start(stream, head + group.framed(opening))
        except BaseException:
            stream.close("error")
            raise
        return stream

    def _open_waiting(
        self,
        connection: socket.socket | IOStream,
        filter: Filter,
        asked: Asked,
        ahead: EventId | None,
        head: bytes,
        chunked: bool,
        presence: bool,
        whose: tuple[Reader | None, str],
    ) -> Stream:
        """Open a stream, and send what can be said before it is known where it begins.

        It waits until this process has `ahead`, or, where that is None, for a search of the journal.
        """
        connected = connect(connection, self.sockets)
        # Until it is known where it begins, nothing is for it: so it has a group that is given nothing.
        group = Group[Stream](filter, chunked, self._publishing.ring.head, self._counters)
        stream = self._new_stream(connected, group, group.mark.cursor, presence, whose)
        self._counters.count_opened(ahead is not None)
        if ahead:
            self._ahead.add(stream, ahead, lambda: self._arrive(stream, asked))
        else:
            self._search(stream, asked)
        try:
            self._start(stream, head + group.framed(encode_retry(self.retry_ms(1.5))))
        except BaseException:
            stream.close("error")
            raise
        return stream

    def _id_ahead(self, last_event_id: str | Sequence[str]) -> EventId | None:
        """The id that a client names and only other processes may have yet; None where there are none."""
        history = self._publishing.history
        if not (history and history.may_be_ahead):
            return None
        return id_ahead(last_event_id, self._publishing.ring)

    def _new_stream(
        self,
        connected: Connection,
        group: Group[Stream],
        cursor: int,
        presence: bool,
        whose: tuple[Reader | None, str],
    ) -> Stream:
        """A stream for a reader at an address, which it counts for."""
        reader, address = whose
        self._last_number += 1
        now = asyncio.get_running_loop().time()
        stream = Stream(self._last_number, connected, self, group, cursor=cursor, now=now)
        self.streams[stream.number] = stream
        self._limits.add(stream.number, reader.name if reader else "", address)
        if reader:
            stream.reader = reader
            self._expiries.add(stream)
        if presence:
            self._presence[stream] = None
            stream.presence = self.clients
        return stream

    def _start(self, stream: Stream, opening: bytes) -> None:
        self._counters.sent_bytes["control"] += len(opening)
        stream.start(opening, self.piece_after(stream))

    def _resolve(
        self,
        last_event_id: str | Sequence[str],
        filter: Filter,
        recent: Recent | None,
        found: Selection | None = None,
    ) -> Resume | None:
        """Where a stream begins; None where the journal has to be searched first, and `found` isn't what it gave."""
        ring = self._publishing.ring
        history = self._publishing.history
        resume = resolve(last_event_id, ring, filter, history)
        if recent is None or not resume.begins_anew:
            if resume.resumed or not self._publishing.ended.cover(filter):
                return resume
            return from_start(ring, filter, history)
        selection = found or self._recent_events.find(filter, recent)
        if selection is None:
            return None
        later = count_after(selection.end, ring, filter, self._kept)
        return resume.with_recent(selection, ring, later)

    def _search(self, stream: Stream, asked: Asked) -> None:
        """Let a stream wait for a search of the journal."""
        assert asked.recent

        def begin(found: Selection | Exception) -> None:
            if isinstance(found, Exception):
                self._on_not_found(stream, found)
            else:
                self._arrive(stream, asked, found)

        self._recent_events.add(stream, stream.group.filter, asked.recent, begin)

    def _note(self, stream: Stream, resume: Resume, asked: Asked) -> None:
        """Note where a stream begins that was just resolved."""
        kept = self._kept
        is_sparse = bool(kept.kept_newest) and resume.selection is None
        # `resolve` has looked; but what stays below the floor may still be evicted before it is sent.
        stream.looked_to = min(resume.cursor, kept.floor) if is_sparse else kept.floor
        stream.replays = -1 if resume.replayed is None else resume.replayed
        self._counters.count_resumed(resume)
        is_shown = resume.gap is not None or is_sampled(stream.number)
        if is_shown and is_wanted(log, "stream opened"):
            self._log_opened(stream, resume, asked)

    def _arrive(self, stream: Stream, asked: Asked, found: Selection | None = None) -> None:
        """Tell a stream that has waited where it begins: this process has its id, or won't have it; or `found` is there."""
        if stream.number <= self._old_numbers:
            self._end(stream)
            return
        filter, chunked = stream.group.filter, stream.group.chunked
        if self._fan_out.entries_with(filter, chunked) > self._settings.max_patterns:
            self._end(stream, "patterns")
            return
        resume = self._resolve(asked.last_event_id, filter, asked.recent, found)
        if resume is None:
            self._search(stream, asked)
            return
        stream.group = self._fan_out.join(filter, chunked, self._counters)
        stream.place(resume.cursor, self._publishing.ring.head)
        stream.selection = resume.selection
        self._note(stream, resume, asked)
        clients = self.clients
        welcome = self._welcome(
            resume, stream.number, clients, asked.ignored, filter, stream.reader
        )
        welcome += self._ended_before(resume, filter)
        framed = stream.group.framed(welcome)
        self._counters.sent_bytes["control"] += len(framed)
        stream.go_on(Piece(framed, resume.cursor, 0))

    def _ended_before(self, resume: Resume, filter: Filter) -> bytes:
        """The events `end` of topics that a stream names, and that ended before where it begins.

        A stream all of whose topics have ended is told behind what it gets: see `on_over`.
        """
        ended = self._publishing.ended
        floor = self._kept.floor
        told = [
            (topic, final)
            for topic, final in ended.of(filter)
            if final.seq <= max(resume.cursor, floor) and not self._comes(final, resume, filter)
        ]
        if ended.cover(filter):  # only of what will not come any more, though others do that stay
            told = [
                each for each in told if each[1].seq > resume.cursor and _is_of(filter, each[1])
            ]
        return encode_ended(told, self._publishing.ring)

    def _comes(self, final: Final, resume: Resume, filter: Filter) -> bool:
        """Whether a final event, up to the floor of the log, stays and comes to a stream that begins so."""
        newest = self._kept.kept_newest
        if final.seq <= resume.cursor or not _is_of(filter, final) or not newest:
            return False
        if resume.selection is not None:
            return final.seq in (resume.selection.seqs or ())
        return newest.get(final.seq) is not None

    def opening_of_internal(self) -> bytes:
        """What an internal stream is told first; it is no client, and has no number."""
        resume = resolve("", self._publishing.ring, EVERYTHING)
        return encode_retry(self.retry_ms(1.5)) + self._welcome(resume, 0, self.clients)

    def _welcome(
        self,
        resume: Resume,
        number: int,
        clients: int,
        ignored: Sequence[str] = (),
        filter: Filter = EVERYTHING,
        reader: Reader | None = None,
    ) -> bytes:
        """The events that tell a stream where it begins."""
        return encode_welcome(
            number=number,
            clients=clients,
            timestamp=iso_time(self._clock()),
            heartbeat=self._settings.heartbeat,
            resume=resume,
            ignored=ignored,
            topics=(sorted(filter.patterns) or ("*",)) if reader else (),
            reads_everything=reader is None or reader.reads_everything,
        )

    def _log_opened(self, stream: Stream, resume: Resume, asked: Asked) -> None:
        extra: dict[str, object] = {"client": stream.number, "clients": len(self.streams)}
        if stream.reader and stream.reader.name:
            extra["principal"] = stream.reader.name
        extra |= _shown(stream.group.filter, asked)
        extra["cursor"] = str(self._publishing.ring.id_at(resume.cursor))
        if resume.resumed:
            extra["replayed"] = resume.replayed
        if resume.gap:
            extra |= {"gap": resume.gap.reason, "missed": resume.gap.missed}
        log.info("stream opened", extra=extra)


def _is_of(filter: Filter, final: Final) -> bool:
    """Whether a final event is of the types that `filter` asks for."""
    return not filter.types or final.type in filter.types


def _shown(filter: Filter, asked: Asked) -> dict[str, object]:
    """What a client asked for, for the log; what it may say at any length is cut."""
    ids = asked.last_event_id
    ids = (ids,) if isinstance(ids, str) else ids
    shown = {
        "address": asked.address,
        "topics": _some(filter.patterns),
        "types": _some(filter.types),
        "last_id": ",".join(ids[:SHOWN])[:SHOWN_CHARACTERS],
        "agent": asked.agent[:SHOWN_CHARACTERS],
    }
    return {name: value for name, value in shown.items() if value}


def _some(names: Collection[str]) -> str:
    """The first of `names`, and how many more there are."""
    found = sorted(names)
    rest = len(found) - SHOWN
    return ",".join(found[:SHOWN]) + (f",+{rest}" if rest > 0 else "")
