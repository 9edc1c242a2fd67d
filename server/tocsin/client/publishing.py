"""Publishing: an event or a batch, tried again until its outcome is known, and published once.

Every request has an idempotency key, so that an answer that was lost can be asked for again. What an answer means
is decided by `Attempts`; the two publishers, for asyncio and blocking, send.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import httpx

from tocsin.client.address import address
from tocsin.client.answers import (
    CONNECT_TIMEOUT_S,
    NEVER_SENT,
    error_of,
    is_hopeless,
    is_temporary,
    retry_after_s,
    unreachable,
)
from tocsin.client.errors import ClientError, Refused, Unauthorized, UnknownOutcome
from tocsin.client.tokens import AsyncToken, Token, async_token_of, authorization, token_of

PATIENCE_S = 30.0
"""How long is tried again before an error is raised."""

ANSWER_TIMEOUT_S = 10.0
"""How long one answer may take. The next attempt asks for it again."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 8.0

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""Of an answer: a batch of 100,000 events, the most that a hub can be told to take, has 5 MB of ids."""

Message = str | Mapping[str, Any]
"""The text of an event; or all of it, as docs/api.md has it: `type`, `message`, `topic`, `topics`, `data`, `final`."""


class Fields(TypedDict, total=False):
    """What an event may have beside its message, as docs/api.md has it.

    Where the message is a mapping, they fill in what it lacks. None is as if it were not there.

    Attributes:
        type: the event type, by default ``notification``.
        topic: where it goes.
        topics: further topics.
        data: an object.
        final: whether it ends its topics.
    """

    type: str
    topic: str | None
    topics: Sequence[str] | None
    data: Mapping[str, Any] | None
    final: bool | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the hub says of a published event.

    Attributes:
        id: the event's.
        recipients: the streams that were open for it.
        is_duplicate: whether it was published before, under the same idempotency key.
    """

    id: str
    recipients: int
    is_duplicate: bool


class Attempts:
    """One publish over all its attempts.

    Args:
        body, content_type: what is sent, the same each time.
        key: the idempotency key; empty is none, and then an unknown outcome is not tried again.
        patience_s: how long is tried again.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        body: bytes,
        content_type: str,
        key: str,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.body = body
        self.key = key
        self.headers = {"Content-Type": content_type} | ({"Idempotency-Key": key} if key else {})
        self._clock = clock
        self._deadline = clock() + patience_s
        self._pause_s = FIRST_PAUSE_S
        self._is_unknown = (
            False  # sticks: a later refusal says nothing of an attempt whose answer was lost
        )

    def answered(
        self, status: int, headers: Mapping[str, str], body: bytes
    ) -> dict[str, Any] | float:
        """What the answer means: what the hub said, or seconds to wait for the next attempt.

        Raises:
            ClientError: it is refused, or there is no time for another attempt.
        """
        if 200 <= status < 300:
            return self._success(body)
        error = error_of(status, headers, body)
        code = getattr(error, "code", "")
        if not is_temporary(status):
            raise error
        # Without a word of the hub's it may be the answer of a proxy, which had passed the request on.
        if code == "unknown_outcome" or (not code and status not in (425, 429)):
            self._is_unknown = True
        return self._pause(error, retry_after_s(headers))

    def failed(self, error: Exception) -> float:
        """Seconds to wait for the next attempt, after an error below HTTP.

        Raises:
            ClientError: the address is wrong, or there is no time for another attempt.
        """
        if is_hopeless(error):
            raise unreachable(error) from error
        if not isinstance(error, NEVER_SENT):
            self._is_unknown = True
        return self._pause(unreachable(error), 0.0)

    def _success(self, body: bytes) -> dict[str, Any]:
        try:
            said = json.loads(body)
        except ValueError:
            said = None
        if not isinstance(said, dict) or not said.get("success"):
            raise Refused("the answer is not a hub's", status=200)
        return said

    def _pause(self, error: ClientError, asked_s: float) -> float:
        if self._is_unknown and not self.key:
            raise UnknownOutcome(f"{error}; it may be published or not", key="") from error
        pause_s = max(self._pause_s * random.uniform(0.5, 1.0), asked_s)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        if self._clock() + pause_s < self._deadline:
            return pause_s
        if self._is_unknown:
            message = f"{error}; it may be published or not: send it again with the same key"
            raise UnknownOutcome(message, key=self.key) from error
        raise error


def event_attempts(
    message: Message, fields: Fields, key: str | None, patience_s: float
) -> Attempts:
    """The publish of one event: `message`, with `fields` where it doesn't have them."""
    return Attempts(_encode(event_of(message, fields)), JSON, _key(key), patience_s)


def batch_attempts(
    messages: Sequence[Message], fields: Fields, key: str | None, patience_s: float
) -> Attempts:
    """The publish of a batch."""
    events = [event_of(message, fields) for message in messages]
    return Attempts(_encode(events), JSON, _key(key), patience_s)


JSON = "application/json"


def event_of(message: Message, fields: Fields) -> dict[str, Any]:
    """The event that is sent for `message`; what it says itself comes before `fields`, of which None is not given."""
    given = {name: value for name, value in (_DEFAULTS | fields).items() if value is not None}
    return given | ({"message": message} if isinstance(message, str) else dict(message))


def receipt_of(said: Mapping[str, Any]) -> Receipt:
    """The receipt in an answer about one event."""
    return Receipt(str(said.get("id", "")), int(said.get("sentTo", 0)), bool(said.get("duplicate")))


def receipts_of(said: Mapping[str, Any]) -> list[Receipt]:
    """The receipts in an answer about a batch, in its order."""
    is_duplicate = bool(said.get("duplicate"))
    return [
        Receipt(str(id), int(count), is_duplicate)
        for id, count in zip(said.get("ids", ()), said.get("sentTo", ()), strict=True)
    ]


class Publisher:
    """Publishes to the hub at `url` over a connection that it keeps. Use it as ``async with``, or call `aclose`.

    Args:
        url: the hub's address, with a path in front of ``/api`` if it has one.
        token: key or token; or a function, also a coroutine's, that is asked for one at each attempt.
        patience_s: how long one publish is tried again.
        client: sends the requests; it is the caller's to close.
    """

    def __init__(
        self,
        url: str,
        *,
        token: AsyncToken | None = None,
        patience_s: float = PATIENCE_S,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._url = address(url, "/api/notify")
        self._token = token
        self._patience_s = patience_s
        self._is_own = client is None
        self._client = client or httpx.AsyncClient()

    async def publish(
        self, message: Message, *, key: str | None = None, **fields: Unpack[Fields]
    ) -> Receipt:
        """Publish one event, once.

        Args:
            message: its text, or all of it.
            key: the idempotency key, to say who publishes the same again after this program has ended; None makes
                one, empty sends none.
            fields: see `Fields`.

        Raises:
            Refused, Unauthorized: the hub says no. Nothing was published.
            Unavailable, Unreachable: it was not published within `patience_s`.
            UnknownOutcome: nobody knows; the error has the key to send it again with.
        """
        attempts = event_attempts(message, fields, key, self._patience_s)
        return receipt_of(await self._send(attempts))

    async def publish_batch(
        self, messages: Sequence[Message], *, key: str | None = None, **fields: Unpack[Fields]
    ) -> list[Receipt]:
        """Publish several events, in order and all or none; `fields` are those of `publish`, for all of them."""
        if not messages:
            return []
        attempts = batch_attempts(messages, fields, key, self._patience_s)
        return receipts_of(await self._send(attempts))

    async def aclose(self) -> None:
        """Close the connection."""
        if self._is_own:
            await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _send(self, attempts: Attempts) -> dict[str, Any]:
        was_refused = False
        while True:
            headers = attempts.headers | authorization(await async_token_of(self._token))
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    async with self._client.stream(
                        "POST", self._url, content=attempts.body, headers=headers, timeout=TIMEOUT
                    ) as response:
                        body = bytearray()
                        async for chunk in response.aiter_bytes():
                            _add(body, chunk)
                outcome = attempts.answered(response.status_code, response.headers, bytes(body))
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                outcome = attempts.failed(error)
            except Unauthorized:
                if was_refused or not callable(self._token):
                    raise
                was_refused = True
                continue
            if isinstance(outcome, dict):
                return outcome
            await asyncio.sleep(outcome)


class BlockingPublisher:
    """The same for programs without asyncio. Use it as ``with``, or call `close`. One thread at a time."""

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        patience_s: float = PATIENCE_S,
        client: httpx.Client | None = None,
    ) -> None:
        self._url = address(url, "/api/notify")
        self._token = token
        self._patience_s = patience_s
        self._is_own = client is None
        self._client = client or httpx.Client()

    def publish(
        self, message: Message, *, key: str | None = None, **fields: Unpack[Fields]
    ) -> Receipt:
        """Publish one event, once. Arguments and errors are those of `Publisher.publish`."""
        return receipt_of(self._send(event_attempts(message, fields, key, self._patience_s)))

    def publish_batch(
        self, messages: Sequence[Message], *, key: str | None = None, **fields: Unpack[Fields]
    ) -> list[Receipt]:
        """Publish several events, in order and all or none; `fields` are those of `publish`, for all of them."""
        if not messages:
            return []
        attempts = batch_attempts(messages, fields, key, self._patience_s)
        return receipts_of(self._send(attempts))

    def close(self) -> None:
        """Close the connection."""
        if self._is_own:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, attempts: Attempts) -> dict[str, Any]:
        was_refused = False
        while True:
            headers = attempts.headers | authorization(token_of(self._token))
            try:
                with self._client.stream(
                    "POST", self._url, content=attempts.body, headers=headers, timeout=TIMEOUT
                ) as response:
                    body = bytearray()
                    for chunk in response.iter_bytes():
                        _add(body, chunk)
                outcome = attempts.answered(response.status_code, response.headers, bytes(body))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                outcome = attempts.failed(error)
            except Unauthorized:
                if was_refused or not callable(self._token):
                    raise
                was_refused = True
                continue
            if isinstance(outcome, dict):
                return outcome
            time.sleep(outcome)


async def publish(
    url: str, message: Message, *, token: AsyncToken | None = None, **fields: Any
) -> Receipt:
    """Publish one event over a connection of its own: `Publisher.publish`, whose arguments it takes."""
    async with Publisher(url, token=token) as publisher:
        return await publisher.publish(message, **fields)


def publish_blocking(
    url: str, message: Message, *, token: Token | None = None, **fields: Any
) -> Receipt:
    """The same for programs without asyncio."""
    with BlockingPublisher(url, token=token) as publisher:
        return publisher.publish(message, **fields)


TIMEOUT = httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)

_DEFAULTS = Fields(type="notification")


def _encode(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _key(key: str | None) -> str:
    return uuid.uuid4().hex if key is None else key


def _add(body: bytearray, chunk: bytes) -> None:
    """Keep the next bytes of an answer; what is beyond the bound is left out, and no hub's."""
    body += chunk[: MAX_ANSWER_BYTES - len(body)]
