"""The fan-out: hands what is new to the groups it is for, and sends it to their streams in passes.

A pass sends each stream *everything* that is new to it in one system call, so the work per burst is one
call a client, and batches grow by themselves as load grows. It goes in slices, between which the loop gets
its turn. It knows neither the ring nor who may publish.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from tocsin.core.filters import Filter, TopicIndex
from tocsin.eventlog.ring import Entry
from tocsin.hub.counters import Counters
from tocsin.hub.delivery_latency import DeliveryLatency
from tocsin.hub.group import Batch, Group
from tocsin.hub.stream import Stream, deliver_all

SLICE = 250
"""Streams sent to before the loop gets a turn: about a millisecond of system calls."""


log = logging.getLogger("tocsin")


class FanOut:
    """The groups of open streams, and the pass that is under way.

    Args:
        counters: of the hub; deliveries to its streams are timed.
        clock: Unix time in seconds.
        head: the newest seq of the log.
    """

    def __init__(
        self, counters: Counters, clock: Callable[[], float], head: Callable[[], int]
    ) -> None:
        self._counters = counters
        self._head = head
        self._groups: dict[tuple[Filter, bool], Group[Stream]] = {}
        self._index: TopicIndex[Group[Stream]] = TopicIndex()
        self._due: deque[Group[Stream]] = deque()
        self._pass: Iterator[None] | None = None
        self._in_slice = 0  # streams sent to since the loop last had its turn
        self._delivery_latency = DeliveryLatency(counters, clock)

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self._groups)

    def join(self, filter: Filter, chunked: bool, counters: Counters) -> Group[Stream]:
        """The group of one more stream, which gets its share from here on.

        Args:
            filter: what the stream asked for.
            chunked: whether its body is.
            counters: counts what the group is sent; that of the first stream of its kind.
        """
        group = self._groups.get((filter, chunked))
        if group is None:
            group = Group(filter, chunked, cursor=self._head(), counters=counters)
            self._groups[filter, chunked] = group
            self._index.add(filter, group)
        group.size += 1
        return group

    def leave(self, stream: Stream) -> None:
        """Take a stream that is over out of its group; the last one takes the group along."""
        group = stream.group
        group.remove(stream)
        group.size -= 1
        if group.size == 0:
            del self._groups[group.filter, group.chunked]
            self._index.remove(group.filter, group)

    def let_in(self, stream: Stream) -> None:
        """Make a stream that is at the head one of those a pass sends to."""
        if stream.group.pending:
            stream.group.joined[stream] = None
        else:
            stream.group.let_in(stream)
            stream.share_mark()

    def hand(self, entry: Entry) -> int:
        """Make `entry` pending for the groups it is for; returns how many streams they have."""
        recipients = 0
        for group in self._index.matching(entry.topic, entry.type):
            if not group.pending:
                self._due.append(group)
            group.pending.append(entry)
            group.matched += 1
            recipients += group.size
        return recipients

    @property
    def is_under_way(self) -> bool:
        """Whether something handed over isn't sent yet."""
        return self._pass is not None

    def start(self) -> None:
        """Schedule a pass if something is due and none is under way."""
        if self._due and self._pass is None:
            self._pass = self._sends()
            asyncio.get_running_loop().call_soon(self._run_pass)

    def _run_pass(self) -> None:
        """Send one slice, and come back after the loop had its turn while there is more."""
        assert self._pass is not None
        for _ in self._pass:
            asyncio.get_running_loop().call_soon(self._run_pass)
            return
        self._pass = None

    def _sends(self) -> Iterator[None]:
        """Send every group that is due what is new to it, pausing after each slice of streams."""
        self._in_slice = 0
        while self._due:
            group = self._due.popleft()
            joined = group.take_joined()
            try:
                yield from self._sends_to(group, joined)
            except Exception:  # a bug: without this, no stream would get anything ever again
                log.exception("a pass failed; the streams it was for are closed, and resume")
                group.pending.clear()
                for stream in (*group.live, *joined):
                    stream.close("error")
        self._delivery_latency.fold()

    def _sends_to(self, group: Group[Stream], joined: Sequence[Stream]) -> Iterator[None]:
        """Send `group` what is new to it; those that `joined` since the last pass lack only some of it."""
        streams = tuple(group.live)
        batch = group.take_pending(self._head())
        for first in range(0, len(streams), SLICE):
            part = streams[first : first + SLICE]
            self._send(batch, part, is_last=first + SLICE >= len(streams))
            self._in_slice += len(part)
            if self._in_slice >= SLICE:
                self._in_slice = 0
                self._delivery_latency.fold()
                yield
        if joined:
            self._let_in_joined(joined, batch)
            self._in_slice += len(joined)

    def _send(self, batch: Batch, streams: Sequence[Stream], *, is_last: bool) -> None:
        """Send `batch` to some streams of its group; `is_last`: to the last of them."""
        counters = batch.group.counters
        before = counters.delivered_live
        for step in batch.steps:
            count = deliver_all(streams, step)
            counters.count_live(count, step.piece.events, len(step.piece.payload))
        if counters is self._counters:  # an internal stream's deliveries are nobody's latency
            self._delivery_latency.note(batch.times, counters.delivered_live - before, is_last)

    def _let_in_joined(self, streams: Sequence[Stream], batch: Batch) -> None:
        counters = batch.group.counters
        before = counters.delivered_live
        for stream in streams:
            self._catch_up(stream, batch)
        if counters is self._counters:
            self._delivery_latency.note(batch.times, counters.delivered_live - before, False)

    def _catch_up(self, stream: Stream, batch: Batch) -> None:
        """Send a stream that joined since the last pass what is new to it, and make it one of the live."""
        for piece in batch.after(stream.cursor):
            if stream.live:
                before = stream.sent_events
                stream.deliver(piece)
                if stream.sent_events > before:  # else it was closed, and has nothing of it
                    batch.group.counters.count_live(1, piece.events, len(piece.payload))
        # Else it lagged meanwhile, or even caught up again, and is somewhere else already.
        if stream.live and stream.cursor == stream.group.mark.cursor:
            stream.group.let_in(stream)
            stream.share_mark()
