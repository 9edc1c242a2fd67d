"""Many short streams at once: token by token, cut at random, resumed, ended. Nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until
from tests.raw import notice
from tests.serving import StreamClient

CUT_AFTER = 30
"""Tokens of a stream after which its client leaves, at most."""

GROWTH_KIB = 6 * 1024
"""What the hub's memory may differ by between two rounds alike: what an allocator keeps, and 300 bytes an ended topic."""


class Follower:
    """A client that reads one topic to its end, leaves at random, and comes back with the last id that it has.

    Attributes:
        tokens: the numbers of those that it got, in order.
        ends: how often it was told of the end.
        returns: how often it came back.
    """

    def __init__(self, hub: HubProcess, topic: str, seed: int) -> None:
        self.tokens: list[int] = []
        self.ends = self.returns = 0
        self._hub = hub
        self._topic = topic
        self._random = random.Random(seed)
        self._last = ""

    async def follow(self) -> None:
        """Read until the hub says that there is nothing more."""
        while True:
            headers = {"Last-Event-ID": self._last} if self._last else {}
            query = f"?topic={self._topic}&last_event_id=earliest"
            client = await StreamClient.open(self._hub, query, **headers)
            if client.status == 204:
                client.close()
                return
            await self._read(client)
            client.close()
            self.returns += 1

    async def _read(self, client: StreamClient) -> None:
        """Take the events of one stream, to its end or somewhere before."""
        left = self._random.randint(1, CUT_AFTER)
        while event := await client.next_or_end():
            assert event.type != "gap", event
            self._last = event.last_event_id
            if event.type == "token":
                self.tokens.append(int(event.json["message"]))
                left -= 1
                if not left:
                    return
            elif event.type == "end":
                assert event.json == {"topic": self._topic, "id": self._last}
                self.ends += 1


async def send(hub: HubProcess, bodies: Sequence[bytes], interval_s: float = 0.0) -> None:
    """POST these one after the other on one connection, not faster than one in so many seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, body in enumerate(bodies):
        await asyncio.sleep(max(began + number * interval_s - loop.time(), 0))
        head = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        writer.write(f"POST /api/notify HTTP/1.1\r\n{head}\r\n\r\n".encode() + body)
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(
                int(answer.lower().partition(b"content-length: ")[2].split()[0])
            )
        assert answer.startswith(b"HTTP/1.1 200"), answer
    writer.close()


def answer_of(topic: str, tokens: int) -> list[bytes]:
    """The bodies that publish an answer, token by token."""
    numbers = [notice(type="token", message=str(number), topic=topic) for number in range(tokens)]
    return [*numbers, notice(type="done", topic=topic, final=True)]


def batches_of(topics: Sequence[str], tokens: int) -> list[bytes]:
    """The same of many topics, side by side: a batch for each token of all of them."""
    answers = [answer_of(topic, tokens) for topic in topics]
    return [b"[%b]" % b",".join(step) for step in zip(*answers, strict=True)]


async def follow_all(
    hub: HubProcess, topics: Sequence[str], tokens: int, *publishing: asyncio.Task[None]
) -> int:
    """Follow these to their ends, and see that each got each token once; returns how often they came back."""
    followers = [Follower(hub, topic, seed) for seed, topic in enumerate(topics)]
    await asyncio.gather(*[follower.follow() for follower in followers], *publishing)
    for follower in followers:
        assert follower.tokens == list(range(tokens))
        assert follower.ends == 1
    return sum(follower.returns for follower in followers)


async def run_rounds(hub: HubProcess, streams: int, tokens: int) -> None:
    """Let so many streams be opened, cut, resumed and ended, again and again; the last time takes no more memory."""
    memory = []
    for number in range(3):
        topics = [f"answers/{number}/{each}" for each in range(streams)]
        publishing = asyncio.create_task(send(hub, batches_of(topics, tokens)))
        returns = await follow_all(hub, topics, tokens, publishing)
        assert returns > streams
        wait_until(lambda: hub.metric("tocsin_clients") == 0)
        memory.append(hub.memory_kib())
    assert memory[-1] - memory[-2] < GROWTH_KIB, memory
    assert hub.metric("tocsin_topics_ended_total") == 3 * streams
    assert hub.metric("tocsin_ended_topics") == 3 * streams
    assert hub.metric('tocsin_streams_rejected_total{reason="ended"}') >= 3 * streams


async def test_streams_that_are_cut_at_random_get_each_token_once_and_end_once(
    start_hub: StartHub,
) -> None:
    await run_rounds(start_hub("--history-events", "20000"), 50, 60)


@pytest.mark.soak
async def test_thousand_streams_of_two_hundred_tokens(start_hub: StartHub) -> None:
    await run_rounds(start_hub("--history-events", "250000"), 1_000, 200)


async def test_hundred_streams_at_fifty_tokens_a_second_each(start_hub: StartHub) -> None:
    hub = start_hub()
    topics = [f"answers/{each}" for each in range(100)]
    publishing = [asyncio.create_task(send(hub, answer_of(topic, 75), 1 / 50)) for topic in topics]
    assert await follow_all(hub, topics, 75, *publishing) > len(topics)
