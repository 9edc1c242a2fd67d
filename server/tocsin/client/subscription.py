"""Subscriptions over HTTP: one for asyncio, and its blocking twin. What they do is decided by `StreamState`.

Each holds one connection at a time. With a client of the caller's (`httpx.AsyncClient`, `httpx.Client`) its proxies,
certificates and cookies count; else those of the environment (``HTTPS_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE``).
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self, Unpack

import httpx

from tocsin.client.address import address
from tocsin.client.answers import (
    CONNECT_TIMEOUT_S,
    MAX_REFUSAL_BYTES,
    is_hopeless,
    one_line,
    unreachable,
)
from tocsin.client.errors import Unauthorized
from tocsin.client.event import Event
from tocsin.client.stream_state import Asked, StreamState, TryAgain
from tocsin.client.tokens import AsyncToken, Token, async_token_of, authorization, token_of

HEAD_TIMEOUT_S = 30.0
"""Until the answer's head is there; then the stream's own silence counts. A hub may wait for 5 s itself."""


def subscribe(
    url: str,
    *,
    token: AsyncToken | None = None,
    client: httpx.AsyncClient | None = None,
    **asked: Unpack[Asked],
) -> Subscription:
    """Give the events of the hub at `url`, as they come, over any number of connections.

    To be read with ``async for event in subscribe(url): ...``. It comes back by itself, after the event that was handed
    out last, until its topics have ended or the loop is left. Where events are missing, one of type ``gap`` stands in
    their place: the state must be had anew.

    Args:
        url: the hub's address, with a path in front of ``/events`` if it has one.
        token: key or token; or a function, also a coroutine's, that is asked for one at each connection.
        client: sends the requests; it is the caller's to close.
        asked: see `Asked`.

    Raises:
        Refused, Unauthorized: the hub will not give this stream, as long as the request stays the same.
        NotAnEventStream, EventTooLarge: what comes can't be read.
        Unreachable: the address or the certificate is wrong. A hub that is away is waited for.
        ValueError: the token can't be one.
    """
    return Subscription(address(url, "/events"), StreamState(**asked), token, client)


def subscribe_blocking(
    url: str,
    *,
    token: Token | None = None,
    client: httpx.Client | None = None,
    **asked: Unpack[Asked],
) -> BlockingSubscription:
    """Give the same to programs without asyncio, to be read with ``for``.

    Arguments and errors are those of `subscribe`. The hub's heartbeat counts for `silence_s` from the second connection
    on; the first waits for 75 s.
    """
    return BlockingSubscription(address(url, "/events"), StreamState(**asked), token, client)


class Subscription:
    """An asynchronous iterator over events. Leave it with `aclose`, or use it as ``async with``, to close at once."""

    def __init__(
        self,
        url: str,
        state: StreamState,
        token: AsyncToken | None,
        client: httpx.AsyncClient | None,
    ) -> None:
        self._url = url
        self._state = state
        self._token = token
        self._client = client
        self._events = self._read()

    @property
    def last_event_id(self) -> str:
        """Of the last event that was handed out, or where the stream began: to keep, and to go on after."""
        return self._state.last_event_id

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        return await anext(self._events)

    async def aclose(self) -> None:
        """End it: the connection is closed when this returns."""
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _read(self) -> AsyncGenerator[Event, None]:
        was_refused = False
        client = self._client or httpx.AsyncClient()
        try:
            while True:
                connection = self._connection(client, await async_token_of(self._token))
                try:
                    async for event in connection:
                        yield event
                    return
                except TryAgain as why:
                    was_refused = False
                    wait_s = self._state.wait_after(why)
                except Unauthorized:
                    # What is asked for a token may have a fresh one: once, else refusals would follow without end.
                    if was_refused or not callable(self._token):
                        raise
                    was_refused = True
                    wait_s = 0.0
                finally:
                    await connection.aclose()
                await asyncio.sleep(wait_s)
        finally:
            self._state.ended()
            if self._client is None:
                await client.aclose()

    async def _connection(
        self, client: httpx.AsyncClient, token: str
    ) -> AsyncGenerator[Event, None]:
        """The events of one connection. Raises TryAgain at its end; returns where nothing will come any more."""
        state = self._state
        headers = httpx.Headers(state.headers() | authorization(token), encoding="utf-8")
        timeout = httpx.Timeout(CONNECT_TIMEOUT_S, read=None)
        try:
            request = client.build_request(
                "GET", self._url, params=state.parameters, headers=headers, timeout=timeout
            )
            async with asyncio.timeout(HEAD_TIMEOUT_S):
                response = await client.send(request, stream=True)
            try:
                refusal = b""
                chunks = response.aiter_raw()
                if response.status_code not in (200, 204):
                    async with asyncio.timeout(HEAD_TIMEOUT_S):
                        refusal = await _beginning(chunks)
                if not state.begin(response.status_code, response.headers, refusal):
                    return
                while True:
                    async with asyncio.timeout(state.silence_s):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        raise TryAgain("the stream ended")
                    for event in state.take(chunk):
                        yield event
            finally:
                await response.aclose()
        except TimeoutError:
            raise TryAgain(SILENT) from None
        except httpx.HTTPError as error:
            raise _judged(error) from error
        except httpx.InvalidURL as error:
            raise unreachable(error) from error


class BlockingSubscription:
    """An iterator over events. `close` ends it, from another thread too; it may be used as ``with``."""

    def __init__(
        self, url: str, state: StreamState, token: Token | None, client: httpx.Client | None
    ) -> None:
        self._url = url
        self._state = state
        self._token = token
        self._client = client
        self._closed = threading.Event()
        self._response: httpx.Response | None = None
        self._events = self._read()

    @property
    def last_event_id(self) -> str:
        """Of the last event that was handed out, or where the stream began: to keep, and to go on after."""
        return self._state.last_event_id

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """End it. A thread that waits for the next event finds the iterator at its end."""
        self._closed.set()
        response = self._response
        if response is None:
            with suppress(ValueError):  # another thread is in it, and sees that it is closed
                self._events.close()
            return
        stream = response.extensions.get("network_stream")
        connection = stream.get_extra_info("socket") if stream else None
        if connection is not None:
            # The waiting thread's `recv` returns. Of TLS too the plain socket: an orderly end would need that thread.
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        with suppress(ValueError):
            self._events.close()

    def _read(self) -> Generator[Event, None, None]:
        was_refused = False
        client = self._client or httpx.Client()
        try:
            while not self._closed.is_set():
                try:
                    yield from self._connection(client, token_of(self._token))
                    return
                except TryAgain as why:
                    was_refused = False
                    wait_s = 0.0 if self._closed.is_set() else self._state.wait_after(why)
                except Unauthorized:
                    if was_refused or not callable(self._token):
                        raise
                    was_refused = True
                    wait_s = 0.0
                self._closed.wait(wait_s)
        finally:
            self._state.ended()
            if self._client is None:
                client.close()

    def _connection(self, client: httpx.Client, token: str) -> Generator[Event, None, None]:
        """The events of one connection. Raises TryAgain at its end; returns where nothing will come any more."""
        state = self._state
        headers = httpx.Headers(state.headers() | authorization(token), encoding="utf-8")
        timeout = httpx.Timeout(CONNECT_TIMEOUT_S, read=state.silence_s)
        try:
            with client.stream(
                "GET", self._url, params=state.parameters, headers=headers, timeout=timeout
            ) as response:
                self._response = response  # from here on `close` ends a read
                if self._closed.is_set():
                    return
                chunks = response.iter_raw()
                refusal = b""
                if response.status_code not in (200, 204):
                    refusal = _blocking_beginning(chunks)
                if not state.begin(response.status_code, response.headers, refusal):
                    return
                for chunk in chunks:
                    for event in state.take(chunk):
                        yield event
                        if self._closed.is_set():
                            return
            raise TryAgain("the stream ended")
        except httpx.ReadTimeout:
            raise TryAgain(SILENT) from None
        except httpx.HTTPError as error:
            raise _judged(error) from error
        except httpx.InvalidURL as error:
            raise unreachable(error) from error
        finally:
            self._response = None


SILENT = "the connection is silent"


def _judged(error: httpx.HTTPError) -> Exception:
    """What follows from an error below HTTP: another attempt, unless that is hopeless."""
    return unreachable(error) if is_hopeless(error) else TryAgain(one_line(error))


async def _beginning(chunks: AsyncIterator[bytes]) -> bytes:
    """The first bytes of a refusal."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) >= MAX_REFUSAL_BYTES:
            break
    return bytes(body[:MAX_REFUSAL_BYTES])


def _blocking_beginning(chunks: Iterator[bytes]) -> bytes:
    """The same, blocking."""
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) >= MAX_REFUSAL_BYTES:
            break
    return bytes(body[:MAX_REFUSAL_BYTES])
