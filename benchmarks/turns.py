"""The longest turn of a hub's loop, told from one process to another through a few bytes of a file.

Imports nothing of the hub or of the benchmarks: the hub that is measured may be an old one.
"""

from __future__ import annotations

import mmap
import selectors
import struct
import time
from pathlib import Path

FORM = struct.Struct("dd")  # seconds that passed, seconds that the loop's thread ran


class Turns:
    """The longest turn since `reset`: by the clock, and in processor time, each on its own.

    The two differ where the loop's thread had to wait for its core.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(FORM.size))
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), FORM.size)

    def reset(self) -> None:
        """Forget what was."""
        FORM.pack_into(self._bytes, 0, 0.0, 0.0)

    def longest_s(self) -> tuple[float, float]:
        """By the clock, and in processor time."""
        passed_s, ran_s = FORM.unpack_from(self._bytes)
        return passed_s, ran_s

    def note(self, passed_s: float, ran_s: float) -> None:
        """A turn is over."""
        longest_passed_s, longest_ran_s = self.longest_s()
        if passed_s > longest_passed_s or ran_s > longest_ran_s:
            FORM.pack_into(
                self._bytes, 0, max(passed_s, longest_passed_s), max(ran_s, longest_ran_s)
            )


class TimedSelector(selectors.DefaultSelector):
    """What the loop waits on; a turn is from one wait's end to the next one's beginning."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns
        self._woke_s, self._ran_s = time.perf_counter(), time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as any selector does."""
        self._turns.note(time.perf_counter() - self._woke_s, time.thread_time() - self._ran_s)
        ready = super().select(timeout)
        self._woke_s, self._ran_s = time.perf_counter(), time.thread_time()
        return ready
