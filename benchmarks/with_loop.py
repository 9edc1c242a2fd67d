"""The hub on another event loop than asyncio's own; whose code it is, PYTHONPATH tells.

usage: python benchmarks/with_loop.py uvloop serve ...          uvloop has to be installed
       python benchmarks/with_loop.py timed:FILE serve ...      asyncio's, its longest turn is in FILE
"""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from turns import TimedSelector, Turns


def factory_of(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the loop that `name` asks for."""
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    turns = Turns(Path(name.removeprefix("timed:")))
    return lambda: asyncio.SelectorEventLoop(TimedSelector(turns))


def main() -> None:
    """Start the hub's command with an `asyncio.run` that makes the loop asked for."""
    new_loop = factory_of(sys.argv.pop(1))

    def run(work: Coroutine[Any, Any, Any], *, debug: bool | None = None) -> Any:
        with asyncio.Runner(debug=debug, loop_factory=new_loop) as runner:
            return runner.run(work)

    asyncio.run = run  # type: ignore[assignment]
    runpy.run_module("tocsin", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
