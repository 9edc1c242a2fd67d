"""What the hub says on standard output when it listens: where, and how to publish to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from shlex import quote

from tocsin.settings.addresses import UNIX

EVERY = {
    "0.0.0.0": " (every IPv4 address of this machine)",
    "::": " (every address of this machine)",
}


def address_for_clients(host: str, port: int, *, is_tls: bool) -> str:
    """The address of `host` as clients name it; `port` is 0 for a Unix socket."""
    return f"{'https' if is_tls else 'http'}://{_shown(host)}:{port}" if port else host


def greeting(hosts: Iterable[str], addresses: Sequence[str], form: str = "text") -> str:
    """A line for each host, with its address for clients, one that publishes, and where the API is described.

    Where the log's form is ``json``, the addresses as one line of it: who collects both outputs can parse all of it.
    """
    if form == "json":
        line = {"level": "INFO", "logger": "tocsin", "message": "listens", "addresses": addresses}
        return json.dumps(line)
    lines = [
        f"Tocsin listens at {address}{EVERY.get(host, '')}"
        for host, address in zip(hosts, addresses, strict=True)
    ]
    first = addresses[0]
    is_unix = first.startswith(UNIX)
    if is_unix:
        first = f"--unix-socket {quote(first.removeprefix(UNIX))} http://localhost"
    return "\n".join(
        [
            *lines,
            f"Publish:  curl -X POST {first}/api/notify"
            """ -H "Content-Type: application/json" -d '{"type": "system_alert", "message": "Bonjour"}'""",
            *([] if is_unix else [f"API:      {first}/docs"]),
        ]
    )


def _shown(host: str) -> str:
    if host in (*EVERY, "127.0.0.1"):
        return "localhost"
    return f"[{host}]" if ":" in host else host
