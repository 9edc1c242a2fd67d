"""What the doctor found, and what cures it, by the proxy that it recognised. The cures are those of docs/proxies.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "wrong", "skipped"]
"""``note`` is nothing wrong, but worth knowing; ``wrong`` loses events or clients, or delays them."""

PAGE = "docs/proxies.md"
FILES = {
    "nginx": "config/proxies/nginx.conf",
    "haproxy": "config/proxies/haproxy.cfg",
    "caddy": "config/proxies/Caddyfile",
    "varnish": "config/proxies/varnish.vcl",
    "apache": "config/proxies/apache.conf",
    "envoy": "config/proxies/envoy.yaml",
}
"""Of each proxy that is recognised and has a file."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them.

    Attributes:
        check: what was tried, in a word.
        verdict: how it went.
        text: what was seen.
        cure: what to change; empty where there is nothing to.
    """

    check: str
    verdict: Verdict
    text: str
    cure: str = ""


CURES: dict[str, dict[str, str]] = {
    "buffering": {
        "nginx": "in the location of /events: no `proxy_ignore_headers X-Accel-Buffering`, or `proxy_buffering off`",
        "apache": "`flushpackets=on` for the worker of /events, and no filter that collects",
        "varnish": "pipe /events: `return (pipe)` in vcl_recv",
        "": "let it pass on each piece of an answer of type text/event-stream at once",
    },
    "delay": {
        "haproxy": "`option http-no-delay`",
        "": "let it send small pieces at once (TCP_NODELAY)",
    },
    "compression": {
        "nginx": "take text/event-stream out of `gzip_types` (`*` has it)",
        "apache": "no DEFLATE for text/event-stream",
        "": "no compression of text/event-stream: the hub sends `no-transform`",
    },
    "ended": {
        "envoy": "`timeout: 0s` on the route of /events",
        "nginx": "`proxy_read_timeout 75s` in the location of /events",
        "haproxy": "`timeout client 75s` and `timeout server 75s`",
        "apache": "`ProxyTimeout 75`",
        "varnish": "`-p pipe_timeout=75`",
        "": "a time longer than two heartbeats for silent answers, and none for whole ones; or a shorter `--heartbeat`",
    },
    "resume": {"": "pass on the header Last-Event-ID and the query as they are"},
    "close": {
        "haproxy": "`option abortonclose`",
        "varnish": "pipe /events: `return (pipe)` in vcl_recv",
        "apache": "it has no way to: run the hub with `--heartbeat 10` and `--max-stream-age 3600`",
        "": "let it close its connection to the hub with that of the client; else `--heartbeat 10`, `--max-stream-age 3600`",
    },
    "body": {
        "nginx": "`client_max_body_size 4m`",
        "": "let bodies of 4 MiB (`--max-batch-bytes`) through",
    },
    "away": {
        "nginx": "`error_page 502 503 504 =200 @tocsin_away` in the location of /events",
        "haproxy": "`errorfile 502`, `503` and `504` of the backend of /events: config/proxies/haproxy-away.http",
        "caddy": "`handle_errors` with `respond` and status 200 on /events",
        "varnish": "pipe /events: a piped connection that fails is closed, and browsers come back",
        "apache": "a balancer with a standby member that serves config/proxies/apache-away.txt",
        "envoy": "`local_reply_config` with status 200 on /events",
        "": "answer 200, type text/event-stream, with `retry: 2000`, on /events alone",
    },
    "http2": {
        "nginx": "`listen 443 ssl http2`",
        "haproxy": "`bind :443 ssl crt … alpn h2,http/1.1`",
        "apache": "`Protocols h2 http/1.1`",
        "envoy": '`alpn_protocols: ["h2", "http/1.1"]`',
        "": "TLS with HTTP/2 in front of the hub",
    },
    "host": {"": "start the hub with `--public-url` (what browsers ask for) or `--allowed-host`"},
    "origin": {"": "start the hub with `--cors-origin` and the page's origin"},
    "origin_twice": {"": "let the proxy add no Access-Control headers: the hub does"},
    "clock": {"": "run NTP on both machines: tokens and their ends go by the clock"},
}
"""What is wrong, and by the proxy what to change; "" is for all others, and where none was recognised."""


def cure_of(problem: str, proxy: str) -> str:
    """What to change, for `proxy` where it has a cure of its own, and where to read on."""
    cures = CURES[problem]
    cure = cures.get(proxy, cures[""])
    return f"{cure} ({FILES[proxy]}, {PAGE})" if proxy in FILES and proxy in cures else cure
