"""One visit of the doctor: requests as a client would send them, and streams read piece by piece."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from tocsin.client import ClientError, Event, EventStreamParser

ANSWER_S = 10.0
"""How long an answer may take, and a first event."""

MAX_BODY_BYTES = 256 * 1024


class Wrong(Exception):
    """An answer that isn't what it should be; the text says what came instead."""


class Stop(Exception):
    """There is no point in going on: what was found says why."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer with its body, or the beginning of it."""

    status: int
    headers: httpx.Headers
    body: bytes

    def json(self) -> dict[str, Any]:
        """The object in the body; empty where it is none."""
        try:
            said = json.loads(self.body)
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}

    @property
    def is_of_the_hub(self) -> bool:
        """Whether it is JSON with a word of the hub's, so that no proxy gave it."""
        said = self.json()
        return "code" in said or "success" in said or "status" in said


class OpenStream:
    """A stream that is open.

    Attributes:
        headers: of its answer.
        opened_at: when it was opened, by the monotonic clock.
        has_ended: whether its end was read.
        comments: how many pieces held a comment line, which is what a heartbeat is.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.headers = response.headers
        self.opened_at = time.monotonic()
        self.has_ended = False
        self.comments = 0
        self._pieces = response.aiter_bytes()  # decoded: a proxy may compress
        self._parser = EventStreamParser()
        self._events: list[Event] = []

    async def next(self, timeout_s: float = ANSWER_S) -> Event:
        """The next event.

        Raises:
            Wrong: none came in time, or the stream ended.
        """
        deadline = time.monotonic() + timeout_s
        while not self._events:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not await self.piece(left_s):
                reason = (
                    "the stream ended" if self.has_ended else f"no event within {timeout_s:g} s"
                )
                raise Wrong(reason)
        return self._events.pop(0)

    async def next_of(self, id: str, timeout_s: float = ANSWER_S) -> float:
        """Wait for the event of this id, and return when it came, by the monotonic clock."""
        while (await self.next(timeout_s)).id != id:
            pass
        return time.monotonic()

    async def piece(self, timeout_s: float) -> bool:
        """Whether any bytes came in time; their events are kept."""
        try:
            async with asyncio.timeout(timeout_s):
                data = await anext(self._pieces, None)
            if data is not None:
                self.comments += data.startswith(b":") or b"\n:" in data
                self._events += self._parser.feed(data)
                return True
        except TimeoutError:
            return False
        except (httpx.HTTPError, ClientError):
            pass  # broken, or unreadable: nothing more comes
        self.has_ended = True
        return False


class Visit:
    """Requests to the hub at `url`.

    Args:
        url: its address.
        token: who asks; empty is nobody.
        topic: to publish on and to read; empty draws one that nobody else has, and a new one with `new_topic`.
        client: sends the requests.

    Attributes:
        topic: that is used now.
        proxy: the one that was recognised; empty is none.
        heartbeat_s: the hub's.
        is_held_back: whether it is known that events don't come through.
    """

    def __init__(self, url: str, token: str, topic: str, client: httpx.AsyncClient) -> None:
        self.url = url.rstrip("/")
        self.topic = topic or drawn_topic()
        self.proxy = ""
        self.heartbeat_s = 30.0
        self.is_held_back = False
        self._is_drawn = not topic
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def new_topic(self) -> None:
        """Go on with a topic that has no streams, not even ones that are closed and that the hub still has."""
        if self._is_drawn:
            self.topic = drawn_topic()

    @property
    def parts(self) -> tuple[str, int, bool]:
        """Host, port, and whether it is HTTPS."""
        split = urlsplit(self.url)
        is_https = split.scheme == "https"
        return split.hostname or "", split.port or (443 if is_https else 80), is_https

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        with_token: bool = True,
    ) -> Answered:
        """One request, and the beginning of what is answered.

        Raises:
            httpx.HTTPError: no answer came.
        """
        fields = {**(self._headers if with_token else {}), **(headers or {})}
        async with self._client.stream(
            method, self.url + path, headers=fields, content=content, timeout=ANSWER_S
        ) as response:
            body = bytearray()
            if "text/event-stream" not in response.headers.get("content-type", ""):
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > MAX_BODY_BYTES:
                        break
            return Answered(response.status_code, response.headers, bytes(body))

    async def publish(self) -> tuple[str, int]:
        """Publish an event, and return its id and how many streams were open for it.

        Raises:
            Wrong: it was not published.
        """
        event = {"type": "notification", "message": "tocsin doctor", "topic": self.topic}
        answer = await self.ask(
            "POST",
            "/api/notify",
            headers={"Content-Type": "application/json"},
            content=json.dumps(event).encode(),
        )
        said = answer.json()
        if answer.status != 200 or "id" not in said:
            raise Wrong(
                f"publishing was answered with {answer.status} {said.get('error', '')}".strip()
            )
        return str(said["id"]), int(said.get("sentTo", 0))

    @asynccontextmanager
    async def stream(
        self, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[OpenStream]:
        """A stream of the visit's topic, asked for as a browser would.

        Raises:
            Wrong: it was not given.
            httpx.HTTPError: no answer came.
        """
        fields = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "gzip, deflate",
            "Cache-Control": "no-cache",
            **self._headers,
            **(headers or {}),
        }
        timeout = httpx.Timeout(ANSWER_S, read=None)
        request = self._client.build_request(
            "GET",
            self.url + "/events",
            params={"topic": self.topic, **(query or {})},
            headers=fields,
            timeout=timeout,
        )
        try:
            async with asyncio.timeout(ANSWER_S):
                response = await self._client.send(request, stream=True)
        except TimeoutError:
            raise Wrong(f"no head of an answer within {ANSWER_S:g} s") from None
        try:
            kind = response.headers.get("content-type", "").partition(";")[0]
            if response.status_code != 200 or kind != "text/event-stream":
                raise Wrong(f"{response.status_code} {kind or 'without a type'}")
            yield OpenStream(response)
        finally:
            await response.aclose()

    async def bytes_for(self, request: bytes) -> bytes:
        """What is answered to bytes that need be no HTTP, up to 4 KiB; empty where nothing is."""
        host, port, is_https = self.parts
        context = trusted() if is_https else None
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_connection(host, port, ssl=context)
                try:
                    writer.write(request)
                    return await reader.read(4096)
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return b""

    async def protocol(self) -> str:
        """Which protocol TLS agrees on with a browser, ``h2`` or ``http/1.1``; empty where there is no TLS."""
        host, port, is_https = self.parts
        if not is_https:
            return ""
        context = trusted()
        context.set_alpn_protocols(["h2", "http/1.1"])
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
        found = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        writer.close()
        return found or "http/1.1"


def drawn_topic() -> str:
    """A topic that nobody else has."""
    return f"doctor/{secrets.token_hex(8)}"


def trusted() -> ssl.SSLContext:
    """What the system trusts, or SSL_CERT_FILE names."""
    return ssl.create_default_context()
