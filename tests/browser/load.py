"""Events at a steady rate, and what a page makes of them: frames, long tasks, elements."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from tests.patience import PATIENCE_S

PUBLISHES_PER_S = 20
FILLER = "x" * 60  # about 180 bytes an event, as it is on the wire


class Publisher(threading.Thread):
    """Publishes numbered events in batches, at a rate; `join()` waits for its end.

    It keeps to the clock: after a slow answer it catches up, so that the total is what was asked for.
    """

    def __init__(self, port: int, per_s: int, seconds: float, message: str = FILLER) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._batch = max(1, per_s // PUBLISHES_PER_S)
        self._interval_s = self._batch / per_s
        self._seconds = seconds
        self._message = message
        self.sent = 0
        self.elapsed_s = 0.0
        self.start()

    def run(self) -> None:
        """Publish until the time is over."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        begun = time.monotonic()
        for number in range(round(self._seconds / self._interval_s)):
            time.sleep(max(0.0, begun + number * self._interval_s - time.monotonic()))
            self._publish(connection)
        self.elapsed_s = time.monotonic() - begun
        connection.close()

    def _publish(self, connection: http.client.HTTPConnection) -> None:
        numbers = range(self.sent, self.sent + self._batch)
        lines = [
            json.dumps({"type": "data_updated", "message": f"{self._message} {number}"})
            for number in numbers
        ]
        headers = {"Content-Type": "application/x-ndjson"}
        connection.request("POST", "/api/notify", "\n".join(lines), headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        self.sent += self._batch


WATCH_FRAMES = """() => {
  const watched = { frames: [], tasks: [], elements: [], start: performance.now() };
  window.watched = watched;
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      watched.tasks.push({ at: startTime - watched.start, ms: duration });
    }
  }).observe({ type: "longtask" });
  let last = performance.now();
  const count = (now) => {
    watched.frames.push(now - last);
    last = now;
    if (watched.frames.length % 30 === 0) {
      watched.elements.push(document.querySelectorAll("*").length);
    }
    requestAnimationFrame(count);
  };
  requestAnimationFrame(count);
}"""


@dataclass(frozen=True)
class Smoothness:
    """What was measured in a page under load."""

    frames_per_s: float
    p95_frame_ms: float
    long_tasks: list[dict[str, Any]]
    elements: list[int]

    def __str__(self) -> str:
        return (
            f"{self.frames_per_s:.1f} frames/s, 95th percentile {self.p95_frame_ms:.1f} ms, "
            f"{len(self.long_tasks)} long tasks after the first second, "
            f"{min(self.elements)} to {max(self.elements)} elements"
        )


def watch_frames(page: Page) -> None:
    """Begin to measure."""
    page.evaluate(WATCH_FRAMES)


def smoothness(page: Page) -> Smoothness:
    """What was measured since `watch_frames`."""
    watched = page.evaluate("window.watched")
    # A slow machine may have had no thirtieth frame yet.
    elements = watched["elements"] or [page.evaluate("document.querySelectorAll('*').length")]
    frames = sorted(watched["frames"])
    return Smoothness(
        frames_per_s=1000 * len(frames) / sum(frames),
        p95_frame_ms=frames[int(len(frames) * 0.95)],
        long_tasks=[task for task in watched["tasks"] if task["at"] > 1000],
        elements=elements,
    )
