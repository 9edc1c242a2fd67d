"""Streams whose clients name an id that this process has not come to.

Where several processes share a log, a client may bring an id that another process has sent it a moment ago.
It is no gap: its stream waits until this process has the id too, for a bounded time, and only then is told
where it begins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from tocsin.core.event import EventId
from tocsin.hub.states import State
from tocsin.hub.stream import Stream

AHEAD_S = 5.0
"""How long a stream waits. A process that is further behind than that is no help to its client."""

LOOK_S = 0.02
"""So often the head is looked at, while some wait."""

log = logging.getLogger("tocsin.streams")


class Asked(msgspec.Struct, frozen=True):
    """What a stream waits for, until when by the loop's clock, and what opens it then."""

    id: EventId
    until: float
    open: Callable[[], None]


class Ahead:
    """The streams that wait for their id.

    Args:
        head: the id of the newest event that this process has.

    Attributes:
        streams: those that wait, with what they wait for.
    """

    def __init__(self, head: Callable[[], EventId]) -> None:
        self._head = head
        self.streams: dict[Stream, Asked] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, stream: Stream, id: EventId, open: Callable[[], None]) -> None:
        """Let `stream` wait for `id`, or until its time is over; then `open` is called, once.

        It isn't called while the stream's socket has not taken all of what it was sent before.
        """
        until = asyncio.get_running_loop().time() + AHEAD_S
        self.streams[stream] = Asked(id, until, open)
        self._look_later()

    def discard(self, stream: Stream) -> None:
        """Forget `stream`, which is over, if it waits."""
        self.streams.pop(stream, None)
        if not self.streams and self._timer:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        if self._timer is None and self.streams:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._timer = None
        head, now = self._head(), asyncio.get_running_loop().time()
        here = [
            (stream, asked)
            for stream, asked in self.streams.items()
            if stream.state == State.WAITING and (asked.id <= head or asked.until < now)
        ]
        for stream, asked in here:
            if self.streams.pop(stream, None):  # else it was closed by one before it
                self._open(stream, asked)
        self._look_later()

    @staticmethod
    def _open(stream: Stream, asked: Asked) -> None:
        try:
            asked.open()
        except Exception:  # a bug, of which the other streams must not suffer
            log.exception("a stream failed; it is closed, and resumes")
            stream.close("error")
