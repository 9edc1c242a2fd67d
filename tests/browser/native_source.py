"""What a native EventSource meets with a ticket and with a session, written once for two browsers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.access.keys import SECRET, KeyFile, bearer, token
from tests.hub_process import HubProcess
from tests.patience import wait_until
from tests.raw import exchange, get, notice, post, raw

FLAGS = ("--retry", "1000", "--canary", "0")

FOLLOW = """async (it) => {
  const { how, token, until } = JSON.parse(it);
  const seen = [];
  const headers = { Authorization: `Bearer ${token}` };
  let address = "/events";
  if (how === "ticket") {
    const answer = await fetch("/api/ticket", { method: "POST", headers });
    address = "/" + (await answer.json()).events;
  } else {
    const answer = await fetch("/api/session", { method: "POST", headers });
    if (!answer.ok) return ["no session: " + answer.status];
  }
  const source = new EventSource(address);
  return new Promise((resolve) => {
    const tell = ({ type, data }) => {
      const { reason, message } = JSON.parse(data);
      seen.push(type === "notification" ? message : type + (reason ? ":" + reason : ""));
      if (message === until) { source.close(); resolve([...seen, document.cookie]); }
    };
    for (const type of ["connection", "busy", "notification"]) source.addEventListener(type, tell);
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) resolve([...seen, "closed"]);
    };
  });
}"""
"""Reads by a native EventSource up to an event, or until the browser gives up; returns what it met, in order."""


WAYS = ("ticket", "session")


@contextmanager
def native_hub(folder: Path) -> Iterator[tuple[HubProcess, KeyFile]]:
    """A hub with a key for everything, one for operators, and tokens."""
    keys = KeyFile(folder)
    keys.add("all", publish=["*"], subscribe=["*"])
    keys.add("ops", admin=True)
    hub = HubProcess("--keys", keys.path, *FLAGS, env={"TOCSIN_JWT_KEY": SECRET})
    try:
        yield hub, keys
    finally:
        hub.close()


def asked(how: str, text: str) -> str:
    """What `FOLLOW` is given."""
    return json.dumps({"how": how, "token": text, "until": "last"})


def short_lived() -> str:
    return token(lifetime_s=4, tocsin={"subscribe": ["*"]})


def cut_once_and_publish(hub: HubProcess, keys: KeyFile) -> threading.Thread:
    """Behind the first stream's back: an event, the end of the stream, an event while it is away, and a last one."""
    operator, writer = bearer(keys.secrets["ops"]), bearer(keys.secrets["all"])

    def streams() -> list[Any]:
        found: list[Any] = exchange(hub.port, get("/api/streams", operator)).json["streams"]
        return found

    def work() -> None:
        wait_until(streams)
        say(hub, writer, "first")
        number = streams()[0]["number"]
        exchange(
            hub.port,
            raw(f"DELETE /api/streams?number={number} HTTP/1.1", "Host: localhost", operator),
        )
        wait_until(lambda: not streams())
        say(hub, writer, "while away")
        wait_until(streams)
        say(hub, writer, "last")

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def say(hub: HubProcess, writer: str, message: str) -> None:
    assert exchange(hub.port, post(notice(message=message), writer)).status == 200


MET = ["connection", "first", "busy:operator", "connection", "while away", "last", ""]
"""The last one is `document.cookie`: no script sees the session."""
