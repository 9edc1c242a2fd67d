"""How long tests wait for what must come: until it is there, or until it is plain that something hangs.

No test says by this that something is quick: how quick things are is measured by benchmarks. The bound is
above all that a machine with a load of eight takes, and below the timeout of a whole test (pyproject.toml).
"""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 60.0


def wait_until(
    condition: Callable[[], object], timeout_s: float = PATIENCE_S, what: str = ""
) -> None:
    """Wait for `condition` to hold, and fail if it doesn't in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what or condition}"
        time.sleep(0.01)
