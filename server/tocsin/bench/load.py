"""The load: streams, publishers, and the ways to publish.

Everything runs in one thread and one loop, so that the numbers of one core are the numbers of one
process. All times are bounded: a load that gets stuck says so and ends.
"""

from __future__ import annotations

import gc
import resource
import select
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

from tocsin.bench.clients import HANDSHAKES, Clients, open_silent
from tocsin.bench.errors import BenchError
from tocsin.bench.latency import Latencies
from tocsin.bench.ledger import Ledger
from tocsin.bench.publishers import Constant, Publishers, Requests
from tocsin.bench.target import Target

STUCK_S = 10.0
"""How long the rest of the deliveries, or one event of a lone publisher, may take."""

OPENING_S = 60.0

_TURN_S = 0.05  # the longest wait between two looks at the clock


class Progress(NamedTuple):
    """Where a load is, about once a second."""

    elapsed_s: float
    published: int
    deliveries: int


@dataclass(frozen=True)
class Outcome:
    """What one stretch of load measured."""

    seconds: float
    """From the first POST to the last delivery."""
    published: int
    """POSTs answered with success."""
    deliveries: int
    missing: int
    """Deliveries that were due for the accepted POSTs and didn't come."""
    fan_out: Latencies
    """POST to the last stream's reading."""
    delivery: Latencies
    """POST to the reading, on a sample of streams."""
    answer: Latencies
    """POST to its answer."""
    errors: Counter[str]
    busy: float
    """The generator's share of its core: near 1, it is what was measured, not the server."""

    @property
    def deliveries_per_s(self) -> float:
        """Events read by all streams together, a second."""
        return self.deliveries / self.seconds

    @property
    def published_per_s(self) -> float:
        """Accepted POSTs a second."""
        return self.published / self.seconds


def raise_descriptor_limit() -> None:
    """Let this process open as many sockets as its hard limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Load:
    """Streams and publishers on one target. A context manager: leaving it closes every socket.

    Args:
        target: the server.
        clients: how many streams.
        publishers: how many publishing connections.
        message_bytes: the size of each message.
        topics: clients and events are spread over them, round and round; empty where there are none.
        busy: how many of the topics get events, from the first on; 0 is all.
        request: this POST instead of numbered messages.
        awake: never sleep while waiting for something to read. It takes a whole core, and no server pays
            for waking the reader, as none does with clients on other machines.
        on_progress: called about once a second while load is on.
    """

    def __init__(
        self,
        target: Target,
        clients: int,
        publishers: int = 1,
        *,
        message_bytes: int = 100,
        topics: Sequence[str] = ("",),
        busy: int = 0,
        request: bytes = b"",
        awake: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        raise_descriptor_limit()
        self.target = target
        self.ledger = Ledger()
        self._epoll = select.epoll()
        # Publishers are looked at between any two looks at streams, as if they were other machines: in
        # one queue a publisher's answer would wait until a thousand streams have been read. The outer
        # one wakes for both.
        self._answers = select.epoll()
        self._epoll.register(self._answers, select.EPOLLIN)
        self.clients = Clients(target, self._epoll, self.ledger)
        self._turn_s = 0.0 if awake else _TURN_S
        self._topics = topics
        self._silent: list[Any] = []
        self._on_progress = on_progress
        self._started = self._reported = 0.0
        subscribe = [target.subscribe_request(topics[i % len(topics)]) for i in range(clients)]
        try:
            self.clients.open(subscribe, deadline=time.monotonic() + OPENING_S)
            published = topics[:busy] if busy else topics
            requests = Constant(request) if request else Requests(target, message_bytes, published)
            self.publishers = Publishers(target, self._answers, self.ledger, requests, publishers)
        except BaseException:
            self.clients.close()
            self._answers.close()
            self._epoll.close()
            raise

    def __enter__(self) -> Self:
        gc.collect()
        gc.disable()  # nothing here makes cycles, and a collection is a pause that looks like the server's
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.publishers.close()
        self.clients.close()
        for connection in self._silent:
            connection.close()
        self._answers.close()
        self._epoll.close()
        gc.enable()

    def add_silent(self, count: int) -> None:
        """Open `count` streams more that never read."""
        request = self.target.subscribe_request(self._topics[0])
        self._silent += open_silent(self.target, request, count)

    # --- ways to publish ----------------------------------------------------------------------

    def one_after_the_other(self, seconds: float) -> Outcome:
        """One publisher: an event, wait until every stream has read it and the POST is answered, the next.

        Raises:
            BenchError: a POST was refused, or an event didn't reach every stream.
        """
        return self._measure(lambda: self._one_after_the_other(seconds))

    def at_once(self, seconds: float, depth: int = 1) -> Outcome:
        """All publishers: each sends the next event as soon as the answer to its last came.

        `depth` events are under way on each connection; more than 1 is HTTP pipelining, which takes
        less work of the generator than more connections would.
        """
        return self._measure(lambda: self._at_once(seconds, depth))

    def exactly(self, events: int) -> Outcome:
        """All publishers: `events` events in all, then stop."""
        return self._measure(lambda: self._exactly(events))

    def at_rate(self, per_s: float, seconds: float) -> Outcome:
        """Events at fixed moments, whether or not the last ones have been answered or read."""
        return self._measure(lambda: self._at_rate(per_s, seconds))

    def warm_up(self, seconds: float) -> None:
        """The same as the measurement will be, thrown away: caches, JIT compilers, TCP windows."""
        self.at_once(seconds)

    def _one_after_the_other(self, seconds: float) -> None:
        (fd, *_) = self.publishers.descriptors
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            goal = self.clients.floor + 1
            answered = 0
            self.publishers.publish(fd)
            while self.clients.floor < goal or not answered:
                for ready in self._read(self._turn_s):
                    over, fd = self.publishers.on_ready(ready)
                    answered += over
                if time.monotonic() > now + STUCK_S:
                    raise BenchError(f"an event took longer than {STUCK_S:.0f} s: {self._state()}")
            self._report()

    def _at_once(self, seconds: float, depth: int) -> None:
        end = time.monotonic() + seconds
        for fd in self.publishers.descriptors:
            self.publishers.publish(fd, depth)
        while time.monotonic() < end:
            for ready in self._read(self._turn_s):
                over, fd = self.publishers.on_ready(ready)
                if over:
                    self.publishers.publish(fd, over)
            self._report()

    def _exactly(self, events: int) -> None:
        started = self.publishers.published
        end = time.monotonic() + events * STUCK_S
        for fd in self.publishers.descriptors[:events]:
            self.publishers.publish(fd)
        while (left := events - (self.publishers.published - started)) > 0:
            for ready in self._read(self._turn_s):
                over, fd = self.publishers.on_ready(ready)
                if over and left > 0:
                    self.publishers.publish(fd)
                    left -= 1
            self._report()
            if time.monotonic() > end:
                raise BenchError(f"no answer any more: {self._state()}")

    def _at_rate(self, per_s: float, seconds: float) -> None:
        start = time.monotonic()
        for count in range(round(per_s * seconds)):
            due = start + count / per_s
            while (wait := due - time.monotonic()) > 0:
                self._turn(min(wait, self._turn_s))
            self.publishers.publish(self.publishers.idle())

    # --- measuring ----------------------------------------------------------------------------

    def _measure(self, publish: Callable[[], None]) -> Outcome:
        ledger, clients, publishers = self.ledger, self.clients, self.publishers
        publishers.renew()  # there may have been a long pause since the last measurement
        ledger.forget()
        deliveries, accepted = clients.deliveries, publishers.accepted
        cpu_s, idle_s = time.process_time(), clients.idle_s
        self._started = self._reported = time.monotonic()
        publish()
        finished = self._drain(deliveries, accepted)
        seconds = finished - self._started
        busy_s = time.process_time() - cpu_s - (clients.idle_s - idle_s)
        busy = busy_s / max(time.monotonic() - self._started, 1e-9)
        published = publishers.accepted - accepted
        delivered = clients.deliveries - deliveries
        return Outcome(
            seconds=seconds,
            published=published,
            deliveries=delivered,
            missing=published * self._streams_an_event - delivered,
            fan_out=ledger.fan_out_latencies(),
            delivery=ledger.delivery_latencies(),
            answer=ledger.answer_latencies(),
            errors=Counter(ledger.errors),
            busy=busy,
        )

    def _drain(self, deliveries: int, accepted: int) -> float:
        """Wait for what is under way; return when the last of it came, at most `STUCK_S` later."""
        last = time.monotonic()
        before = (-1, -1)
        while time.monotonic() < last + STUCK_S:
            state = (self.clients.deliveries, self.publishers.accepted)
            if state != before:
                last, before = time.monotonic(), state
            due = (self.publishers.accepted - accepted) * self._streams_an_event
            if not self.publishers.in_flight and self.clients.deliveries - deliveries >= due:
                break
            self._turn(self._turn_s)
        return last

    def _read(self, timeout_s: float) -> list[int]:
        """Read some streams; return the publishing connections that have something to say."""
        self.clients.read(timeout_s)
        return [fd for fd, _ in self._answers.poll(0)]

    def _turn(self, timeout_s: float) -> None:
        for ready in self._read(timeout_s):
            self.publishers.on_ready(ready)
        self._report()

    @property
    def _streams_an_event(self) -> int:
        return len(self.clients) // len(self._topics)

    def _report(self) -> None:
        now = time.monotonic()
        if self._on_progress and now >= self._reported + 1:
            self._reported = now
            published, deliveries = self.publishers.published, self.clients.deliveries
            self._on_progress(Progress(now - self._started, published, deliveries))

    def _state(self) -> str:
        return (
            f"{dict(self.ledger.errors)}, {len(self.clients)} streams, floor {self.clients.floor}"
        )


@contextmanager
def open_streams(
    target: Target,
    requests: Sequence[bytes],
    *,
    replayed: int = 0,
    handshakes: int = HANDSHAKES,
) -> Iterator[float]:
    """Open a stream for each request, as fast as they can be; close them when the context is left.

    The context is the seconds until all were open: answered, and with `replayed` events read.

    Raises:
        BenchError: a stream was refused, or events stayed out.
    """
    raise_descriptor_limit()
    epoll = select.epoll()
    streams = Clients(target, epoll, Ledger())
    try:
        start = time.monotonic()
        streams.open(requests, deadline=start + OPENING_S, replayed=replayed, handshakes=handshakes)
        yield time.monotonic() - start
    finally:
        streams.close()
        epoll.close()
