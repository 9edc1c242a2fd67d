"""One POST at a time, written at once, and how long its answer takes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from peers.base import Server

from tocsin.bench import BenchError, Target
from tocsin.bench.answers import first_answer

EVERY_S = 0.01
TIMEOUT_S = 60
READ_BYTES = 65_536


class Publisher:
    """A kept-alive connection; leaving the context closes it."""

    def __init__(self, target: Target) -> None:
        family, address = target.address()
        self._connection = socket.socket(family, socket.SOCK_STREAM)
        self._connection.settimeout(TIMEOUT_S)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.connect(address)

    def post(self, request: bytes) -> int:
        """Send a POST in one piece; the status of its answer.

        Raises:
            BenchError: there was none.
        """
        try:
            self._connection.sendall(request)
            read = self._connection.recv(READ_BYTES)
            while read and (answer := first_answer(read)) is None:
                read += self._connection.recv(READ_BYTES)
        except OSError as error:
            raise BenchError(f"a POST without an answer: {error}") from None
        if not read or answer is None:
            raise BenchError("a POST without an answer")
        return answer.status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()


@contextmanager
def posting_meanwhile(server: Server) -> Iterator[list[float]]:
    """POST every `EVERY_S`, in a thread, to a topic that nobody reads; how long each took, in ms.

    The list is complete when the context is left.
    """
    posts_ms: list[float] = []
    over = threading.Event()
    target = server.topic_target
    request = target.publish_request(b"meanwhile", "meanwhile")

    def post() -> None:
        with Publisher(target) as publisher:
            while not over.is_set():
                begun = time.perf_counter()
                publisher.post(request)
                posts_ms.append((time.perf_counter() - begun) * 1000)
                over.wait(EVERY_S)

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield posts_ms
    finally:
        over.set()
        thread.join()
    if not posts_ms:
        raise BenchError("no POST was answered meanwhile")
