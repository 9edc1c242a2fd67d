"""What can go wrong, split by whose fault it is.

`InvalidInput` is the caller's (an HTTP 4xx), `Unavailable` is the hub's or its journal's (503, worth
another try), `SettingsError` is the operator's and `PortTaken` the machine's (one line, an exit code).
Anything else is a bug and is left to crash loudly.
"""

from __future__ import annotations

import math

MAX_WAIT_S = 86_400.0
"""The longest that a client is told to wait: by then settings are others."""


class TocsinError(Exception):
    """The root of every error that Tocsin raises on purpose."""


class InvalidInput(TocsinError):
    """What the caller sent can't be taken; nothing was published and nothing changed.

    Args:
        message: one sentence for people, naming the field and the limit.
        code: the same for machines, a word such as ``invalid_topic``.
        field: the offending field, or None where the whole body is at fault.
        status: the HTTP status to answer with.

    `index` is the offending event's place in a batch, from 0; None outside of one.
    """

    def __init__(
        self, message: str, *, code: str, field: str | None = None, status: int = 422
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field = field
        self.status = status
        self.index: int | None = None

    def at(self, index: int) -> InvalidInput:
        """The same, said of element `index` of a batch."""
        self.message = f"event {index}: {self.message}"
        self.index = index
        return self


class Refused(InvalidInput):
    """A request that isn't taken for where it comes from or is sent to; its connection ends."""


class KeyReused(InvalidInput):
    """An idempotency key that stands for something else already; nothing was published."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the idempotency key {key!r} was used for other content",
            code="key_reused",
            field="key",
            status=409,
        )


class TopicEnded(InvalidInput):
    """An event for a topic that has ended; nothing was published.

    Args:
        topic: that one.
        place: of the event among those that were to be appended with it, from 0.
    """

    def __init__(self, topic: str, place: int) -> None:
        super().__init__(
            f"topic {topic!r} has ended: nothing follows its final event",
            code="topic_ended",
            field="topic",
            status=409,
        )
        self.topic = topic
        self.place = place


class RateLimited(InvalidInput):
    """A publish (429) that is one too many; nothing of it was published, and it may be tried again.

    Args:
        limit: the setting.
        wait_s: when it would be taken, in seconds.
    """

    def __init__(self, limit: str, wait_s: float) -> None:
        self.limit = limit
        self.retry_after_s = max(math.ceil(min(wait_s, MAX_WAIT_S)), 1)
        message = f"more was published than {limit} allows; try again in {self.retry_after_s} s"
        super().__init__(message, code="rate_limited", status=429)


class Unauthorized(InvalidInput):
    """A request (401) whose credentials are none, or no good; others could help.

    Args:
        message: one sentence for people. Of bad credentials it says no more than what is to be done.
        reason: what refusals are counted by; a word of `tocsin.hub.counters.REFUSAL_REASONS`.
        is_given: whether there were credentials.
    """

    def __init__(self, message: str, *, reason: str, is_given: bool = True) -> None:
        super().__init__(message, code="unauthorized", status=401)
        self.reason = reason
        self.is_given = is_given


class Forbidden(InvalidInput):
    """A request (403) that its sender, who is known, has no right to; `reason` as in `Unauthorized`."""

    def __init__(self, message: str, *, reason: str, field: str | None = None) -> None:
        super().__init__(message, code="forbidden", field=field, status=403)
        self.reason = reason


class Unavailable(TocsinError):
    """The hub can't do this now: it is draining, or its journal is down.

    Args:
        message: one sentence for people.
        code: a word for machines, such as ``draining``.
        retry_after_s: when another try makes sense, in whole seconds.
        status: the HTTP status to answer with.
    """

    def __init__(
        self, message: str, *, code: str, retry_after_s: int = 1, status: int = 503
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retry_after_s = retry_after_s
        self.status = status


class Busy(Unavailable):
    """The hub opens no stream now. Its client is to come back, and is told so with status 200.

    Args:
        reason: ``full``, ``draining``, ``patterns`` (too many topic patterns on all streams together), ``principal``
            or ``address`` (it has too many streams).
        retry_ms: the reconnection time to tell the client, in milliseconds.
    """

    def __init__(self, reason: str, retry_ms: int) -> None:
        super().__init__(
            f"no stream is opened: {reason}", code=reason, retry_after_s=-(-retry_ms // 1000)
        )
        self.reason = reason
        self.retry_ms = retry_ms


class SettingsError(TocsinError):
    """The operator's settings can't work. The message is one line: key, value, what is allowed."""


class PortTaken(TocsinError):
    """A port can't be had: it is taken, or not for this user. The message is one line."""
