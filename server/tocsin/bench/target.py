"""Where the load goes, and in which words: the requests of a hub, or of one of its peers.

A target is data: three templates in which ``{topic}`` and ``{message}`` are filled in. So that is all
it takes to measure another server with the same generator.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tocsin.bench.errors import BenchError


@dataclass(frozen=True)
class Target:
    """One server and its dialect.

    Args:
        host: a name or an address.
        port: its TCP port.
        events: path of the stream.
        publish: path of the POST.
        body: the POST's body, of type `content_type`.
    """

    host: str
    port: int
    events: str = "/events"
    publish: str = "/api/notify"
    body: str = '{"type":"bench","message":"{message}"}'
    content_type: str = "application/json"

    def address(self) -> tuple[socket.AddressFamily, Any]:
        """The address to connect to: its family, and what `connect` takes.

        Raises:
            BenchError: the name can't be resolved.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise BenchError(f"{self.host}: {error.strerror or error}") from None
        family, _, _, _, address = found[0]
        return family, address

    def subscribe_request(self, topic: str = "", last_event_id: str = "") -> bytes:
        """The GET that opens a stream; with `last_event_id`, after that event."""
        lines = [
            f"GET {self.events.replace('{topic}', topic)} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            "Accept: text/event-stream",
        ]
        if last_event_id:
            lines.append(f"Last-Event-ID: {last_event_id}")
        return "\r\n".join([*lines, "", ""]).encode()

    def publish_request(self, message: bytes, topic: str = "") -> bytes:
        """The POST of one event, whose message is plain ASCII without quotes."""
        body = self.body.replace("{topic}", topic).encode().replace(b"{message}", message)
        return self.request_of(body, topic)

    def request_of(self, body: bytes, topic: str = "", content_type: str = "") -> bytes:
        """The POST of any body."""
        head = (
            f"POST {self.publish.replace('{topic}', topic)} HTTP/1.1\r\n"
            f"Host: {self.host}:{self.port}\r\n"
            f"Content-Type: {content_type or self.content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def hub_at(url: str) -> Target:
    """The target for the hub at `url`, whose streams get the events of one topic only.

    Raises:
        BenchError: `url` isn't an ``http://`` address.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        raise BenchError(f"{url}: {error}") from None
    if parts.scheme != "http" or not host:
        raise BenchError(f"{url}: allowed: http://HOST[:PORT][/PATH]")
    path = parts.path.rstrip("/")
    return Target(
        host,
        port,
        events=path + "/events?topic={topic}",
        publish=path + "/api/notify",
        body='{"type":"bench","message":"{message}","topic":"{topic}"}',
    )
