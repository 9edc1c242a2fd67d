"""Subscribers that read at their own pace, are cut anywhere, and resume: what they get goes into a history."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.soak.history import Asked, Gap, Id, Subscriber, Welcome, parse_id
from tests.sse import EventStreamParser

# The message repeats type and topic (publishers.py), so that each event is held against what was intended.
EVENT = re.compile(
    rb'event: (\S+)\ndata: \{"message":"(\d+) (\S+) \1 x*","data":\{\},"timestamp":"[^"]{24}",'
    rb'"source":"api","topic":"\3"\}\nid: (\d+)-(\d+)\n\n'
)
RESET = struct.pack("ii", 1, 0)


class Body:
    """Takes a stream's body in pieces cut anywhere, and tells the subscriber of each event that is whole."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """What isn't whole waits for the next piece; a client that is cut never saw it."""
        whole, blank, self._rest = (self._rest + data).rpartition(b"\n\n")
        text = whole + blank
        events = EVENT.findall(text)
        if events and text.count(b"\n\n") == len(events):
            self._receive([(int(e), int(seq), int(token)) for _, token, _, e, seq in events])
        elif text:
            self._read_closely(text)

    def _receive(self, events: list[tuple[int, int, int]]) -> None:
        epochs = {epoch for epoch, _, _ in events}
        if len(epochs) > 1:
            self._subscriber.connections[-1].odd.append(f"several epochs: {epochs}")
        self._subscriber.received(events[0][0], [(seq, token) for _, seq, token in events])

    def _read_closely(self, text: bytes) -> None:
        """Blocks that aren't all events: a welcome, a gap, a farewell, or what must not be."""
        for start, end in _blocks(text):
            block = text[start:end]
            found = EVENT.findall(block)
            if found:
                _, token, _, epoch, seq = found[0]
                self._receive([(int(epoch), int(seq), int(token))])
                continue
            try:
                self._tell(block)
            except (ValueError, KeyError, TypeError):
                self._subscriber.connections[-1].odd.append(f"not understood: {block!r}")

    def _tell(self, block: bytes) -> None:
        (event,) = EventStreamParser().feed(block)
        content = event.json
        if event.type == "connection":
            id = parse_id(event.last_event_id)
            welcome = Welcome(id, content["resumed"], content["replayed"], content["missed"])
            self._subscriber.welcomed(welcome)
        elif event.type == "gap":
            oldest = content["oldest"] and parse_id(content["oldest"])
            requested = parse_id(content["requested"])
            self._subscriber.told(Gap(content["reason"], requested, oldest, content["missed"]))
        elif event.type != "busy" or event.last_event_id:
            raise ValueError(event)


class Chunks:
    """Takes the chunk framing of HTTP/1.1 off a body that comes in pieces."""

    def __init__(self) -> None:
        self._left = 0  # bytes of the chunk under way, with the line end behind it
        self._head = b""

    def payload(self, data: bytes) -> bytes:
        parts = []
        while data:
            if not self._left:
                head, line_end, rest = (self._head + data).partition(b"\r\n")
                if not line_end:
                    self._head = head
                    break
                self._head, data = b"", rest
                self._left = int(head, 16) + 2
            part, data = data[: self._left], data[self._left :]
            # Of the part, what lies in the last two bytes of the chunk is its line end.
            parts.append(part[: max(self._left - 2, 0)])
            self._left -= len(part)
        return b"".join(parts)


@dataclass(frozen=True)
class Pace:
    """How a subscriber reads: at most so many bytes at a time, with a pause between."""

    bytes: int
    pause_s: float
    receive_buffer: int | None = None


PACES = (
    Pace(65_536, 0.0),
    Pace(65_536, 0.05),
    Pace(16_384, 0.2),
    Pace(2_000, 0.2, 4_096),
    Pace(65_536, 1.0, 8_192),
)


class Reader:
    """One subscriber's lives.

    Args:
        subscriber: where it is written down.
        port: of the hub.
        dice: all that is random about it.
        newest: gives the newest id that a publisher was told.
    """

    def __init__(
        self, subscriber: Subscriber, port: int, dice: random.Random, newest: Callable[[], Id]
    ) -> None:
        self._newest = newest
        self._subscriber = subscriber
        self._port = port
        self._dice = dice
        self._pace = dice.choice(PACES)
        self._chunked = dice.random() < 0.3
        self._first: Id | None = None

    async def churn(self, is_over: Callable[[], bool]) -> None:
        """Live, be away, and live again, until it is over."""
        dice = self._dice
        while not is_over():
            await self._live_and_be_cut(is_over)
            # Most come back at once, some are away for as long as the history takes to be replaced.
            away_s = dice.choice(
                (0.0, dice.uniform(0, 0.5), dice.uniform(0, 2), dice.uniform(0, 8))
            )
            while away_s > 0 and not is_over():
                await asyncio.sleep(min(away_s, 0.5))
                away_s -= 0.5

    async def read_up_to(self, end: Id | None) -> None:
        """Live, as often as it takes, until the event `end` has come; with None until a welcome has."""
        self._pace = PACES[0]
        lived = len(self._subscriber.connections)

        def is_there() -> bool:
            new = self._subscriber.connections[lived:]
            welcomed = any(each.welcome for each in new)
            return welcomed and (end is None or (self._subscriber.cursor or (0, 0)) >= end)

        while not is_there():
            await self._live(is_there)
            await asyncio.sleep(0.05)

    async def _live_and_be_cut(self, is_over: Callable[[], bool]) -> None:
        dice = self._dice
        # A welcome with its gap has 400 bytes: some cuts are to fall within.
        bytes_left = dice.choice((None, None, None, dice.randint(1, 500), dice.randint(1, 50_000)))
        sleeps_s = dice.uniform(0, 6) if dice.random() < 0.1 else 0.0
        with suppress(TimeoutError):
            # Who reads slowly lives long enough for the history to run away from it.
            mean_s = 6 if self._pace.receive_buffer else 2
            async with asyncio.timeout(dice.expovariate(1 / mean_s)):
                await self._live(is_over, bytes_left, sleeps_s)

    async def _live(
        self, is_enough: Callable[[], bool], bytes_left: int | None = None, sleeps_s: float = 0.0
    ) -> None:
        """One connection.

        Args:
            is_enough: says when to leave.
            bytes_left: leave after so many bytes of the body, wherever that is.
            sleeps_s: how long nothing is read, once the request is sent.
        """
        with socket.socket() as sock:
            sock.setblocking(False)
            if self._pace.receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._pace.receive_buffer)
            try:
                await self._read(sock, is_enough, bytes_left, sleeps_s)
            except ConnectionError:
                pass  # the hub is gone, or threw a slow client out
            finally:
                if self._dice.random() < 0.5:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    async def _read(
        self,
        sock: socket.socket,
        is_enough: Callable[[], bool],
        bytes_left: int | None,
        sleeps_s: float,
    ) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", self._port))
        connection = self._subscriber.connect(self._newest())
        await loop.sock_sendall(sock, self._request())
        await asyncio.sleep(sleeps_s)
        head, body = b"", Body(self._subscriber)
        chunks = Chunks() if self._chunked else None
        while data := await loop.sock_recv(sock, self._pace.bytes):
            if not head.endswith(b"\r\n\r\n"):
                before, blank, data = (head + data).partition(b"\r\n\r\n")
                head = before + blank
                if blank and not head.startswith(b"HTTP/1.1 200 "):
                    connection.odd.append(f"answered {head!r}")
            if bytes_left is not None:
                data = data[:bytes_left]
                bytes_left -= len(data)
            body.feed(chunks.payload(data) if chunks else data)
            if is_enough() or bytes_left == 0:
                return
            if self._pace.pause_s:
                await asyncio.sleep(self._pace.pause_s)

    def _request(self) -> bytes:
        """Resumes by the header, or by the query, or by both as a polyfill does: then the query is older."""
        asked, cursor, dice = self._subscriber.asked, self._subscriber.cursor, self._dice
        query = [*(("topic", each) for each in asked.topics), *(("type", t) for t in asked.types)]
        header = ""
        if cursor:
            self._first = self._first or cursor
            way = dice.choice(("header", "query", "both"))
            if way != "query":
                header = f"Last-Event-ID: {_spell(cursor)}\r\n"
            if way != "header":
                named = cursor if way == "query" else self._first
                query.append((dice.choice(("last_event_id", "lastEventId")), _spell(named)))
        version = "1.1" if self._chunked else "1.0"
        target = f"/events?{urlencode(query)}" if query else "/events"
        return f"GET {target} HTTP/{version}\r\nHost: localhost\r\n{header}\r\n".encode()


def draw_asked(dice: random.Random, kinds: list[tuple[str, str]]) -> Asked:
    """What one subscriber asks for: everything, exact topics, prefixes, types, or a mix of them."""
    topics = sorted({topic for topic, _ in kinds})
    types = sorted({type for _, type in kinds})
    exact = tuple(dice.sample(topics, dice.randint(1, 3)))
    prefixes = tuple(f"{dice.choice(topics)[: dice.randint(1, 6)]}*" for _ in range(2))
    some_types = tuple(dice.sample(types, dice.randint(1, 2)))
    drawn = (
        Asked(),
        Asked(("*",)),
        Asked(exact),
        Asked(exact[:1]),
        Asked(prefixes[:1]),
        Asked(types=some_types),
        Asked(exact[:1] + prefixes[:1]),
        Asked(exact, some_types),
        Asked(prefixes, some_types[:1]),
        Asked(("quiet/1",)),
        Asked(("quiet/*",)),
        Asked(("nobody/publishes/this",)),
    )
    return dice.choices(drawn, weights=(8, 4, 15, 15, 10, 8, 10, 10, 10, 4, 4, 2))[0]


def _blocks(text: bytes) -> list[tuple[int, int]]:
    """Where each block of `text` begins and ends, with its blank line."""
    blocks, start = [], 0
    while (end := text.find(b"\n\n", start)) >= 0:
        blocks.append((start, end + 2))
        start = end + 2
    return blocks


def _spell(id: Id) -> str:
    return f"{id[0]}-{id[1]}"
