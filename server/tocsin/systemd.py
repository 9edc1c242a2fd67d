"""What systemd and a service agree on: sockets that it is given, and what it tells of itself.

Two protocols, of sd_listen_fds(3) and sd_notify(3): some variables, and datagrams to a socket. Without systemd
nothing happens here.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import MutableMapping

from tocsin.errors import SettingsError

FIRST_DESCRIPTOR = 3

log = logging.getLogger("tocsin")


def inherited_sockets(environ: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """The listening sockets that this process was started with, non-blocking; none where it has none.

    They outlive the process: while it restarts, new connections wait in them. The variables are taken out of
    `environ`, so that no child takes them for its own.

    Raises:
        SettingsError: one is none that listens for streams.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()):
        return []
    if not (count.isascii() and count.isdigit()):
        raise SettingsError(f"LISTEN_FDS: {count!r}: allowed: a number")
    return [_inherited(FIRST_DESCRIPTOR + number) for number in range(int(count))]


def _inherited(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        listening = socket.socket(fileno=descriptor)
        listens = listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise SettingsError(f"LISTEN_FDS: descriptor {descriptor}: {error.strerror}") from None
    families = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    if not listens or listening.family not in families:
        raise SettingsError(
            f"LISTEN_FDS: descriptor {descriptor}: allowed: a socket that listens, of TCP or a path (Accept=no)"
        )
    listening.setblocking(False)
    return listening


def notify(*assignments: str) -> None:
    """Tell the service manager, such as ``READY=1``; never blocks, never raises."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path[0] == "@" else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
        teller.setblocking(False)
        try:
            teller.sendto("\n".join(assignments).encode(), address)
        except OSError as error:
            log.warning("the service manager was not told", extra={"error": error.strerror})


def notify_reloading() -> None:
    """Tell that settings are read again; ``READY=1`` ends it."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def notify_stopping(most_s: float) -> None:
    """Tell that the process stops, and how many seconds that takes at most."""
    notify("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(most_s * 1_000_000)}")


def watchdog_s(environ: MutableMapping[str, str] = os.environ) -> float:
    """After how many seconds without ``WATCHDOG=1`` this process is taken for dead; 0 is never."""
    text = environ.get("WATCHDOG_USEC", "")
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not text.isdigit():
        return 0.0
    return int(text) / 1_000_000
