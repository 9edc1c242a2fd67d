"""The fan-out: gives what is new to the groups it is for, and sends it to their streams in passes.

A pass sends each stream *everything* that is new to it in one system call, so the work per burst is one
call a client, and batches grow by themselves as load grows. It goes in slices, between which the loop gets
its turn: both giving events to groups (thousands of groups may ask for each of a thousand events) and
sending. It knows neither the ring nor who may publish.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress
from time import perf_counter

from tocsin.core.filters import Filter
from tocsin.core.wire import chunk
from tocsin.eventlog.entry import Entry
from tocsin.hub.counters import Counters
from tocsin.hub.delivery_latency import DeliveryLatency
from tocsin.hub.group import Batch, Group, Mark
from tocsin.hub.states import State
from tocsin.hub.stream import Sent, Stream, deliver_all
from tocsin.hub.subscription_index import SubscriptionIndex, canonical, entries_of

SLICE = 250
"""Streams sent to before the loop gets a turn: about a millisecond of system calls."""

SLICE_S = 0.005
"""How long a slice may last. By time and not by bytes: where a slice gets shorter because there is more to send, more
is published before the pass is over, and the next one has still more to send. (Tried: p50 was 1.1 s.)"""

PART = 50
"""Streams sent to before the clock is looked at: a millisecond where each gets 64 KiB."""

ONE_BYTES = 8 * 1024
"""Of one event for a small group, for which no slice is cut."""

ROUTED_AT_ONCE = 5_000
"""Groups that are given events before the loop gets a turn, counted once for each event: 1 ms."""

GIVEN_AT_ONCE = 100
"""Events that are given to their groups one by one: those of a turn's publishers. More are a batch, mostly alike."""

log = logging.getLogger("tocsin")


class FanOut:
    """The groups of open streams, and the pass that is under way.

    Args:
        counters: of the hub; deliveries to its streams are timed.
        clock: Unix time in seconds.
        head: the newest seq of the log.
        on_failure: told of what makes a pass end before everybody has what is theirs: a bug.
        is_over: whether nothing can come any more that a filter lets through.
    """

    def __init__(
        self,
        counters: Counters,
        clock: Callable[[], float],
        head: Callable[[], int],
        on_failure: Callable[[Exception], None],
        is_over: Callable[[Filter], bool],
    ) -> None:
        self._counters = counters
        self._head = head
        self._is_over = is_over
        self._on_failure = on_failure
        self._groups: dict[tuple[Filter, bool], Group[Stream]] = {}
        self._index: SubscriptionIndex[Group[Stream]] = SubscriptionIndex()
        self._unrouted: deque[Entry] = deque()  # events that no group was given yet
        self._ended: deque[str] = deque()  # topics whose groups weren't told yet
        self._due: deque[Group[Stream]] = deque()
        self._pass: Iterator[None] | None = None
        self._in_slice = 0  # streams sent to since the loop last had its turn
        self._slice_began = 0.0
        self._delivery_latency = DeliveryLatency(counters, clock)

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self._groups)

    @property
    def entries(self) -> int:
        """How many entries the index has."""
        return len(self._index)

    # --- groups -----------------------------------------------------------------------------------

    def entries_with(self, filter: Filter, chunked: bool) -> int:
        """How many entries the index has with one more stream of `filter`."""
        known = len(self._index)
        filter = canonical(filter)
        return known if (filter, chunked) in self._groups else known + entries_of(filter)

    def join(self, filter: Filter, chunked: bool, counters: Counters) -> Group[Stream]:
        """The group of one more stream, which gets its share from here on.

        Args:
            filter: what the stream asked for.
            chunked: whether its body is.
            counters: counts what the group is sent; that of the first stream of its kind.
        """
        filter = canonical(filter)
        group = self._groups.get((filter, chunked))
        if group is None:
            group = Group(filter, chunked, self._head(), counters, self._unrouted)
            group.size = 1
            self._index.add(filter, group)
            self._groups[filter, chunked] = group
        else:
            self._index.resize(group.filter, 1)
            group.size += 1
        return group

    def leave(self, group: Group[Stream]) -> None:
        """Undo `join` for one stream that is over; the last one takes the group along."""
        key = (group.filter, group.chunked)
        is_known = self._groups.get(key) is group  # else `forget` was called since
        if is_known and group.size == 1:
            self._index.remove(group.filter, group)
            del self._groups[key]
        elif is_known:
            self._index.resize(group.filter, -1)
        group.size -= 1

    def let_in(self, stream: Stream) -> None:
        """Make a stream that is at the head one of those a pass sends to."""
        group = stream.group
        if group.pending:
            stream.become(State.JOINING)
        elif self._unrouted:  # the group may be given some of it, which this stream has already
            stream.become(State.JOINING)
            self._due.append(group)
        else:
            stream.become(State.LIVE)

    def forget(self) -> None:
        """Give the groups there are nothing more: a new log begins, and their streams are of the old one."""
        self._groups = {}
        self._index = SubscriptionIndex()
        self._unrouted = deque()
        self._ended = deque()

    # --- events -----------------------------------------------------------------------------------

    def enqueue(self, entries: Sequence[Entry]) -> list[int]:
        """Take the log's next `entries`; returns for each how many streams it is for."""
        if len(entries) <= GIVEN_AT_ONCE and not self._unrouted:
            found = self._matching_each(entries)
            if found is not None:
                return list(map(self._give_all, found, entries))
        recipients = self._count_each(entries)
        if any(recipients):
            self._unrouted.extend(compress(entries, recipients))
            self._route()
        return recipients

    def enqueue_internal(self, entry: Entry) -> int:
        """Take an internal event, which is not of the log; returns how many streams it is for."""
        return self._give_all(self._index.matching(entry.topic, entry.type), entry)

    def note_ended(self, topics: Iterable[str]) -> None:
        """Note that nothing comes on these topics after what was taken: streams that have nothing to come are ended.

        They are when they have been sent what they wait for, by a pass; those that lag are their `Log`'s to end.
        """
        self._ended.extend(topics)

    def _matching_each(self, entries: Sequence[Entry]) -> list[list[Group[Stream]]] | None:
        """For each entry the groups that it is for; None where that is work for more than one turn of the loop."""
        found, left = [], ROUTED_AT_ONCE
        for entry in entries:
            groups = self._index.matching(entry.topic, entry.type, entry.more_topics)
            left -= len(groups)
            if left < 0:
                return None
            found.append(groups)
        return found

    def _count_each(self, entries: Sequence[Entry]) -> list[int]:
        """For each entry how many streams it is for: one look-up for all of the same topics and type."""
        keys = [(entry.topic, entry.type, entry.more_topics) for entry in entries]
        known = {key: self._index.count(*key) for key in set(keys)}
        return [known[key] for key in keys]

    def _route(self) -> None:
        """Give the groups their events, in order, until `ROUTED_AT_ONCE`; a pass does the rest."""
        unrouted = self._unrouted
        left = ROUTED_AT_ONCE
        while unrouted and left > 0:
            entry = unrouted[0]
            groups = self._index.matching(entry.topic, entry.type, entry.more_topics)
            left -= len(groups) + 1
            if groups:
                # A group that was made since is at a later cursor, and its streams have the event.
                self._give_all([group for group in groups if entry.seq > group.mark.cursor], entry)
            unrouted.popleft()

    def _tell_of_ended(self) -> None:
        """Tell the groups that their topics have ended, as far as `ROUTED_AT_ONCE`; thousands may name each of them."""
        left = ROUTED_AT_ONCE
        while self._ended and left > 0:
            groups = self._index.naming(self._ended.popleft())
            left -= len(groups) + 1
            for group in groups:
                if not group.may_be_over:
                    group.may_be_over = True
                    self._due.append(group)

    def _give_all(self, groups: Iterable[Group[Stream]], entry: Entry) -> int:
        """Give `entry` to `groups`; returns how many streams they have."""
        streams = 0
        for group in groups:
            if not group.pending:
                self._due.append(group)
            group.pending.append(entry)
            group.matched += 1
            streams += group.size
        return streams

    @property
    def _routed(self) -> int:
        """The seq up to which every group has been given what is for it."""
        return self._unrouted[0].seq - 1 if self._unrouted else self._head()

    # --- passes -----------------------------------------------------------------------------------

    @property
    def is_under_way(self) -> bool:
        """Whether something that was taken isn't sent yet."""
        return self._pass is not None

    def start(self) -> None:
        """Schedule a pass if something is due and none is under way."""
        if self._pass is None and (self._due or self._unrouted or self._ended):
            self._pass = self._sends()
            asyncio.get_running_loop().call_soon(self._run_pass)

    def _run_pass(self) -> None:
        """Send one slice, and come back after the loop had its turn while there is more."""
        assert self._pass is not None
        self._in_slice = 0
        self._slice_began = perf_counter()
        try:
            for _ in self._pass:
                asyncio.get_running_loop().call_soon(self._run_pass)
                return
        except Exception as error:
            self._on_failure(error)
        self._pass = None

    def _sends(self) -> Iterator[None]:
        """Send every group that is due what is new to it, pausing after each slice."""
        while self._due or self._unrouted or self._ended:
            if self._unrouted:
                self._route()
                yield
                continue
            if self._ended:
                self._tell_of_ended()
                yield from self._pauses(0)
                continue
            group = self._due.popleft()
            try:
                if self._is_one_for_few(group):
                    self._send_one(group, group.pending[0])
                else:
                    yield from self._sends_to(group)
                if group.may_be_over:
                    yield from self._ends(group)
            except Exception:  # a bug: without this, no stream would get anything ever again
                log.exception("a pass failed; the streams it was for are closed, and resume")
                self._fail(group)
            yield from self._pauses(0)
        self._delivery_latency.fold()

    def _is_one_for_few(self, group: Group[Stream]) -> bool:
        """Whether `group` is due one event that takes a slice at most, and nobody joins."""
        return (
            len(group.pending) == 1
            and len(group.live) <= SLICE
            and len(group.pending[0].block) <= ONE_BYTES
            and not group.joining
        )

    def _send_one(self, group: Group[Stream], entry: Entry) -> None:
        """Send a small group one event. `_sends_to` would do it too, at twice the cost beside `send`."""
        block = entry.block
        payload = chunk(block) if group.chunked else block
        base = group.mark
        group.pending = []
        group.mark = Mark(self._routed, base.events + 1, base.bytes + len(payload))
        time = entry.received or entry.time
        count = deliver_all(group.live, payload, base, group.mark, (time,))
        group.counters.count_live(count, 1, len(payload))
        if group.counters is self._counters:  # an internal stream's deliveries are nobody's latency
            self._delivery_latency.note_one(time, count)
        self._in_slice += count

    def _sends_to(self, group: Group[Stream]) -> Iterator[None]:
        """Send `group` what is new to it; those that join since the last pass lack only some of it."""
        streams = tuple(group.live) if group.pending else ()
        joining = tuple(group.joining)
        batch = group.take_pending(self._routed)
        for first in range(0, len(streams), PART):
            part = streams[first : first + PART]
            self._send(batch, part, is_last=first + PART >= len(streams))
            yield from self._pauses(len(part))
        for first in range(0, len(joining), PART):
            part = joining[first : first + PART]
            self._catch_up_all(part, batch)
            yield from self._pauses(len(part))

    def _ends(self, group: Group[Stream]) -> Iterator[None]:
        """End the streams of `group`, if they have all that ever comes for them."""
        if self._unrouted:  # some of it may be for them
            self._due.append(group)
            return
        if group.pending:  # it is due again
            return
        group.may_be_over = False
        if not self._is_over(group.filter):
            return
        live = tuple(group.live)
        for first in range(0, len(live), PART):
            part = live[first : first + PART]
            for stream in part:
                if stream.state == State.LIVE:
                    stream.finish()
            yield from self._pauses(len(part))

    def _pauses(self, sent_to: int) -> Iterator[None]:
        """Pause if the slice is over with these."""
        self._in_slice += sent_to
        if self._in_slice >= SLICE or perf_counter() - self._slice_began > SLICE_S:
            self._delivery_latency.fold()
            yield

    def _send(self, batch: Batch, streams: Sequence[Stream], *, is_last: bool) -> None:
        """Send `batch` to some streams of its group; `is_last`: to the last of them."""
        counters = batch.group.counters
        before = counters.delivered_live
        for piece, base, mark in batch.steps:
            count = deliver_all(streams, piece.payload, base, mark, piece.times)
            counters.count_live(count, piece.events, len(piece.payload))
        if counters is self._counters:
            self._delivery_latency.note(batch.times, counters.delivered_live - before, is_last)

    def _catch_up_all(self, streams: Sequence[Stream], batch: Batch) -> None:
        counters = batch.group.counters
        before = counters.delivered_live
        for stream in streams:
            self._catch_up(stream, batch)
        if counters is self._counters:
            self._delivery_latency.note(batch.times, counters.delivered_live - before, False)

    def _catch_up(self, stream: Stream, batch: Batch) -> None:
        """Send a stream that joins what is new to it, and make it one of the live."""
        group = stream.group
        for piece in batch.after(stream.cursor):
            if stream.state == State.JOINING:
                size = len(piece.payload)
                sent = Sent(stream.cursor, piece.events, size, piece.times, by_pass=True)
                if stream.deliver(piece, sent):
                    group.counters.count_live(1, piece.events, size)
        if stream.state != State.JOINING:  # it lags, or lagged meanwhile and is live already
            return
        if stream.cursor <= group.mark.cursor or not (group.pending or self._unrouted):
            stream.become(State.LIVE)
        elif (
            not group.pending
        ):  # it has read on; whether to send it more is known when all is routed
            self._due.append(group)

    def _fail(self, group: Group[Stream]) -> None:
        """Close every stream that a pass sends to: none of them may miss what the pass did not send."""
        group.pending = []
        for stream in (*group.live, *group.joining):
            stream.close("error")

    def __repr__(self) -> str:
        return f"FanOut(groups={len(self)}, due={len(self._due)}, unrouted={len(self._unrouted)})"
