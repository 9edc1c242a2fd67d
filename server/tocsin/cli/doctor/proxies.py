"""Which proxy answers: told by its header fields, or by how it refuses what is no HTTP."""

from __future__ import annotations

from collections.abc import Mapping

SERVERS = ("nginx", "caddy", "envoy", "apache", "varnish", "haproxy", "cloudflare", "awselb")
"""What `Server` or `Via` begins with, or holds, in small letters."""

NO_HTTP = b"\x00 / HTTP/1.1\r\nHost: x\r\n\r\n"
"""A proxy answers this itself; the method is none."""

PAGES = (
    (b"Your browser sent an invalid request.", "haproxy"),
    (b"<center>nginx", "nginx"),
    (b"server: envoy", "envoy"),
    (b"Server: Apache", "apache"),
    (b"<address>Apache", "apache"),
)
"""What is in its refusal."""


def by_headers(headers: Mapping[str, str]) -> str:
    """The proxy that header fields of an answer tell of; empty where they tell of none."""
    for field in ("via", "server"):
        value = headers.get(field, "").lower()
        for name in SERVERS:
            if name in value:
                return name
    marks = {
        "x-varnish": "varnish",
        "x-envoy-upstream-service-time": "envoy",
        "cf-ray": "cloudflare",
    }
    return next((name for field, name in marks.items() if field in headers), "")


def by_refusal(answer: bytes) -> str:
    """The proxy whose refusal this is; empty where nothing tells."""
    return next((name for part, name in PAGES if part in answer), "")
