"""Origins and hosts, each in the one spelling in which they are compared."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)"
_AUTHORITY = rf"{_HOST}(?::[0-9]{{1,5}})?"

ORIGIN = rf"^(\*|null|[A-Za-z][A-Za-z0-9+.-]*://{_AUTHORITY}/?)$"
"""An origin as people write it; `*` is any, `null` that of a page without one (a file, a sandboxed frame)."""

HOST_NAME = rf"^(\*|{_HOST})$"
"""A host without its port; `*` is any."""

URL = rf"^(https?://{_AUTHORITY}(/[^\s?#]*)?)?$"
"""An address without query, or nothing."""

UNIX = "unix:"
"""What an address to listen on begins with that is the path of a Unix socket."""

DEFAULT_PORTS = {"http": 80, "https": 443}

_HOST_AND_PORT = re.compile(rf"({_HOST})(?::([0-9]*))?")
_URL_PARTS = re.compile(rf"([^:/]+)://({_HOST})(?::([0-9]+))?(?:/.*)?")


def origin_of(url: str) -> str:
    """The origin of `url` as browsers send it: in lower case, without its scheme's own port, no slash behind it.

    `url` itself where it has no scheme, as `*` and `null` have none.

    Raises:
        ValueError: its port is no port.
    """
    parts = _URL_PARTS.fullmatch(url)
    if parts is None:
        return url
    scheme, host, port = parts[1].lower(), parts[2].lower(), int(parts[3] or 0)
    if port > 65_535:
        raise ValueError(f"{url!r}: allowed: a port up to 65535")
    shown = f":{port}" if port and port != DEFAULT_PORTS.get(scheme) else ""
    return f"{scheme}://{host}{shown}"


def host_name(host: str) -> str:
    """The name in `host`, the value of a header `Host`: in lower case, without its port; empty if it is malformed."""
    parts = _HOST_AND_PORT.fullmatch(host)
    return parts[1].lower().removesuffix(".") if parts else ""


def host_of(url: str) -> str:
    """The same for the host that `url` names; empty if it names none."""
    return host_name(origin_of(url).partition("://")[2])


@lru_cache(maxsize=4_096)
def network_of(address: str) -> str:
    """What limits by address go by: an address of IPv4 itself, the /64 of one of IPv6; other text as it is."""
    try:
        is_ipv6 = ipaddress.ip_address(address).version == 6
    except ValueError:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False)) if is_ipv6 else address


def check_network(key: str, text: str) -> None:
    """Judge what `key` names: a network as CIDR, an address, or `unix`.

    Raises:
        ValueError: it is none of these.
    """
    if text != "unix":
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(
                f"{key}: {text!r}: allowed: a network such as 10.0.0.0/8, or unix"
            ) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`.

    An address of this machine, `localhost`, or a Unix socket. Other names are not resolved: what they mean can change.
    """
    if host.startswith(UNIX):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
