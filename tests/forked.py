"""Hubs that are forked from a process which has imported them: that takes a fifth of the CPU time of a start.

The tests start a thousand hubs, and most of each start is Python and its imports. A hub that is forked goes through
the command line as any other, in a process of its own; the environment and the descriptors are those it is given.
tests/process starts its hubs as people do.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from typing import IO

from tests.tied import TIED

PR_SET_PDEATHSIG = 1
MOST_BYTES = 1 << 20
"""Of a request: the environment and the command line."""


class Forked:
    """A forked process, in the words of `subprocess.Popen`."""

    def __init__(self, pid: int, ending: int) -> None:
        self.pid = pid
        self._ending = ending
        self._process = os.pidfd_open(pid)  # a process ID may be another's, once this one has ended
        self._returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, as Popen has it, or None while it runs."""
        return self._code(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended; `subprocess.TimeoutExpired` if it doesn't in time."""
        code = self._code(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("tocsin", timeout or 0)
        return code

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, sig)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _code(self, timeout: float | None) -> int | None:
        if self._returncode is None and self._ending_comes(timeout):
            self._returncode = int(os.read(self._ending, 16))
            os.close(self._ending)
            os.close(self._process)
        return self._returncode

    def _ending_comes(self, timeout: float | None) -> bool:
        poll = select.poll()  # not select: a test may have opened a thousand descriptors
        poll.register(self._ending, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1_000))


class Origin:
    """The process that hubs are forked from; it ends with the one that started it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._process = subprocess.Popen(
                [*TIED, sys.executable, "-m", "tests.forked", str(its.fileno())],
                pass_fds=[its.fileno()],
                stdout=subprocess.DEVNULL,  # of which what is forked takes its buffering: a file's
            )
        atexit.register(self.close)

    def start(self, *arguments: str, log: IO[str], env: dict[str, str]) -> Forked:
        """Fork `tocsin` with these arguments and this environment; it writes to `log`."""
        ending, told = os.pipe()
        request = json.dumps({"arguments": arguments, "env": env}).encode()
        with self._lock:
            socket.send_fds(self._connection, [request], [log.fileno(), told])
            os.close(told)
            pid = int(self._connection.recv(16))
        return Forked(pid, ending)

    def close(self) -> None:
        """End it, and with it what was forked from it."""
        self._connection.close()
        self._process.wait()


@cache
def origin() -> Origin:
    """The one of this test process, started when it is first asked for."""
    return Origin()


# --- In the process that is forked ------------------------------------------------------------------


def fork_on_request(connection: socket.socket) -> None:
    """Fork for each request; returns only in what was forked, which is then to run the command."""
    children = selectors.DefaultSelector()
    children.register(connection, selectors.EVENT_READ)
    while True:
        for key, _ in children.select():
            if key.fileobj is connection:
                request, descriptors, _, _ = socket.recv_fds(connection, MOST_BYTES, 2)
                if not request:
                    sys.exit()  # the tests are over
                log, told = descriptors
                us = os.getpid()
                pid = os.fork()
                if pid == 0:
                    # By their objects: the collector would find the selector, which is a cycle, and close a
                    # descriptor that is the hub's by then.
                    children.close()
                    connection.close()
                    become(json.loads(request), log, us)
                    return
                os.close(log)
                children.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, told))
                connection.send(b"%d" % pid)
            else:
                pid, told = key.data
                children.unregister(key.fileobj)
                os.close(key.fd)
                with suppress(BrokenPipeError):  # nobody waits for it
                    os.write(told, b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.close(told)


def become(request: dict[str, object], log: int, parent: int) -> None:
    """Be what was asked for, and nothing of the process that was forked."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the tests have ended meanwhile")
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, 1 << 20)
    arguments, env = request["arguments"], request["env"]
    assert isinstance(arguments, list)
    assert isinstance(env, dict)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["tocsin", *arguments]
    sys.orig_argv = [sys.executable, "-m", "tocsin", *arguments]  # what a supervisor starts again


def main() -> None:
    """Import what a hub needs, and fork it as often as asked."""
    import tocsin.app
    import tocsin.cli.supervisor  # noqa: F401
    from tocsin.cli.main import main as command

    assert threading.active_count() == 1
    fork_on_request(socket.socket(fileno=int(sys.argv[1])))
    command()


if __name__ == "__main__":
    main()
