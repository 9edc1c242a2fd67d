"""The open streams: how they go on and end, and what they are told meanwhile. `subscriptions` opens them."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from tocsin.core.wire import HEARTBEAT, jittered_retry_ms
from tocsin.errors import Unavailable
from tocsin.eventlog.entry import Entry
from tocsin.eventlog.journal import History
from tocsin.eventlog.recent import Selection
from tocsin.eventlog.ring import RingBuffer
from tocsin.hub.ahead import Ahead
from tocsin.hub.counters import Counters
from tocsin.hub.group import PIECE_BYTES, Piece, times_of
from tocsin.hub.history_reads import HistoryReads
from tocsin.hub.journal_replays import MAX_READS, Found, JournalReplays, Lost
from tocsin.hub.publishing import Publishing
from tocsin.hub.readers import Expiries, Reader
from tocsin.hub.recent_events import RecentEvents
from tocsin.hub.replay_cache import ReplayCache
from tocsin.hub.states import State
from tocsin.hub.stream import Sent, Stream
from tocsin.hub.stream_limits import StreamLimits
from tocsin.hub.turns import Turn
from tocsin.hub.welcome import encode_busy, encode_ended, encode_presence, iso_time
from tocsin.logs import is_sampled, is_wanted
from tocsin.settings import Settings
from tocsin.sockets import Sockets

STREAMS_SHARE = 0.9
"""Of the time that a drain may take: what the streams have. The rest is for answers that are on their way."""

AGE_SPREAD = 0.2
"""Share of `max_stream_age` by which a stream's life may be shorter: what opened together must not end together."""

GOLDEN_RATIO = 0.6180339887498949

LAST_WORDS_S = 3.0
"""How long a client has to take the last bytes of a stream that it may not have any more."""

LOSING = frozenset({"slow", "error", "journal", "revoked"})
"""Reasons for the end of a stream that are logged in any case."""

log = logging.getLogger("tocsin.streams")


class Streams:
    """The `Log` of all clients' streams.

    Args:
        settings: limits and times.
        publishing: where events come from.
        counters: of the hub.
        clock: Unix time in seconds.

    Attributes:
        streams: the open ones, by the client's number.
        lagging: those of them that are not at the head.
    """

    def __init__(
        self,
        settings: Settings,
        publishing: Publishing,
        counters: Counters,
        clock: Callable[[], float],
    ) -> None:
        self.streams: dict[int, Stream] = {}
        self.lagging: dict[Stream, None] = {}
        self.sockets = Sockets()
        self._settings = settings
        self._publishing = publishing
        self._fan_out = publishing.fan_out
        self._counters = counters
        self._clock = clock
        self._last_number = 0
        self._old_numbers = 0  # streams up to this number are of a log that is no more
        self._presence: dict[Stream, None] = {}
        self._ready: deque[Stream] = deque()  # streams that go on in the loop's next turns
        self._replay_cache = ReplayCache()
        self._limits = StreamLimits(settings)
        reads = HistoryReads(lambda: publishing.history, counters, MAX_READS)
        self._recent_events = RecentEvents(publishing, reads)
        self._replays = JournalReplays(
            publishing,
            reads,
            self._replay_cache,
            self._on_found,
            self._on_not_found,
        )
        self._ahead = Ahead(lambda: publishing.ring.id_at(publishing.ring.head))
        self._expiries = Expiries()
        self._ending: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch the sockets; number clients from where no other process of the log does. It has started."""
        nodes = self._publishing.nodes
        self._last_number = nodes.number_base if nodes else 0
        self.sockets.start()

    @property
    def clients(self) -> int:
        """Open streams, with those of the other processes of the log as they last told."""
        nodes = self._publishing.nodes
        return len(self.streams) + (nodes.clients_elsewhere if nodes else 0)

    def retry_ms(self, spread: float) -> int:
        """A jittered reconnection time, in milliseconds."""
        return jittered_retry_ms(self._settings.retry, spread)

    def expiring(self, seconds: float) -> int:
        """How many streams end within so many seconds because their readers' credentials do."""
        return self._expiries.count_until(self._clock() + seconds, self.streams)

    def limits_used(self) -> dict[str, float]:
        """How much is used of what bounds streams, by the setting: 0 to 1."""
        patterns = self._fan_out.entries / self._settings.max_patterns
        return self._limits.used | {"max_patterns": patterns}

    # --- what a stream asks of its log ------------------------------------------------------------

    def piece_after(self, stream: Stream) -> Piece | None:
        """The next piece at the stream's cursor; None at the head, where it waits, or where it had to be ended."""
        if stream.number <= self._old_numbers:
            self._end(stream)
            return None
        if self._waits_for_its_place(stream):
            if stream.state != State.OPENING:
                stream.become(State.WAITING)
            return None
        ring = self._publishing.ring
        selection = stream.selection
        if selection is not None:
            if stream.cursor < selection.end:
                return self._piece_selected(stream, selection)
            stream.selection = None
        if stream.cursor >= ring.head or self._close_if_lost(stream):
            return None
        piece = self._piece_below_floor(stream)
        if piece is not None:
            return piece
        if self._has_left_window(stream):
            return self._piece_of_journal(stream)
        piece = self._replay_cache.piece(ring, stream.group, stream.cursor)
        if self._is_to_count(stream, piece):
            reading = ring.read(stream.cursor, stream.group.filter, max_bytes=PIECE_BYTES)
            before = [e for e in reading.entries if e.seq <= stream.opened_at_seq]
            self._count_replays(stream, len(before))
        return piece

    def _waits_for_its_place(self, stream: Stream) -> bool:
        """Whether it isn't known yet where `stream` begins."""
        return stream in self._ahead.streams or stream in self._recent_events

    def _piece_selected(self, stream: Stream, selection: Selection) -> Piece | None:
        """The next piece of what was selected for a stream, as `piece_after` says."""
        ring, group, cursor = self._publishing.ring, stream.group, stream.cursor
        piece = self._replay_cache.known(group, cursor, selection)
        if piece is not None:
            return piece
        seqs, newest = selection.seqs or (), self._kept.kept_newest
        at = bisect_right(seqs, cursor)
        entries, size = list[Entry](), 0
        for seq in islice(seqs, at, None):
            entry = ring.kept(seq)
            if entry is None and newest:
                entry = newest.get(seq)
            if entry is None or size >= PIECE_BYTES:
                break
            entries.append(entry)
            size += len(entry.block)
        if not entries:
            if self._publishing.history is None or seqs[at] <= self._kept.floor:
                stream.close("slow")  # it was evicted meanwhile
            elif stream.state != State.OPENING:
                self._replays.add(stream)
            return None
        is_last = at + len(entries) == len(seqs)
        end = selection.end if is_last else entries[-1].seq
        piece = group.piece(entries, end, times_of(entries))
        self._replay_cache.keep(group, cursor, piece, selection)
        return piece

    def _piece_below_floor(self, stream: Stream) -> Piece | None:
        """The next piece of what stays though the log moved on; None where nothing of it is for the stream."""
        kept, cursor, group = self._kept, stream.cursor, stream.group
        if cursor >= kept.floor or not kept.kept_newest:
            return None
        piece = self._replay_cache.known(group, cursor)
        if piece is not None and not self._is_to_count(stream, piece):
            return piece
        entries, looked_to = kept.kept_newest.read(cursor, group.filter, max_bytes=PIECE_BYTES)
        if not entries and looked_to is None:
            return None
        piece = group.piece(
            entries, kept.floor if looked_to is None else looked_to, times_of(entries)
        )
        self._replay_cache.keep(group, cursor, piece)
        if self._is_to_count(stream, piece):
            before = [e for e in entries if e.seq <= stream.opened_at_seq]
            self._count_replays(stream, len(before))
        return piece

    def _has_left_window(self, stream: Stream) -> bool:
        """Whether what comes next for `stream` is in the journal's history alone."""
        ring = self._publishing.ring
        if stream.cursor >= ring.floor or self._publishing.history is None:
            return False
        return ring.has_lost(stream.cursor, stream.group.filter)

    def _piece_of_journal(self, stream: Stream) -> Piece | None:
        """The next piece where it has been read already; else None, and the stream waits for it."""
        piece = self._replay_cache.known(stream.group, stream.cursor)
        if piece is not None and not self._is_to_count(stream, piece):
            return piece
        if stream.state != State.OPENING:  # its opening goes first, and then it asks again
            self._replays.add(stream)
        return None

    def _on_found(self, stream: Stream, found: Found) -> None:
        """Let a stream go on with what was read for it."""
        # It may have come to its turn after a new log began, which was read then.
        if stream.number <= self._old_numbers:
            self._end(stream)
            return
        if self._is_to_count(stream, found.piece):
            self._count_replays(stream, found.count_up_to(stream.opened_at_seq))
        stream.go_on(found.piece)

    def _on_not_found(self, stream: Stream, error: Exception) -> None:
        """End a stream for which nothing was read: it comes back, and is told then of what is lost."""
        if isinstance(error, Lost):
            stream.close("slow")
        elif stream.number <= self._old_numbers:
            self._end(stream)
        elif isinstance(error, Unavailable):
            self._end(stream, error.code, "journal")
        else:
            stream.close("error")

    @property
    def waiting(self) -> int:
        """How many streams wait for a read or a search of the journal, or for an id that this process has not come to."""
        return len(self._replays) + len(self._ahead.streams) + len(self._recent_events)

    @staticmethod
    def _is_to_count(stream: Stream, piece: Piece) -> bool:
        """Whether nobody has counted what is replayed to `stream`, and it ends in `piece`."""
        return stream.replays < 0 and piece.cursor > stream.opened_at_seq

    def _count_replays(self, stream: Stream, in_piece: int) -> None:
        """Note how much is replayed to `stream`, of whose next piece so many events came before it opened."""
        stream.replays = stream.sent_events + in_piece
        self._counters.replayed.observe(stream.replays)

    def on_taken(self, stream: Stream, sent: Sent) -> None:
        """Count what the stream was sent, apart for before and after it opened."""
        now = self._clock()
        if sent.by_pass:
            self._counters.count_late(sent.events, sent.bytes, now, sent.times)
        else:
            live = stream.live_of(sent)
            self._counters.count_read(sent.events, live, sent.bytes, now, sent.times)

    def on_ready(self, stream: Stream) -> None:
        """Let the stream go on in one of the loop's next turns; at the head there is nothing to wait for."""
        is_at_head = stream.cursor >= self._publishing.ring.head and not self._waits_for_its_place(
            stream
        )
        if is_at_head and stream.number > self._old_numbers:
            self.on_caught_up(stream)
            return
        self._ready.append(stream)
        if len(self._ready) == 1:
            asyncio.get_running_loop().call_soon(self._advance)

    def on_caught_up(self, stream: Stream) -> None:
        """Put the stream (back) into the fan-out."""
        if stream.replays < 0:  # no piece led beyond where it opened
            self._count_replays(stream, 0)
        if self._publishing.ended.cover(stream.group.filter):
            self.on_over(stream)
        else:
            self._fan_out.let_in(stream)

    def on_over(self, stream: Stream) -> None:
        """End a stream all of whose topics have ended, and that has what is kept of them."""
        filter, ended = stream.group.filter, self._publishing.ended.of(stream.group.filter)
        # Behind a final event that it got it was told; and of what had ended before it began as it opened, unless all
        # had: then it is told now, behind what was kept for it.
        was_over = ended[-1][1].seq <= stream.opened_at_seq
        untold = [
            (topic, final)
            for topic, final in ended
            if (
                was_over
                if final.seq <= stream.began_at
                else filter.types and final.type not in filter.types
            )
        ]
        before = stream.sent_bytes
        stream.end("ended", encode_ended(untold, self._publishing.ring))
        self._counters.sent_bytes["control"] += stream.sent_bytes - before

    def on_closed(self, stream: Stream, reason: str) -> None:
        """Forget the stream, and say so."""
        del self.streams[stream.number]
        self._limits.remove(stream.number)
        self._presence.pop(stream, None)
        self._ahead.discard(stream)
        self._recent_events.discard(stream)
        self._replays.discard(stream)
        undelivered = stream.undelivered
        self._fan_out.leave(stream.group)
        duration_s = asyncio.get_running_loop().time() - stream.opened_at
        self._counters.count_closed(reason, duration_s, undelivered)
        is_shown = reason in LOSING or is_sampled(stream.number)
        if is_shown and is_wanted(log, "stream closed"):
            self._log_closed(stream, reason, duration_s)

    def _advance(self) -> None:
        """Let streams go on, those first that waited longest, until the turn is over."""
        turn = Turn()
        while True:
            stream = self._ready[0]
            try:
                stream.advance()
            except Exception:  # a bug, of which the other streams must not suffer
                log.exception("a stream failed; it is closed, and resumes")
                stream.close("error")
            self._ready.popleft()
            if not self._ready:
                return
            if turn.is_over:
                break
        asyncio.get_running_loop().call_soon(self._advance)

    @property
    def _kept(self) -> History | RingBuffer:
        """What loss is judged by: all that is kept of the log, in memory or not."""
        return self._publishing.history or self._publishing.ring

    def _close_if_lost(self, stream: Stream) -> bool:
        """Close a stream whose next events are gone: it comes back, and is told of the gap.

        Only what was evicted since the last look is looked at.
        """
        kept, filter = self._kept, stream.group.filter
        looked_to = max(stream.cursor, stream.looked_to)
        if stream.selection is not None:  # up to its end only what was selected is missed
            looked_to = max(looked_to, stream.selection.end)
        if looked_to >= kept.floor:
            return False
        # The window may have what the history counts as gone already.
        if self._publishing.ring.has_lost(looked_to, filter) and kept.has_lost(looked_to, filter):
            stream.close("slow")
            return True
        # What stays below the floor may still be evicted: it is looked at again, until the stream has it.
        newest, floor = kept.kept_newest, kept.floor
        stream.looked_to = newest.clear_to(looked_to, filter, floor) if newest else floor
        return False

    # --- timers -----------------------------------------------------------------------------------

    async def send_heartbeats(self) -> None:
        """Send a comment to every stream at the head, or that waits; a lagging one has bytes under way anyway."""
        turn = Turn()
        for stream in tuple(self.streams.values()):
            before = stream.sent_bytes
            self._counters.heartbeats += stream.beat(HEARTBEAT)
            self._counters.sent_bytes["heartbeat"] += stream.sent_bytes - before
            if turn.is_over:
                await turn.next()

    async def tick(self) -> None:
        """Once a second: evict by age, close the slow, end the old, tell who asked and other processes how many there are."""
        self._publishing.expire()
        self._counters.sample(asyncio.get_running_loop().time())
        if self._publishing.nodes:
            self._publishing.nodes.report(len(self.streams))
        self._replay_cache.clear()
        self._recent_events.forget()
        await self._end_each(self._expiries.take(self._clock(), self.streams), "expired")
        await self._close_slow()
        await self._end_old()
        await self._tell_presence()

    async def _close_slow(self) -> None:
        turn = Turn()
        for stream in tuple(self.lagging):
            if stream.state != State.CLOSED and not self._close_if_lost(stream):
                self._close_if_stalled(stream)
            if turn.is_over:
                await turn.next()

    def _close_if_stalled(self, stream: Stream) -> None:
        """Close a lagging stream for which no byte left for as long as a slow client has.

        A stream that waits for the journal isn't slow: reads end in bounded time.
        """
        now = asyncio.get_running_loop().time()
        if stream.has_moved() or stream.state == State.WAITING:
            stream.stalled_at = now
        elif stream.stalled_at < now - self._settings.slow_client_timeout:
            stream.close("slow")

    async def _end_old(self) -> None:
        """End the streams that have lived for `max_stream_age`, each at an age of its own; they come back.

        Only those are looked at that could be old enough: the streams are in the order of their opening.
        """
        age_s, now = self._settings.max_stream_age, asyncio.get_running_loop().time()
        turn = Turn()
        for stream in tuple(self.streams.values()) if age_s else ():
            lived_s = now - stream.opened_at
            if lived_s < age_s * (1 - AGE_SPREAD):
                break
            # Multiples of the golden ratio, less their whole parts, lie evenly however many there are.
            if lived_s >= age_s * (1 - AGE_SPREAD * (stream.number * GOLDEN_RATIO % 1)):
                self._end(stream, "age", "age")
            if turn.is_over:
                await turn.next()

    async def _tell_presence(self) -> None:
        turn = Turn()
        clients = self.clients
        block = encode_presence(clients, iso_time(self._clock())) if self._presence else b""
        for stream in tuple(self._presence):
            before = stream.sent_bytes
            if stream.presence != clients and stream.tell(block):
                stream.presence = clients
            self._counters.sent_bytes["control"] += stream.sent_bytes - before
            if turn.is_over:
                await turn.next()

    # --- the end ----------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Tell each stream when to come back, and end them all within `drain_timeout`.

        Reconnection times are spread, so that the next process isn't met by everybody at once.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.drain_timeout * STREAMS_SHARE
        await self._end_all()
        while self.streams and loop.time() < deadline:
            await asyncio.sleep(0.01)
        turn = Turn()
        for stream in tuple(self.streams.values()):
            stream.close("shutdown")
            if turn.is_over:
                await turn.next()
        await self._replays.stop()
        await self._recent_events.stop()

    def reset(self) -> None:
        """End the streams of a log that is no more; they resume in the new one, and are told of the gap."""
        self._replay_cache.clear()
        self._old_numbers = self._last_number
        self._ending = asyncio.ensure_future(self._end_all(self._old_numbers))

    async def end_where(self, is_over: Callable[[Reader], bool], reason: str) -> None:
        """End the streams, for `reason`, of the readers of whom `is_over` says so."""
        await self._end_each(
            [each for each in self.streams.values() if each.reader and is_over(each.reader)], reason
        )

    async def _end_each(self, streams: Sequence[Stream], reason: str) -> None:
        turn = Turn()
        for stream in streams:
            self.end_for(stream, reason)
            if turn.is_over:
                await turn.next()

    def end_for(self, stream: Stream, reason: str) -> None:
        """End `stream` for `reason`, which it is told; where that doesn't reach it, it is cut off.

        It gets nothing that was published after this.
        """
        self._end(stream, reason, reason)
        if stream.state != State.CLOSED:
            asyncio.get_running_loop().call_later(LAST_WORDS_S, stream.close, reason)

    async def _end_all(self, up_to: int | None = None) -> None:
        """End the streams up to that number, in turns; all of them where there is none."""
        turn = Turn()
        for stream in tuple(self.streams.values()):
            if up_to is None or stream.number <= up_to:
                self._end(stream)
            if turn.is_over:
                await turn.next()

    def _end(self, stream: Stream, reason: str = "", closed: str = "shutdown") -> None:
        """Tell `stream` to come back, and end it.

        Args:
            stream: that is to end.
            reason: as its client is told; by default that the hub stops, or begins a new log.
            closed: as it is counted.
        """
        before = stream.sent_bytes
        reason = reason or ("draining" if self._publishing.draining else "restart")
        stream.end(closed, encode_busy(reason, self.retry_ms(3.0)))
        self._counters.sent_bytes["control"] += stream.sent_bytes - before

    def _log_closed(self, stream: Stream, reason: str, duration_s: float) -> None:
        log.info(
            "stream closed",
            extra={
                "client": stream.number,
                "reason": reason,
                "duration_s": round(duration_s, 3),
                "events": stream.taken_events,
                "bytes": stream.sent_bytes,
                "clients": len(self.streams),
                "cursor": str(self._publishing.ring.id_at(stream.taken_cursor)),
            },
        )
