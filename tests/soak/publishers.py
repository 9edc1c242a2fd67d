"""Publishers of single events and of batches, by three kinds of HTTP client: what they are told goes into a history."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator, Sequence

from tests.soak.history import History, Id, parse_id

TOPICS = {
    "default": 20,
    "orders/eu": 15,
    "orders/us": 15,
    "orders/eu/late": 10,
    "chat/1": 12,
    "chat/2": 10,
    "chat/10": 10,
    "news": 8,
    "quiet/1": 0.1,
    "quiet/2": 0.05,
}
"""How often each is published to. An event of the quiet ones is long gone when a next one comes."""
TYPES = {"notification": 10, "order.new": 5, "order.gone": 3, "alert": 1}
KINDS = [(topic, type) for topic in TOPICS for type in TYPES]
WEIGHTS = [of_topic * of_type for of_topic in TOPICS.values() for of_type in TYPES.values()]

AT_ONCE, APART, CHUNKED = "at once", "apart", "chunked"
WAYS = (AT_ONCE, APART, CHUNKED)
"""Head and body in one segment, in two, or a chunked body in many: that one goes by Tornado's lane."""

READ_LIMIT = 2**20


class Unpublished(Exception):
    """The hub refused, or can't be reached: nothing was published."""


class Publisher:
    """One publisher, with one POST under way at a time.

    Args:
        number: of the publisher.
        history: where it is written down.
        port: of the hub.
        dice: all that is random about it.
        events_per_s: how many events it publishes on average.
    """

    def __init__(
        self, number: int, history: History, port: int, dice: random.Random, events_per_s: float
    ) -> None:
        self.last: Id | None = None
        self.odd: list[str] = []
        self._number = number
        self._published = history.published
        self._port = port
        self._dice = dice
        self._way = WAYS[number % len(WAYS)]
        self._events_per_s = events_per_s
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def publish_until(self, is_over: Callable[[], bool]) -> None:
        """Publish, at the rate, until it is over."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not is_over():
            size = draw_size(self._dice)
            await self.publish(self._dice.choices(range(len(KINDS)), WEIGHTS, k=size))
            # A hub that was stopped for a while is met by a burst of at most a second.
            due = max(due + size / self._events_per_s, loop.time() - 1)
            await asyncio.sleep(due - loop.time())
        self.disconnect()

    async def publish(self, kinds: Sequence[int]) -> bool:
        """Publish one event of each kind, in one POST; True if it was acknowledged.

        One POST in fifty is left alone at some point: its outcome stays unknown.
        """
        tokens = self._published.intend(self._number, kinds)
        patience_s = self._dice.uniform(0, 0.02) if self._dice.random() < 0.02 else 15.0
        try:
            async with asyncio.timeout(patience_s):
                ids = await self._post(
                    [self._event(*each) for each in zip(tokens, kinds, strict=True)]
                )
        except Unpublished:
            self._published.refused(tokens)
            self.disconnect()
            await asyncio.sleep(0.1)
            return False
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            self.disconnect()
            return False
        if len(ids) != len(tokens):
            self.odd.append(f"{len(ids)} ids for {len(tokens)} events")
            return False
        self._published.acknowledged(tokens, ids)
        self.last = ids[-1]
        if self._dice.random() < 0.05:
            self.disconnect()
        return True

    async def _post(self, events: Sequence[dict[str, str]]) -> list[Id]:
        """Send them, and return the ids that the answer tells."""
        reader, writer = await self._connect()
        await self._send(writer, *encode(events, self._dice))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        answer = json.loads(await reader.readexactly(length))
        status = int(head.split()[1])
        if status == 503:
            raise Unpublished(answer)
        if status != 200 or not answer["success"]:
            self.odd.append(f"answered {status}: {answer}")
            return []
        return [parse_id(id) for id in answer.get("ids", None) or [answer["id"]]]

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not self._reader or not self._writer:
            try:
                self._reader, self._writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, limit=READ_LIMIT
                )
            except (ConnectionError, TimeoutError) as error:
                raise Unpublished(error) from None
        return self._reader, self._writer

    async def _send(self, writer: asyncio.StreamWriter, type: str, body: bytes) -> None:
        """Send a body of this media type, in this publisher's way."""
        is_chunked = self._way == CHUNKED
        length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(body)}"
        head = f"POST /api/notify HTTP/1.1\r\nHost: localhost\r\nContent-Type: {type}\r\n{length}\r\n\r\n"
        if self._way == AT_ONCE:
            writer.write(head.encode() + body)
        else:
            writer.write(head.encode())
            await asyncio.sleep(self._dice.choice((0, 0, 0.005)))
            for part in chunks_of(body, self._dice) if is_chunked else [body]:
                writer.write(part)
                await asyncio.sleep(0)
        await writer.drain()

    def disconnect(self) -> None:
        """Let the connection go; the next POST makes one."""
        if self._writer:
            self._writer.transport.abort()
        self._reader = self._writer = None

    def _event(self, token: int, kind: int) -> dict[str, str]:
        topic, type = KINDS[kind]
        padding = "x" * (4_000 if self._dice.random() < 0.005 else self._dice.randint(0, 60))
        return {"type": type, "message": f"{token} {topic} {type} {padding}", "topic": topic}


def draw_size(dice: random.Random) -> int:
    """How many events one POST has: most often one, at most 200."""
    return dice.choice((1, 1, 1, dice.randint(2, 20), dice.randint(1, 200)))


def encode(events: Sequence[dict[str, str]], dice: random.Random) -> tuple[str, bytes]:
    """The media type and the body of a POST of these: one as it is or a batch, an array or lines."""
    if len(events) == 1 and dice.random() < 0.8:
        return "application/json", json.dumps(events[0]).encode()
    if dice.random() < 0.5:
        return "application/json", json.dumps(events).encode()
    return "application/x-ndjson", b"".join(json.dumps(each).encode() + b"\n" for each in events)


def chunks_of(body: bytes, dice: random.Random) -> Iterator[bytes]:
    """The body in HTTP/1.1's chunks, two or three of them, and the last one."""
    size = len(body) // dice.randint(1, 2) + 1
    for start in range(0, len(body), size):
        part = body[start : start + size]
        yield b"%x\r\n%b\r\n" % (len(part), part)
    yield b"0\r\n\r\n"
