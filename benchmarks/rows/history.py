"""Events that a hub keeps, published in batches before anything is measured."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Sequence

from peers.base import Server

from tocsin.bench import BenchError

MESSAGE = "x" * 59 + "~"
"""Ends in the byte by which the generator counts the events that it reads."""

IN_A_BATCH = 1_000
TIMEOUT_S = 60


def as_array(topics: Sequence[str]) -> bytes:
    """A batch with an event for each topic, "" being none, as JSON."""
    return b"[" + b",".join(_events(topics)) + b"]"


def as_array_of(messages: Sequence[str]) -> bytes:
    """The like with these messages, and no topics."""
    return json.dumps([{"type": "bench", "message": each} for each in messages]).encode()


def as_lines(topics: Sequence[str]) -> bytes:
    """The like as NDJSON."""
    return b"\n".join(_events(topics))


def _events(topics: Iterable[str]) -> list[bytes]:
    common = {"type": "bench", "message": MESSAGE}
    return [
        json.dumps(common | ({"topic": t} if t else {}), separators=(",", ":")).encode()
        for t in topics
    ]


def fill(server: Server, events: int, topics: Sequence[str]) -> list[str]:
    """Publish `events` events, round and round over `topics`; their ids.

    Raises:
        BenchError: a batch was refused.
    """
    ids: list[str] = []
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_S)
    for first in range(0, events, IN_A_BATCH):
        numbers = range(first, min(first + IN_A_BATCH, events))
        body = as_array([topics[number % len(topics)] for number in numbers])
        connection.request("POST", "/api/notify", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise BenchError(f"a batch was answered with status {answer.status}")
        ids += json.loads(answer.read())["ids"]
    connection.close()
    return ids
