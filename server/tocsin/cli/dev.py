"""`make dev`: the hub in a process of its own, started anew when a file of the server changes.

`python -m tornado.autoreload` can't do this: it looks at files once its program has ended, or where the
program asks it to on its own loop, and after Ctrl-C it waits for a change instead of ending.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

LOOK_EVERY_S = 0.2
PATIENCE_S = 1.0
"""How long a hub that was told to end is waited for, before it is told again, and then killed."""


def file_times(folder: Path) -> dict[str, int]:
    """When each file below `folder` was changed; without what Python and editors leave beside it."""
    times = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            path = os.path.join(parent, name)
            if not name.startswith(".") and not name.endswith("~"):
                with suppress(FileNotFoundError):  # gone since
                    times[os.path.relpath(path, folder)] = os.stat(path).st_mtime_ns
    return times


def keep_running(command: Sequence[str], folder: Path, over: threading.Event) -> None:
    """Run `command`, and again whenever a file below `folder` has changed, until `over` is set.

    A command that ends by itself is run again at the next change, when its mistake may be mended.
    """
    while not over.is_set():
        times = file_times(folder)
        process = subprocess.Popen(command)
        is_running = True
        while not over.wait(LOOK_EVERY_S) and (now := file_times(folder)) == times:
            if is_running and process.poll() is not None:
                is_running = False
                _say(f"ended with code {process.returncode}; waits for a change")
        _end(process)
        if not over.is_set():
            changed = sorted({name for name, _ in times.items() ^ now.items()})
            _say(f"starts anew: {', '.join(changed)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End `process`. A hub ends its streams at the first signal, and itself at the second.

    After Ctrl-C in a terminal it had its first already.
    """
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        process.send_signal(number)
        try:
            process.wait(PATIENCE_S)
            return
        except subprocess.TimeoutExpired:
            pass
    process.wait()


def _say(text: str) -> None:
    print(f"tocsin dev: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Run ``tocsin serve`` with the arguments given, until SIGINT, SIGTERM or SIGHUP."""
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    keep_running([sys.executable, "-m", "tocsin", "serve", *sys.argv[1:]], PACKAGE, over)


if __name__ == "__main__":
    main()
