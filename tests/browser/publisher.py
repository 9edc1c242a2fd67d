"""A publisher that goes on, whatever becomes of the hub, and knows what was acknowledged."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Self

from tests.patience import PATIENCE_S


class Publisher:
    """Publishes batches of `size` every `pause_s` from a thread of its own; a context manager.

    `acknowledged` has the ids of all that the hub said it took, in order.
    """

    def __init__(self, port: int, size: int = 20, pause_s: float = 0.02) -> None:
        self.acknowledged: list[str] = []
        self._port = port
        self._pause_s = pause_s
        batch = [{"type": "notification", "message": f"event {n}"} for n in range(size)]
        self._body = json.dumps(batch).encode()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End; then `acknowledged` is complete."""
        self._stopping.set()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        headers = {"Content-Type": "application/json"}
        due = time.monotonic()
        while not self._stopping.wait(due - time.monotonic()):
            due = max(due + self._pause_s, time.monotonic() - self._pause_s)
            try:
                connection.request("POST", "/api/notify", self._body, headers)
                answer = json.load(connection.getresponse())
                self.acknowledged += answer["ids"]
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                connection.close()  # the hub is away: the next round tries again
                time.sleep(0.05)
        connection.close()
