"""What a hub asks of a Redis before it uses it, and what it warns of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tocsin.errors import SettingsError
from tocsin.eventlog.journal.redis.address import Address
from tocsin.eventlog.journal.redis.link import Link
from tocsin.eventlog.journal.redis.script import MAY_ASK

OLDEST_VERSION = 7

_KEEPS_ALL = {
    b"appendonly": b"yes",
    b"appendfsync": b"always",
    b"no-appendfsync-on-rewrite": b"no",
}


async def keeps_all(link: Link) -> bool | None:
    """Whether the server keeps all that it answered over a restart; None if the user may not ask.

    What replaced another server as its replica doesn't: it hadn't all of what that one answered.
    """
    if not await link.run_script(MAY_ASK, 0):
        return None
    answer = await link.ask("CONFIG", "GET", *_KEEPS_ALL)
    said = dict(zip(answer[::2], answer[1::2], strict=True))
    return said == _KEEPS_ALL and link.info.get("second_repl_offset") == "-1"


def check_server(address: Address, info: Mapping[str, str]) -> Sequence[str]:
    """Sentences that warn of how this server keeps the log; `info` is what it says of itself.

    Raises:
        SettingsError: the log can't be kept there.
    """
    version = info.get("redis_version", "")
    if not version.partition(".")[0].isdigit() or int(version.partition(".")[0]) < OLDEST_VERSION:
        raise SettingsError(
            f"journal: {address} is Redis {version or 'of no known version'};"
            f" allowed: {OLDEST_VERSION}.0 or later, or Valkey"
        )
    if info.get("role") == "slave":
        raise SettingsError(f"journal: {address} is a replica; allowed: the primary")
    return list(_warnings(address, info))


def _warnings(address: Address, info: Mapping[str, str]) -> Sequence[str]:
    warnings = []
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        warnings.append(
            f"{address} has maxmemory-policy {policy}: it may throw the log away; set noeviction"
        )
    if info.get("aof_enabled") == "0":
        warnings.append(
            f"{address} keeps no append-only file: when it ends, what came after its last snapshot"
            " is lost, and a new log may begin; set appendonly yes"
        )
    return warnings
