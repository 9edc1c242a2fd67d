"""Where a Redis is: ``redis://HOST:PORT/DB``, or ``rediss://`` for TLS.

User and password have settings of their own: an address is shown in logs and lists of processes.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

import msgspec

from tocsin.errors import SettingsError

DEFAULT_PORT = 6_379
SHAPE = "redis://HOST:PORT/DB or rediss://HOST:PORT/DB"


class Address(msgspec.Struct, frozen=True):
    """One database of one server.

    Attributes:
        is_tls: whether the connection is encrypted, and the server's certificate checked.
    """

    host: str
    port: int
    database: int
    is_tls: bool

    def __str__(self) -> str:
        scheme = "rediss" if self.is_tls else "redis"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/{self.database}"


def parse_address(url: str) -> Address:
    """The address that `url` spells.

    Raises:
        SettingsError: it spells none, or names a user or a password; they aren't repeated.
    """
    try:
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise SettingsError(
                "journal: the address of Redis must name no user and no password;"
                " allowed: TOCSIN_REDIS_USERNAME and TOCSIN_REDIS_PASSWORD"
            )
        return _address(parts)
    except ValueError:
        raise SettingsError(f"journal: {url!r}: allowed: {SHAPE}") from None


def _address(parts: SplitResult) -> Address:
    database = parts.path.removeprefix("/") or "0"
    is_number = database.isascii() and database.isdigit() and len(database) <= 5
    if (
        parts.scheme not in ("redis", "rediss")
        or not parts.hostname
        or not is_number
        or parts.query
        or parts.fragment
    ):
        raise ValueError
    port = DEFAULT_PORT if parts.port is None else parts.port
    return Address(parts.hostname, port, int(database), parts.scheme == "rediss")
