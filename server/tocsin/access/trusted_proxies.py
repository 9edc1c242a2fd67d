"""Whose request it is where proxies stand in front: they say so in header fields, and only trusted ones are believed.

`X-Forwarded-For` and `Forwarded` (RFC 7239) are lists to which each proxy adds, at the end, the address that it was
asked by. What stands to the left of the first address that isn't a trusted proxy's, read from the right, may be
made up by the client.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

UNIX_PEER = "unix"
"""The address of whoever comes by a Unix socket."""

MAX_CHARACTERS = 64
"""Of an address with its port; what is longer is none, and isn't remembered."""

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# A parameter `for` of RFC 7239, section 4; what else an element holds is skipped. Nothing here can backtrack.
_ELEMENT = re.compile(r'(?:[^,"]|"[^"]*")+')
_FOR = re.compile(r'(?:^|;)[ \t]*for="?([^";]*)', re.IGNORECASE)
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


def networks_of(trusted: Sequence[str]) -> list[Network]:
    """The networks among `trusted`, which are CIDRs, addresses, or `UNIX_PEER`.

    Raises:
        ValueError: one is something else.
    """
    return [ipaddress.ip_network(each, strict=False) for each in trusted if each != UNIX_PEER]


class TrustedProxies:
    """Finds out whose request it is.

    Args:
        trusted: CIDRs and addresses of proxies, and `UNIX_PEER` for all that come by a Unix socket.

    Raises:
        ValueError: one is something else.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        networks = networks_of(trusted)
        is_unix_trusted = UNIX_PEER in trusted

        def trusts(peer: str) -> bool:
            address = address_in(peer)
            if address is None:
                return peer == UNIX_PEER and is_unix_trusted
            return any(address in network for network in networks)

        self._trusts: Callable[[str], bool] = lru_cache(maxsize=4_096)(trusts)

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """The address of the client behind `peer`, which sent `headers`; `peer` itself where nobody is trusted to know.

        Where both headers are there and tell of two clients, neither counts: a proxy that writes the one hands on
        what the client wrote into the other.
        """
        if not self._trusts(peer):
            return peer
        lists = [
            [part.strip() for part in headers.get("x-forwarded-for", "").split(",")],
            _named_by(headers.get("forwarded", "")),
        ]
        found = {self._behind(peer, names) for names in lists if any(names)}
        return found.pop() if len(found) == 1 else peer

    def _behind(self, peer: str, names: list[str]) -> str:
        """The first that isn't trusted of `names`, read from the right; what is no address ends the list."""
        client = peer
        while names and self._trusts(client):
            address = address_in(names.pop())
            if address is None:
                break
            client = str(address)
        return client


def _named_by(forwarded: str) -> list[str]:
    """What the parameters `for` of a header `Forwarded` name, an element each."""
    if forwarded.count('"') % 2:  # the client's part would swallow the beginning of its proxy's
        return ["malformed"]
    found = [_FOR.search(element) for element in _ELEMENT.findall(forwarded)]
    return [name[1].strip() if name else "" for name in found]


def address_in(text: str) -> Address | None:
    """The address that `text` spells, with or without a port; None where it is none."""
    return _address_in(text) if len(text) <= MAX_CHARACTERS else None


@lru_cache(maxsize=4_096)
def _address_in(text: str) -> Address | None:
    with_port = _WITH_PORT.fullmatch(text)
    if with_port:
        text = with_port[1] or with_port[2]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
