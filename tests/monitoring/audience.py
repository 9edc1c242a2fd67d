"""Clients in numbers: they read, and throw away what they read."""

from __future__ import annotations

import selectors
import socket
import threading
from typing import Self

from tests.patience import PATIENCE_S


def open_stream(port: int, last_event_id: str = "") -> socket.socket:
    """A stream, once its welcome (or the reason for its refusal) has come; what came with it can't be read any more."""
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    header = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id else ""
    client.sendall(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode())
    received = b""
    while b"\ndata:" not in received:
        piece = client.recv(65_536)
        assert piece, received
        received += piece
    return client


class Audience:
    """Some clients that read, until the block ends."""

    def __init__(self, port: int, count: int) -> None:
        self._clients = [open_stream(port) for _ in range(count)]
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join(PATIENCE_S)
        for client in self._clients:
            client.close()

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for client in self._clients:
                selector.register(client, selectors.EVENT_READ)
            while not self._closed.is_set():
                for key, _ in selector.select(0.1):
                    assert isinstance(key.fileobj, socket.socket)
                    try:
                        ended = not key.fileobj.recv(65_536)
                    except ConnectionError:
                        ended = True
                    if ended:
                        selector.unregister(key.fileobj)
