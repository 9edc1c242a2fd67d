"""A hub whose streams follow a script, before a real one that serves everything else.

What a real hub does rarely, or only to others, a test can have it do now: refuse, fall silent, answer
with exactly these bytes.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOP_BY_HOP = ("connection", "transfer-encoding", "content-length")


@dataclass(frozen=True)
class Answer:
    """To one request of a stream; with `hold`, the body doesn't end until the hub is closed."""

    body: bytes = b""
    status: int = 200
    content_type: str | None = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    hold: bool = False


Script = Callable[[str, int], Answer | None]
"""Given the path of a request and how many came before it, the answer; None asks the real hub."""


class ScriptedHub:
    """Listens on a free port of this machine. `requests` has the `Last-Event-ID` of each stream."""

    def __init__(self, target_port: int, script: Script) -> None:
        self.requests: list[str | None] = []
        self._target_port = target_port
        self._script = script
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port: int = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub._answer(self)

            def do_POST(self) -> None:
                hub._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the tests' output is theirs."""

        return Handler

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        answer = self._script(path, len(self.requests))
        if answer is None:
            self._forward(request)
            return
        self.requests.append(request.headers["Last-Event-ID"])
        try:
            self._send(request, answer)
        except OSError:  # the browser left first
            return

    def _send(self, request: BaseHTTPRequestHandler, answer: Answer) -> None:
        request.send_response(answer.status)
        if answer.content_type is not None:
            request.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(answer.body)
        request.wfile.flush()
        if answer.hold:
            self._closing.wait()
        request.close_connection = True

    def _forward(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"] or 0))
        upstream = http.client.HTTPConnection("127.0.0.1", self._target_port)
        with suppress(OSError, http.client.HTTPException), closing(upstream):
            upstream.request(request.command, request.path, body, dict(request.headers))
            response = upstream.getresponse()
            request.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    request.send_header(name, value)
            request.end_headers()
            while piece := response.read1(65_536):
                request.wfile.write(piece)
                request.wfile.flush()


def on_stream(*answers: Answer) -> Script:
    """A script for `/events`: one answer after the other, and the last one for ever."""

    def script(path: str, before: int) -> Answer | None:
        return answers[min(before, len(answers) - 1)] if path == "/events" else None

    return script


def welcome(id: str = "5-0", heartbeat_s: float = 30, **more: object) -> bytes:
    """The first block of a stream."""

    data = {"id": 1, "clients": 1, "resumed": False, "replayed": 0, "missed": 0} | more
    text = json.dumps(data | {"heartbeat": heartbeat_s})
    return f"retry: 1000\nevent: connection\ndata: {text}\nid: {id}\n\n".encode()


def note(*ids: str) -> bytes:
    """Published events whose message is their id."""
    return b"".join(
        f'event: notification\ndata: {{"message": "{id}"}}\nid: {id}\n\n'.encode() for id in ids
    )
