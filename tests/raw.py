"""HTTP by hand: literal bytes out, the answer's parts back."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.patience import PATIENCE_S


@dataclass(frozen=True)
class Answer:
    """What came back; `status` 0 is a connection closed without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool

    @property
    def lasting(self) -> tuple[int, dict[str, str]]:
        """Status and headers, without those that change from one answer to the next by themselves."""
        varying = ("date", "content-length")
        return self.status, {k: v for k, v in self.headers.items() if k not in varying}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def exchange(port: int, request: bytes, *, then: bytes = b"") -> Answer:
    """Send `request`, and `then` in a second piece, and read one answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        try:
            connection.sendall(request)
            if then:
                connection.sendall(then)
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered before all was sent: the answer is what counts
        return read_answer(connection)


def exchange_in_two(port: int, request: bytes) -> Answer:
    """The same in two segments: the second leaves when the hub has seen the first.

    It has when a connection made later is answered.
    """
    cut = len(request) // 2
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(request[:cut])
        assert exchange(port, get("/healthz")).status == 200
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request[cut:])
        return read_answer(connection)


def read_answer(connection: socket.socket) -> Answer:
    """Read an answer up to its Content-Length, or to the end of a body without one."""
    received = _read_until(connection, lambda data: b"\r\n\r\n" in data)
    head, _, body = received.partition(b"\r\n\r\n")
    if not head:
        return Answer(0, {}, b"", closed=True)
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
    length = int(headers.get("content-length", 0))
    body += _read_until(connection, lambda data: len(body) + len(data) >= length)
    return Answer(int(status.split()[1]), headers, body, headers.get("connection") == "close")


def _read_until(connection: socket.socket, done: Any) -> bytes:
    received = b""
    while not done(received):
        try:
            piece = connection.recv(65_536)
        except ConnectionResetError:
            break
        if not piece:
            break
        received += piece
    return received


def raw(*lines: str, body: bytes = b"") -> bytes:
    """A request of these lines, whatever they are."""
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def get(target: str | bytes, *headers: str, version: str = "1.1") -> bytes:
    """A GET of `target`, which may be anything."""
    target = target if isinstance(target, bytes) else target.encode()
    lines = "".join(f"{header}\r\n" for header in ("Host: localhost", *headers))
    return b"GET " + target + f" HTTP/{version}\r\n{lines}\r\n".encode()


def post(body: bytes, *headers: str, type: str | None = "application/json") -> bytes:
    """A POST of `body` to the notify route."""
    fields = ["Host: localhost", f"Content-Length: {len(body)}", *headers]
    if type is not None:
        fields.append(f"Content-Type: {type}")
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"POST /api/notify HTTP/1.1\r\n{lines}\r\n".encode() + body


def notice(**fields: Any) -> bytes:
    """A notice's body, in ASCII; fields given replace or extend a valid one."""
    return json.dumps({"type": "notification", "message": "bonjour"} | fields).encode()
