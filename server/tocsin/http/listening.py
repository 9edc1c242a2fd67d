"""Listening sockets, with the options that what they accept inherits, at no cost each."""

from __future__ import annotations

import errno
import socket

from tornado.netutil import bind_sockets

from tocsin.errors import PortTaken, SettingsError

BACKLOG = 4_096  # thousands of clients come back at once after a restart

SEND_BUFFER_BYTES = 128 * 1024
"""The kernel's share of a slow client. Doubled by Linux; enough for 2.5 MB/s at 100 ms of distance."""

DEAD_PEER_S = 20.0
"""How long sent bytes may go unacknowledged: with heartbeats, when a vanished client is noticed."""

GRACE_S = 5.0
"""How much longer it is than what a slow client has: Linux counts a full receive buffer as unacknowledged."""

KEEPALIVE_S = 60


def listening_sockets(
    host: str, port: int, setting: str = "", dead_peer_s: float = DEAD_PEER_S
) -> list[socket.socket]:
    """Sockets that listen on `host`; what they accept inherits their options, at no cost each.

    Args:
        host: a name or an address; empty is all of this machine's.
        port: 0 takes a free one.
        setting: that holds both, for the errors; or else `host` and `port` do.
        dead_peer_s: how long sent bytes may go unacknowledged.

    Raises:
        SettingsError: `host` is no address of this machine.
        PortTaken: the port is taken, or not for this user.
    """
    try:
        sockets = bind_sockets(port, host, backlog=BACKLOG)
    except OSError as error:
        if not isinstance(error, socket.gaierror) and error.errno != errno.EADDRNOTAVAIL:
            reason = error.strerror or str(error)
            raise PortTaken(f"{setting or 'port'}: {port} on {host}: {reason}") from None
        raise SettingsError(
            f"{setting or 'host'}: {host!r}: allowed: an address of this machine ({error})"
        ) from None
    for listening in sockets:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(dead_peer_s * 1000))
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sockets
