"""Clients that others wrote, all in one form: what each has seen, stream by stream."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import aiohttp_sse_client.client
import httpx
import httpx_sse
import ld_eventsource
import ld_eventsource.config
import requests
import requests_sse
import sseclient

from tests.browser.chromium import Chromium, chromium
from tests.browser.firefox import Firefox, firefox
from tests.patience import PATIENCE_S
from tests.tied import TIED
from tocsin.client import BlockingSubscription, State, subscribe_blocking

HERE = Path(__file__).parent

Seen = tuple[str, str, dict[str, Any]]
"""Event type, last event id, data."""


class Listener:
    """A client with a stream at each of some URLs.

    Attributes:
        streams: what each stream has seen.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self.streams: list[list[Seen]] = [[] for _ in urls]
        self.stopped = False

    @property
    def seen(self) -> list[Seen]:
        """What the first stream has seen."""
        return self.streams[0]

    def of(self, type: str, stream: int = 0) -> list[Seen]:
        return [seen for seen in self.streams[stream] if seen[0] == type]

    def ids(self, stream: int = 0) -> list[str]:
        return [id for _, id, _ in self.of("notification", stream)]

    def stop(self) -> None:
        self.stopped = True


Browse = Callable[[], AbstractAsyncContextManager[Chromium | Firefox]]

Connect = Callable[[str, str], Iterator[Seen]]
"""From a URL and the last event id, empty if there is none, to what comes on one connection, or on several."""

FAILURES = (
    httpx.HTTPError,
    httpx_sse.SSEError,
    requests.RequestException,
    aiohttp.ClientError,
    ConnectionError,
)


class PythonListener(Listener):
    """A Python library, a thread a stream; where it gives up, it is asked again, from the last event id."""

    def __init__(self, urls: Sequence[str], connect: Connect) -> None:
        super().__init__(urls)
        self._connect = connect
        for url, stream in zip(urls, self.streams, strict=True):
            threading.Thread(target=self._listen, args=(url, stream), daemon=True).start()

    def _listen(self, url: str, stream: list[Seen]) -> None:
        last_event_id = ""
        while not self.stopped:
            with suppress(*FAILURES):
                for seen in self._connect(url, last_event_id):
                    if self.stopped:
                        return
                    stream.append(seen)
                    last_event_id = seen[1] or last_event_id  # of sseclient-py, an id is not sticky
            time.sleep(0.2)


class ProgramListener(Listener):
    """A program that is given the URLs, and prints each event as a line of JSON."""

    def __init__(self, command: Sequence[str], urls: Sequence[str]) -> None:
        super().__init__(urls)
        self._process = subprocess.Popen(
            [*TIED, *command, *urls], cwd=HERE, stdout=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            event = json.loads(line)
            seen = event["type"], event["lastEventId"], json.loads(event["data"])
            self.streams[event["stream"]].append(seen)

    @property
    def has_ended(self) -> bool:
        """Whether the program says that it is done."""
        return self._process.poll() is not None

    def stop(self) -> None:
        super().stop()
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        assert self._process.stdout
        self._process.stdout.close()


class BrowserListener(Listener):
    """A browser's own EventSource, in a page of the origin of the first URL."""

    OPEN = """(urls) => {
      globalThis.seen = [];
      JSON.parse(urls).forEach((url, stream) => {
        const source = new EventSource(url);
        for (const type of ["connection", "gap", "notification", "message", "busy", "end"]) {
          source.addEventListener(type, ({ data, lastEventId }) => {
            globalThis.seen.push([stream, type, lastEventId, data]);
          });
        }
      });
      return true;
    }"""
    TAKE = "() => globalThis.seen.splice(0)"

    def __init__(
        self,
        browse: Browse,
        urls: Sequence[str],
    ) -> None:
        super().__init__(urls)
        self._browse = browse
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen(urls)))
        self._thread.start()

    async def _listen(self, urls: Sequence[str]) -> None:
        async with self._browse() as browser:
            await browser.goto(urls[0].partition("/events")[0] + "/healthz")
            await browser.evaluate(self.OPEN, json.dumps(urls))
            while not self.stopped:
                for stream, type, id, data in await browser.evaluate(self.TAKE, ""):
                    self.streams[stream].append((type, id, json.loads(data)))
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        super().stop()
        self._thread.join(PATIENCE_S)


class TocsinListener(Listener):
    """The hub's own client for Python, a thread a stream. What others hand out as events it tells as states."""

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__(urls)
        self._subscriptions = list(map(self._subscribe, urls, self.streams))
        for subscription, stream in zip(self._subscriptions, self.streams, strict=True):
            thread = threading.Thread(target=self._listen, args=(subscription, stream))
            thread.daemon = True
            thread.start()

    def _subscribe(self, url: str, stream: list[Seen]) -> BlockingSubscription:
        place, _, query = url.partition("/events")

        def note(state: State) -> None:
            busy = re.fullmatch(r"the hub is busy \((.*)\)", state.reason)
            if state.name == "open":
                stream.append(("connection", subscription.last_event_id, dict(state.welcome)))
            elif busy:
                stream.append(("busy", subscription.last_event_id, {"reason": busy[1]}))

        client = httpx.Client(params=dict(parse_qsl(query[1:])))
        subscription = subscribe_blocking(place, on_state=note, client=client)
        return subscription

    @staticmethod
    def _listen(subscription: BlockingSubscription, stream: list[Seen]) -> None:
        for event in subscription:
            stream.append((event.type, event.id, event.json()))

    def stop(self) -> None:
        super().stop()
        for subscription in self._subscriptions:
            subscription.close()


# --- Python's libraries, each as its documentation says -------------------------------------------


def with_httpx_sse(url: str, last_event_id: str) -> Iterator[Seen]:
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    with (
        httpx.Client(timeout=PATIENCE_S) as client,
        httpx_sse.connect_sse(client, "GET", url, headers=headers) as source,
    ):
        for event in source.iter_sse():
            yield event.event, event.id, event.json()


def with_sseclient(url: str, last_event_id: str) -> Iterator[Seen]:
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    with requests.get(url, stream=True, headers=headers, timeout=PATIENCE_S) as response:
        for event in sseclient.SSEClient(response.iter_content(None)).events():
            last_event_id = event.id or last_event_id  # an event without one has that of the last
            yield event.event, last_event_id, json.loads(event.data)


def with_requests_sse(url: str, last_event_id: str) -> Iterator[Seen]:
    with requests_sse.EventSource(url, timeout=PATIENCE_S, latest_event_id=last_event_id) as source:
        for event in source:
            yield event.type, event.last_event_id, json.loads(event.data)


def with_aiohttp_sse_client(url: str, last_event_id: str) -> Iterator[Seen]:
    async def listen() -> AsyncIterator[Seen]:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        async with aiohttp_sse_client.client.EventSource(url, headers=headers) as source:
            async for event in source:
                yield event.type, event.last_event_id, json.loads(event.data)

    with asyncio.Runner() as runner:
        events = listen()
        try:
            while True:
                yield runner.run(anext(events))  # type: ignore[arg-type]
        except StopAsyncIteration:
            pass
        finally:
            runner.run(events.aclose())  # type: ignore[attr-defined]


def with_launchdarkly(url: str, last_event_id: str) -> Iterator[Seen]:
    client = ld_eventsource.SSEClient(
        url,
        error_strategy=ld_eventsource.config.ErrorStrategy.always_continue(),
        last_event_id=last_event_id or None,
    )
    try:
        for event in client.events:
            yield event.event, event.last_event_id or "", json.loads(event.data)
    finally:
        client.close()


PYTHON: dict[str, Connect] = {
    "httpx-sse": with_httpx_sse,
    "sseclient-py": with_sseclient,
    "requests-sse": with_requests_sse,
    "aiohttp-sse-client": with_aiohttp_sse_client,
    "launchdarkly-eventsource (Python)": with_launchdarkly,
}
BROWSERS: dict[str, Browse] = {"Chromium": chromium, "Firefox": firefox}
NPM = (
    "eventsource",
    "undici",
    "eventsource-client",
    "launchdarkly-eventsource",
    "@microsoft/fetch-event-source",
)
GO = "r3labs/sse (Go)"
OURS = "tocsin-client"
OURS_IN_PYTHON = "tocsin.client (Python)"
CLIENTS = (OURS, OURS_IN_PYTHON, *BROWSERS, *NPM, *PYTHON, GO)
"""All of them, by the names that docs/clients.md has."""

QUICK = (OURS, "sseclient-py", "eventsource")
"""Those that `make test` tries; `make soak` tries all."""


def listener_of(client: str, program: str, urls: Sequence[str]) -> Listener:
    """A stream of this client at each URL; `program` is node, or the built one of Go."""
    if client in PYTHON:
        return PythonListener(urls, PYTHON[client])
    if client == OURS_IN_PYTHON:
        return TocsinListener(urls)
    if client in BROWSERS:
        return BrowserListener(BROWSERS[client], urls)
    if client == GO:
        return ProgramListener([program], urls)
    return ProgramListener([program, "listen.mjs", client], urls)
