"""What a subscription asks for, what it makes of the answer, and when it comes back. It opens nothing itself.

Both subscriptions, that of asyncio and the blocking one, are drivers of this: they hold a connection, and ask here.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from tocsin.client.answers import error_of, is_temporary, retry_after_s
from tocsin.client.errors import NotAnEventStream
from tocsin.client.event import Event
from tocsin.client.parser import MAX_EVENT_BYTES, EventStreamParser

FIRST_RETRY_S = 3.0
"""Until the hub tells another reconnection time."""

MIN_RETRY_S, MAX_RETRY_S = 0.1, 300.0
"""Bounds of what a server may ask for."""

MAX_BACKOFF_S = 60.0
"""Where attempts fail one after the other, this is the longest time between two, unless the hub asks for more."""

SILENCE_S = 75.0
"""How long a stream may be silent before its heartbeat is known: two and a half of a hub's default."""

SILENT_HEARTBEATS = 2.5

Name = Literal["connecting", "open", "waiting", "ended"]


@dataclass(frozen=True, slots=True)
class State:
    """Where a subscription stands.

    Attributes:
        name: ``waiting`` is between two attempts.
        reason: why it waits, in words; empty otherwise.
        retry_in_s: how long it waits.
        welcome: what the hub said at the beginning of the stream that is open (`connection`); empty otherwise.
    """

    name: Name
    reason: str = ""
    retry_in_s: float = 0.0
    welcome: Mapping[str, Any] = field(default_factory=dict)


class TryAgain(Exception):
    """There is no stream now; `reason` says why. Internal: a driver waits, and asks again."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Asked(TypedDict, total=False):
    """What is asked of a subscription.

    Attributes:
        topics: topics, or prefixes ended by ``*``; none is all that may be read.
        types: event types; none is all.
        last: begin with the newest so many events; a return goes on where it was.
        last_per_topic: the same of each topic.
        last_event_id: go on after this id; ``earliest`` is everything kept.
        presence: hand out events of type ``presence`` too, how many clients are connected.
        silence_s: give a connection up that was silent for so long, and come back; None is two and a half of the
            hub's heartbeats.
        max_event_bytes: the largest event, and the longest line.
        on_state: called at each change: connecting, open, waiting (and why), ended.
    """

    topics: Sequence[str]
    types: Sequence[str]
    last: int | None
    last_per_topic: int | None
    last_event_id: str
    presence: bool
    silence_s: float | None
    max_event_bytes: int
    on_state: Callable[[State], None] | None


class StreamState:
    """One subscription over all its connections.

    Its arguments are those of `Asked`.

    Attributes:
        last_event_id: of the last event that was handed out, or where the stream began.
        parameters: of the query.
    """

    def __init__(
        self,
        *,
        topics: Sequence[str] = (),
        types: Sequence[str] = (),
        last: int | None = None,
        last_per_topic: int | None = None,
        last_event_id: str = "",
        presence: bool = False,
        silence_s: float | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
        on_state: Callable[[State], None] | None = None,
    ) -> None:
        self.last_event_id = last_event_id
        parameters = [*(("topic", each) for each in topics), *(("type", each) for each in types)]
        parameters += [] if last is None else [("last", str(last))]
        parameters += [] if last_per_topic is None else [("last_per_topic", str(last_per_topic))]
        parameters += [("presence", "1")] if presence else []
        self.parameters = tuple(parameters)
        self._given_silence_s = silence_s
        self._heartbeat_s = 0.0
        self._max_event_bytes = max_event_bytes
        self._on_state = on_state or (lambda state: None)
        self._parser = EventStreamParser()
        self._retry_s = FIRST_RETRY_S
        self._was_told_retry = False
        self._failures = 0
        self._busy = ""

    @property
    def silence_s(self) -> float | None:
        """After how many silent seconds the connection is to be given up; None is never."""
        if self._given_silence_s is not None:
            return self._given_silence_s if self._given_silence_s < math.inf else None
        return self._heartbeat_s * SILENT_HEARTBEATS or SILENCE_S

    def headers(self) -> dict[str, str]:
        """What a request for the stream says, in UTF-8, but for who sends it."""
        self._tell(State("connecting"))
        asked = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "Cache-Control": "no-store",
        }
        return asked | ({"Last-Event-ID": self.last_event_id} if self.last_event_id else {})

    def begin(self, status: int, headers: Mapping[str, str], refusal: bytes = b"") -> bool:
        """Judge the head of an answer: True where a stream follows, False where nothing more will ever come (204).

        Args:
            status: of the answer.
            headers: of the answer; names are found in small letters.
            refusal: the beginning of the body, where the status isn't 200.

        Raises:
            TryAgain: there is none now.
            ClientError: there will never be one.
        """
        if status == 204:
            return False
        if status != 200:
            error = error_of(status, headers, refusal)
            if is_temporary(status):
                raise TryAgain(str(error), retry_after_s(headers))
            raise error
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "text/event-stream":
            raise NotAnEventStream(
                f"no event stream: the answer is {media_type[:100] or 'of no type'}"
            )
        encoding = headers.get("content-encoding", "identity").lower()
        if encoding != "identity":
            raise NotAnEventStream(
                f"something on the way compresses the stream ({encoding[:100]}), which was not asked for"
            )
        id = "" if self.last_event_id == "earliest" else self.last_event_id
        self._parser = EventStreamParser(id, self._max_event_bytes)
        self._busy = ""
        return True

    def take(self, chunk: bytes) -> Iterator[Event]:
        """The events to hand out now. The hub's own `connection` and `busy` are not: they are states.

        A next connection goes on behind those that were taken.

        Raises:
            EventTooLarge: one is larger than is taken.
        """
        for event in self._parser.feed(chunk):
            if event.type == "connection":
                self._welcome(event)
            elif event.type == "busy":
                self._busy = str(_object(event).get("reason", ""))[:100] or "busy"
            else:
                self._failures = 0
                self.last_event_id = event.id or self.last_event_id
                yield event
        if self._parser.retry_ms is not None:
            self._retry_s = min(max(self._parser.retry_ms / 1000, MIN_RETRY_S), MAX_RETRY_S)
            self._was_told_retry = True

    def wait_after(self, why: Exception | str) -> float:
        """Seconds to wait for the next attempt, jittered, after `why` ended this one.

        A stream that was open comes back after the time that the hub asked for, which spreads its clients itself.
        Attempts that fail one after the other make it wait twice as long each time, up to `MAX_BACKOFF_S`.
        """
        asked_s = why.retry_after_s if isinstance(why, TryAgain) else 0.0
        busy, self._busy = self._busy, ""
        if self._failures == 0 or busy:
            wait_s = self._retry_s * (1.0 if self._was_told_retry else random.uniform(0.5, 1.5))
        else:
            doublings = min(self._failures, 10)
            wait_s = min(self._retry_s * 2**doublings, MAX_BACKOFF_S) * random.uniform(0.5, 1.0)
        wait_s = max(wait_s, asked_s)
        self._failures += 1
        reason = f"the hub is busy ({busy})" if busy else str(why)
        self._tell(State("waiting", reason, wait_s))
        return wait_s

    def ended(self) -> None:
        """Say that the subscription is over."""
        self._tell(State("ended"))

    def _welcome(self, event: Event) -> None:
        welcome = _object(event)
        heartbeat = welcome.get("heartbeat")
        if isinstance(heartbeat, int | float) and 0 < heartbeat < math.inf:
            self._heartbeat_s = float(heartbeat)
        self._failures = 0
        # The welcome's id is where the stream goes on: cut off before its first event, nothing is lost.
        self.last_event_id = event.id or self.last_event_id
        self._tell(State("open", welcome=welcome))

    def _tell(self, state: State) -> None:
        self._on_state(state)


def _object(event: Event) -> dict[str, Any]:
    """The data of one of the hub's own events; empty where it is no object."""
    try:
        data = json.loads(event.data)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
