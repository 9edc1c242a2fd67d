"""What the supervisor of several processes and each of them, a worker, agree on: what it is given, and what they say.

A worker finds the numbers of its descriptors in a variable, as a service of systemd does, so that nothing of the supervisor
but its open files is in it: no thread, no loop. The two talk over a pair of sockets, a byte a message. Where the
supervisor is no more, the worker sees the pair's end, and leaves too.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable, MutableMapping
from contextlib import suppress

import msgspec

from tocsin.tornado_internals import SteadyCallback

VARIABLE = "_TOCSIN_WORKER"
"""Not one of `TOCSIN_...`: it is no setting."""

READY, ALIVE = b"R", b"A"
"""What a worker says: that it takes connections; and, as often as it is asked for, that its loop turns."""

LEAVE = b"L"
"""What it is told: that another process has its place."""


class Given(msgspec.Struct, frozen=True):
    """What a worker is started with.

    Attributes:
        number: its place among the workers, from 0.
        listening: descriptors of the sockets to accept from.
        metrics: the same for the metrics' own listener.
        control: descriptor of its end of the pair.
        alive_every_s: how often it is to say that its loop turns; 0 is never.
        ticket_key: of all workers, where the settings have none.
    """

    number: int
    listening: list[int]
    metrics: list[int]
    control: int
    alive_every_s: float = 0.0
    ticket_key: str = ""


def environment_for(given: Given, environ: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that a worker is started with. The service manager hears of the supervisor alone."""
    own = {name: value for name, value in environ.items() if name not in _OF_THE_SERVICE}
    return own | {VARIABLE: msgspec.json.encode(given).decode()}


_OF_THE_SERVICE = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}


class Worker:
    """The present process as one of several.

    Attributes:
        number: its place among them, from 0.
        sockets: that it accepts from, non-blocking; the others accept from them too.
        metrics: the same for its own metrics.
        ticket_key: what tickets and sessions are signed with, where the settings say nothing: the same in all of them.
    """

    def __init__(self, given: Given) -> None:
        self.number = given.number
        self.sockets = _sockets(given.listening)
        self.metrics = _sockets(given.metrics)
        self.ticket_key = given.ticket_key
        (self._control,) = _sockets([given.control])
        self._alive_every_s = given.alive_every_s

    def follow(self) -> asyncio.Future[None]:
        """Tell the supervisor that this process takes connections.

        Done when it is to leave the sockets to others: another process has its place, or the supervisor is no more.
        """
        loop = asyncio.get_running_loop()
        is_to_leave: asyncio.Future[None] = loop.create_future()

        def on_told() -> None:
            loop.remove_reader(self._control)
            is_to_leave.set_result(None)

        loop.add_reader(self._control, on_told)
        self._say(READY)
        if self._alive_every_s:
            SteadyCallback(lambda: self._say(ALIVE), self._alive_every_s * 1000).start()
        return is_to_leave

    def _say(self, message: bytes) -> None:
        with suppress(
            OSError
        ):  # it is gone, which is noticed; or it doesn't read, and has enough of them
            self._control.send(message)


def worker_of(environ: MutableMapping[str, str] = os.environ) -> Worker | None:
    """What a supervisor has started this process with; None where none has. It is taken out of `environ`."""
    text = environ.pop(VARIABLE, "")
    return Worker(msgspec.json.decode(text, type=Given)) if text else None


def _sockets(descriptors: Iterable[int]) -> list[socket.socket]:
    sockets = []
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
        sockets.append(socket.socket(fileno=descriptor))
        sockets[-1].setblocking(False)
    return sockets
