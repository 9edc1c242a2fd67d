"""Waiting for what a disk may never answer, in a thread that doesn't keep the process from its end.

The threads of asyncio's executor are all joined at the end of a process, whatever they wait for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


def aside(work: Callable[[], None]) -> asyncio.Future[None]:
    """Do `work`, which raises nothing, in a thread of its own; the future is done when it is."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def run() -> None:
        work()
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_finish, done)

    threading.Thread(target=run, name="journal aside", daemon=True).start()
    return done


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
