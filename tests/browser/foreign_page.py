"""A page that isn't the hub's, and what it tries on a hub."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.hub_process import HubProcess

EVIL = "evil.example"
"""A host name that the browsers of these tests resolve to 127.0.0.1."""

HTML = b"<!doctype html><title>elsewhere</title><link rel=icon href=data:,>"


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(HTML)))
        self.end_headers()
        self.wfile.write(HTML)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


@contextmanager
def foreign_page() -> Iterator[int]:
    """A server of such a page; yields its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


TRY_ALL = """async (hub) => {
  const outcomes = {};
  const attempt = async (name, ask) => {
    try {
      outcomes[name] = await ask();
    } catch {
      outcomes[name] = "blocked";
    }
  };
  const body = JSON.stringify({ type: "notification", message: "from a foreign page" });
  const post = async (type, more = {}) => {
    const headers = { "Content-Type": type };
    const answer = await fetch(`${hub}/api/notify`, { method: "POST", body, headers, ...more });
    return answer.status || answer.type;
  };
  await attempt("json", () => post("application/json"));
  await attempt("text", () => post("text/plain"));
  await attempt("unread text", () => post("text/plain", { mode: "no-cors" }));
  await attempt("untyped", async () => {
    const more = { method: "POST", body: new Blob([body]), mode: "no-cors" };
    const answer = await fetch(`${hub}/api/notify`, more);
    return answer.status || answer.type;
  });
  await attempt("form", () => new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.name = "answer";
    const form = document.createElement("form");
    Object.assign(form, { method: "post", enctype: "text/plain", target: "answer" });
    form.action = `${hub}/api/notify`;
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name: body.slice(0, -1) + ',"data":{"x":"', value: '"}}' });
    form.append(field);
    document.documentElement.append(frame, form);
    frame.onload = () => done("answered");
    form.submit();
  }));
  await attempt("history", async () => (await fetch(`${hub}/api/history`)).status);
  await attempt("metrics", async () => (await fetch(`${hub}/metrics`)).status);
  const stream = (withCredentials) => new Promise((done) => {
    const events = new EventSource(`${hub}/events`, { withCredentials });
    const end = (outcome) => {
      events.close();
      done(outcome);
    };
    events.addEventListener("connection", () => end("read"));
    events.onerror = () => end("blocked");
  });
  await attempt("stream", () => stream(false));
  await attempt("stream with credentials", () => stream(true));
  return outcomes;
}"""
"""Each way in which a page can ask a hub at another origin; yields by name a status, or in words what came of it."""

NOTHING = {
    "json": "blocked",
    "text": "blocked",
    "unread text": "opaque",
    "untyped": "opaque",
    "form": "answered",
    "history": "blocked",
    "metrics": "blocked",
    "stream": "blocked",
    "stream with credentials": "blocked",
}
"""What a page of another origin gets: no answer that it could read."""

LISTED = NOTHING | {
    "json": 200,
    "text": 415,
    "history": 200,
    "stream": "read",
    "stream with credentials": "read",
}
"""What a page of a listed origin gets."""

MISDIRECTED = {
    "json": 421,
    "text": 421,
    "unread text": 421,
    "untyped": 421,
    "form": "answered",
    "history": 421,
    "metrics": 421,
    "stream": "blocked",
    "stream with credentials": "blocked",
}
"""What a page gets whose own host name resolves to the hub."""


def answered(hub: HubProcess, code: int) -> float:
    """How many POSTs the hub has answered with `code`."""
    return hub.metric(f'tocsin_http_requests_total{{code="{code}",handler="notify",method="POST"}}')


def published(hub: HubProcess) -> int:
    """How many events the hub has taken."""
    count: int = hub.get("/api/stats")["published"]
    return count
