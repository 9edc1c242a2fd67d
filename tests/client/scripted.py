"""A server that answers as it is told, connection by connection, and keeps what it was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from tests.patience import PATIENCE_S

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
"""The head of an event stream that ends with its connection."""


def answer(status: int, body: bytes = b"", *fields: str) -> bytes:
    """A whole answer, behind which the connection ends."""
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", "Connection: close", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Scripted:
    """Gives the first connection the first answer, and so on; the last answer is for all that follow.

    An answer that is None is a connection closed without one. With `holds` the last answer's connections stay open.

    Attributes:
        requests: heads and bodies as they came.
    """

    def __init__(self, *answers: bytes | None, holds: bool = False) -> None:
        self.requests: list[bytes] = []
        self._answers: Sequence[bytes | None] = answers
        self._holds = holds
        self._held: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_S)
        self._listener.close()
        for connection in self._held:
            connection.close()

    def header(self, index: int, name: str) -> str:
        """A header field of a request; empty where it has none."""
        lines = self.requests[index].partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        fields = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
        return fields.get(name.lower(), "")

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE_S)
            self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        request = read_request(connection)
        index = len(self.requests)
        self.requests.append(request)
        is_last = index >= len(self._answers) - 1
        data = self._answers[min(index, len(self._answers) - 1)]
        with suppress(OSError):
            connection.sendall(data or b"")
        if is_last and self._holds:
            self._held.append(connection)
            return
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def read_request(connection: socket.socket) -> bytes:
    """One request with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += (piece := connection.recv(65_536))
        if not piece:
            return data
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body
