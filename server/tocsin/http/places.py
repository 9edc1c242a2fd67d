"""Which addresses the hosts mean that the hub is to listen on: each once, though two of them mean it."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence

from tocsin.errors import SettingsError
from tocsin.settings import Settings
from tocsin.settings.addresses import UNIX

EVERY_ADDRESS = "::"
"""Of IPv4 too, as the hub binds it."""

EVERY_IPV4 = "0.0.0.0"


def addresses_by_host(hosts: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The hosts in their order, each with the addresses to bind for it; for a Unix socket its path.

    An address that an earlier host means, or that is among those of `::` or 0.0.0.0, is bound with these; a host that
    has no other one is left out.

    Raises:
        SettingsError: a host can't be resolved.
    """
    meant = [(host, _addresses_of(host)) for host in hosts]
    wide = {address for _, addresses in meant for address in addresses}
    taken: set[str] = set()
    found: list[tuple[str, list[str]]] = []
    for host, addresses in meant:
        own = [each for each in addresses if each not in taken and not _is_among(each, wide)]
        taken.update(own)
        if own:
            found.append((host, own))
    return found


def check_metrics_port(settings: Settings) -> None:
    """Judge whether the metrics have a port of their own, where they have a listener of their own.

    Raises:
        SettingsError: the hub is to listen there too, or a host can't be resolved.
    """
    if not settings.metrics_address:
        return
    host, first = settings.metrics_address
    ports = range(first, first + settings.process_count) if first else ()
    if settings.port not in ports:
        return
    of_metrics = _addresses_of(host, "metrics_listen")
    of_hub = [each for _, addresses in addresses_by_host(settings.host) for each in addresses]
    if any(
        one == other or _is_among(one, {other}) or _is_among(other, {one})
        for one in of_metrics
        for other in of_hub
    ):
        several = f" (and the {len(ports) - 1} ports behind it)" if len(ports) > 1 else ""
        raise SettingsError(
            f"metrics_listen: {settings.metrics_listen!r}{several}: the hub itself is to listen there, by host and"
            f" port ({settings.port}); allowed: another port"
        )


def _is_among(address: str, others: set[str]) -> bool:
    """Whether one of `others` is every address of a kind, `address` among them, and not `address` itself."""
    if address.startswith("/") or address == EVERY_ADDRESS:
        return False
    if EVERY_ADDRESS in others:
        return True
    return EVERY_IPV4 in others and address != EVERY_IPV4 and ":" not in address


def _addresses_of(host: str, setting: str = "host") -> list[str]:
    """The addresses that `host` means, in one spelling; of a Unix socket its path."""
    if host.startswith(UNIX):
        return [os.path.realpath(host.removeprefix(UNIX))]
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise not_of_this_machine(setting, host, error) from None
    # The first is what a machine without IPv6 has, where a name means both.
    addresses = [_spelled(each[4]) for each in sorted(found, key=lambda each: each[0])]
    is_ipv6_missing = ":" not in addresses[0] and not _has_ipv6()
    return [each for each in dict.fromkeys(addresses) if not (is_ipv6_missing and ":" in each)]


def not_of_this_machine(setting: str, host: str, error: Exception) -> SettingsError:
    """What is said of a host that can't be listened on."""
    return SettingsError(f"{setting}: {host!r}: allowed: an address of this machine ({error})")


def _spelled(address: tuple[object, ...]) -> str:
    """The address of a socket in its one spelling, with the scope that it has; one of IPv4 as that."""
    text = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]  # type: ignore[arg-type]
    parsed = ipaddress.ip_address(text)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or text)


def _has_ipv6() -> bool:
    """Whether this machine has it: in containers a name may mean `::1`, which nobody can bind."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
