"""Listening sockets, with the options that what they accept inherits, at no cost each."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
import time
from contextlib import suppress

from tornado.netutil import bind_sockets

from tocsin.errors import PortTaken, SettingsError
from tocsin.http.places import EVERY_ADDRESS, addresses_by_host, not_of_this_machine
from tocsin.settings import Settings
from tocsin.settings.addresses import UNIX

BACKLOG = 4_096  # thousands of clients come back at once after a restart

SEND_BUFFER_BYTES = 128 * 1024
"""The kernel's share of a slow client. Doubled by Linux; enough for 2.5 MB/s at 100 ms of distance."""

DEAD_PEER_S = 20.0
"""How long sent bytes may go unacknowledged: with heartbeats, when a vanished client is noticed."""

GRACE_S = 5.0
"""How much longer it is than what a slow client has: Linux counts a full receive buffer as unacknowledged."""

KEEPALIVE_S = 60

SO_TIMESTAMPNS = 35
"""socket(7); Python has no name for it. What is read by `recvmsg` then comes with the time at which the system had it."""

_TIMESPEC = struct.Struct("@ll")


def listening_sockets(
    host: str, port: int, setting: str = "", dead_peer_s: float = DEAD_PEER_S, address: str = ""
) -> list[socket.socket]:
    """Sockets that listen on `host`.

    Args:
        host: a name or an address; `::` is every address of this machine, of IPv4 too.
        port: 0 takes a free one.
        setting: that holds both, for the errors; or else `host` and `port` do.
        dead_peer_s: how long sent bytes may go unacknowledged.
        address: the one of those that `host` means to listen on; by default all.

    Raises:
        SettingsError: `host` is no address of this machine.
        PortTaken: the port is taken, or not for this user.
    """
    try:
        sockets = _bind(address or host, port)
    except OSError as error:
        if not isinstance(error, socket.gaierror) and error.errno != errno.EADDRNOTAVAIL:
            reason = error.strerror or str(error)
            raise PortTaken(f"{setting or 'port'}: {port} on {host}: {reason}") from None
        raise not_of_this_machine(setting or "host", host, error) from None
    for listening in sockets:
        set_options(listening, dead_peer_s)
    return sockets


def _bind(address: str, port: int) -> list[socket.socket]:
    if address != EVERY_ADDRESS:
        return bind_sockets(port, address, backlog=BACKLOG)
    # Tornado's would be for IPv6 alone.
    family = socket.AF_INET6
    both = socket.create_server(
        (address, port), family=family, backlog=BACKLOG, dualstack_ipv6=True
    )
    both.setblocking(False)
    return [both]


def set_options(listening: socket.socket, dead_peer_s: float = DEAD_PEER_S) -> None:
    """Set what accepted connections inherit: no system call for each of them."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if listening.family == socket.AF_UNIX:
        return
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(dead_peer_s * 1000))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError):  # an architecture that has another number for it: then it isn't known
        listening.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def received(sock: socket.socket, size: int) -> tuple[bytes, float]:
    """At most `size` bytes, and the Unix time at which the system had the last of them; 0 where it doesn't say.

    Twice the cost of `recv`, and so for when the loop is late: what it reads then has waited for it.

    Raises:
        OSError: as `recv` does.
    """
    data, told, _, _ = sock.recvmsg(size, socket.CMSG_SPACE(_TIMESPEC.size))
    for level, kind, value in told:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(value) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            return data, min(seconds + nanoseconds * 1e-9, time.time())
    return data, 0.0


def dead_peer_s(settings: Settings) -> float:
    """How long sent bytes may go unacknowledged; see `GRACE_S`."""
    return max(DEAD_PEER_S, settings.slow_client_timeout + GRACE_S)


def sockets_of(settings: Settings) -> list[tuple[str, list[socket.socket]]]:
    """The hosts of the settings, and sockets that listen there. Where one can't be had, none stays open.

    A host all of whose addresses belong to others, as `localhost` may beside 127.0.0.1, is left out.

    Raises:
        SettingsError, PortTaken: one can't be had.
    """
    found: list[tuple[str, list[socket.socket]]] = []
    port, dead_s = settings.port, dead_peer_s(settings)
    try:
        for host, addresses in addresses_by_host(settings.host):
            if host.startswith(UNIX):
                path, mode = host.removeprefix(UNIX), int(settings.socket_mode, 8)
                found.append((host, [unix_socket(path, mode)]))
                continue
            sockets: list[socket.socket] = []
            found.append((host, sockets))
            for address in addresses:
                sockets += listening_sockets(host, port, dead_peer_s=dead_s, address=address)
                port = port_of(sockets[0])  # a free one is the same for all hosts
    except BaseException:
        for _, sockets in found:
            for each in sockets:
                each.close()
        raise
    return found


class UnixSocket(socket.socket):
    """Listens at a path, which it removes when it is closed."""

    def __init__(self, path: str, mode: int) -> None:
        """Bind and listen.

        Raises:
            OSError: the path can't be had.
        """
        super().__init__(socket.AF_UNIX)
        self._path = path
        self._file: tuple[int, int] | None = None  # until it is bound
        try:
            self.bind(path)
            self._file = _file_at(path)
            os.chmod(path, mode)  # before it listens: nobody gets in who may not
            self.listen(BACKLOG)
            self.setblocking(False)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close, and remove the path, unless it is somebody else's by now."""
        is_open = self.fileno() >= 0
        super().close()
        if is_open and self._file and self._file == _file_at(self._path):
            os.unlink(self._path)


def _file_at(path: str) -> tuple[int, int] | None:
    """Which file lies at `path`."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def unix_socket(path: str, mode: int) -> socket.socket:
    """A socket that listens at `path`; what a process that is no more left there is removed.

    Args:
        path: of the file.
        mode: its permissions: who may write to it may connect.

    Raises:
        SettingsError: nothing can be made there, or something else lies there.
        PortTaken: another process listens there.
    """
    try:
        _remove_stale(path)
        listening = UnixSocket(path, mode)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(
            f"host: {UNIX + path!r}: allowed: {UNIX}PATH of a file that can be made ({reason})"
        ) from None
    set_options(listening)
    return listening


def _remove_stale(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # a full queue is somebody's, too
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass
    raise PortTaken(f"host: {UNIX}{path}: another process listens there")


def address_of(listening: socket.socket) -> str:
    """The address that `listening` listens on, as the setting `host` spells it."""
    name = listening.getsockname()
    if listening.family == socket.AF_UNIX:
        return UNIX + (name if isinstance(name, str) else "@" + name[1:].decode("utf-8", "replace"))
    return str(name[0])


def port_of(listening: socket.socket) -> int:
    """The port that `listening` listens on; 0 where it is a Unix socket."""
    return 0 if listening.family == socket.AF_UNIX else int(listening.getsockname()[1])
