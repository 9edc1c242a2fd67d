"""Which hosts a request may name, as long as whoever reaches the hub may do everything.

A page that has its own name resolved to 127.0.0.1 (DNS rebinding) is of the hub's origin for its browser, and CORS
doesn't hold it back. Only the header `Host` tells: a browser sends the name that the page was loaded from.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from tocsin.errors import Refused
from tocsin.http.request import Request
from tocsin.settings import Settings
from tocsin.settings.addresses import UNIX, host_name, host_of, is_loopback

MAX_KNOWN = 64
"""Spellings of `Host` that are remembered as taken: a client sends the same one again and again."""

SHOWN_CHARACTERS = 256

log = logging.getLogger("tocsin.http")


class Hosts:
    """Refuses requests for other hosts.

    Args:
        names: that are taken, whatever the port; in lower case.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._known: set[str] = set()

    def check(self, request: Request) -> None:
        """Judge `request` by its `Host`; one that has none (HTTP/1.0) comes from no browser, nor does the hub's own.

        Raises:
            Refused: it names another host.
        """
        host = request.headers.get("host")
        if host in self._known or not host or request.is_internal:
            return
        if host_name(host) not in self._names:
            shown = host[:SHOWN_CHARACTERS]
            log.warning(
                "request refused: its Host is neither public_url's nor an allowed_host",
                extra={"host": shown, "path": request.path[:SHOWN_CHARACTERS]},
            )
            raise Refused(
                f"the hub doesn't answer for the host {shown!r}: start it with --allowed-host or --public-url",
                code="unknown_host",
                status=421,
            )
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known.add(host)


def hosts_at(addresses: Collection[str], settings: Settings) -> Hosts | None:
    """What a listener on `addresses` takes; None is any host.

    Beyond loopback, whoever may connect needs no page for it; and with authentication a page has no credentials.
    """
    if (
        settings.has_authentication
        or settings.insecure
        or "*" in settings.allowed_host
        or not all(map(is_loopback, addresses))
    ):
        return None
    own = {f"[{a}]" if ":" in a else a for a in map(str.lower, addresses) if not a.startswith(UNIX)}
    names = {"localhost", "127.0.0.1", "[::1]", *own, host_of(settings.public_url)}
    return Hosts(frozenset({*names, *settings.allowed_host} - {""}))
