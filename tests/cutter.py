"""A TCP proxy that cuts: what a bad network does to a stream, on command."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from contextlib import suppress

RESET = struct.pack("ii", 1, 0)


class Cutter:
    """Forwards a free port to `port`; `cut()` resets every connection that is open now.

    With `cut_after`, each connection is also cut by itself after so many bytes of its answer: in the
    middle of an event, as a rule.
    """

    def __init__(self, port: int, cut_after: int | None = None) -> None:
        self._target = port
        self._cut_after = cut_after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self.cuts = 0
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Reset all open connections."""
        with self._lock:
            for client, upstream in self._pairs.items():
                self.cuts += 1
                _reset(client, upstream)
            self._pairs.clear()

    def close(self) -> None:
        self._closed = True
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                upstream = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                _reset(client)
                continue
            with self._lock:
                self._pairs[client] = upstream
            threading.Thread(target=self._forward, args=(client, upstream), daemon=True).start()

    def _forward(self, client: socket.socket, upstream: socket.socket) -> None:
        left = self._cut_after if self._cut_after is not None else 2**62
        with selectors.DefaultSelector() as selector, suppress(OSError, ValueError):
            selector.register(client, selectors.EVENT_READ, upstream)
            selector.register(upstream, selectors.EVENT_READ, client)
            while left > 0:
                for key, _ in selector.select(0.2):
                    source, target = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    data = source.recv(65_536)
                    if not data:
                        left = 0
                        break
                    if source is upstream:
                        data = data[:left]
                        left -= len(data)
                    target.sendall(data)
                if client.fileno() < 0:
                    return
        with self._lock:
            if self._pairs.pop(client, None):
                self.cuts += 1
        _reset(client, upstream)


def _reset(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
