"""Processes that tests start, tied to the test process: they end with it, also when it is killed."""

from __future__ import annotations

TIED = ("setpriv", "--pdeathsig", "KILL", "--")
"""Before a command: the kernel kills it when the thread that started it ends, so start it on the main thread.

`setpriv` (of util-linux, which every Debian has) becomes the command, under the same process ID.
"""

TIED_AND_TOLD = ("setpriv", "--pdeathsig", "TERM", "--")
"""The same with SIGTERM, for a command that has children of its own to end."""
