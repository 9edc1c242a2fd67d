"""What can go wrong, split by whose fault it is.

`InvalidInput` is the caller's (an HTTP 4xx), `Unavailable` is the hub's or its journal's (503, worth
another try), `SettingsError` is the operator's and `PortTaken` the machine's (one line, an exit code).
Anything else is a bug and is left to crash loudly.
"""

from __future__ import annotations

import math
from typing import NamedTuple

MAX_WAIT_S = 86_400.0
"""The longest that a client is told to wait: by then settings are others."""


class Code(NamedTuple):
    """The status that a code comes with, what it says, and another status that it comes with; 0 is none."""

    status: int
    means: str
    other_status: int = 0

    @property
    def statuses(self) -> tuple[int, ...]:
        """All statuses that it comes with."""
        return (self.status, self.other_status) if self.other_status else (self.status,)


CODES: dict[str, Code] = {
    "bad_request": Code(400, "the address or its query can't be read"),
    "invalid_json": Code(400, "the body is not JSON in UTF-8"),
    "duplicate_key": Code(400, "a name stands twice in one object of the body"),
    "too_deep": Code(400, "the body nests too deep"),
    "invalid_text": Code(400, "the body is not UTF-8"),
    "missing_field": Code(400, "a required field is missing or empty"),
    "invalid_key": Code(
        400, "the idempotency key can't be one, or differs from that of the header (422)", 422
    ),
    "unknown_parameter": Code(400, "there is no such parameter, and it looks like a slip of one"),
    "conflicting_parameters": Code(400, "two parameters contradict each other"),
    "too_many_values": Code(400, "a parameter was given too often"),
    "invalid_last": Code(400, "`last` is not a number in its range"),
    "invalid_last_per_topic": Code(400, "`last_per_topic` is not a number in its range"),
    "invalid_limit": Code(400, "`limit` is not a number in its range"),
    "invalid_after": Code(400, "`after` is not a number in its range"),
    "invalid_before": Code(400, "`before` is no id"),
    "invalid_final": Code(400, "`final` is neither 0 nor 1"),
    "invalid_sort": Code(400, "`sort` is not a word that is known"),
    "invalid_wait": Code(400, "`wait` is not a number in its range, or `after` is missing"),
    "invalid_number": Code(400, "`number` is not a number in its range"),
    "unauthorized": Code(401, "there are no credentials, or they are no good"),
    "forbidden": Code(403, "the sender, who is known, has no right to it"),
    "foreign_origin": Code(403, "a page of another origin sent it"),
    "not_found": Code(404, "there is nothing of this name"),
    "method_not_allowed": Code(405, "the method is not possible here; `Allow` says which are"),
    "timeout": Code(408, "the request did not come in in time"),
    "key_reused": Code(409, "the idempotency key stands for other content"),
    "topic_ended": Code(409, "the topic has ended, and nothing is published on it any more"),
    "no_authentication": Code(409, "the hub has no authentication: there is nothing to change"),
    "too_large": Code(413, "the body, or an event in it, is too large"),
    "batch_size": Code(413, "the batch holds too many events, or none (400)", 400),
    "unsupported_type": Code(415, "the `Content-Type` is not taken here"),
    "unsupported_encoding": Code(415, "a `Content-Encoding` is not taken"),
    "unknown_host": Code(421, "the hub doesn't answer for the host that the request names"),
    "invalid_type": Code(422, "the event type can't be one"),
    "reserved_type": Code(422, "the event type is the hub's own, or the browser's"),
    "invalid_topic": Code(422, "the topic can't be one"),
    "reserved_topic": Code(422, "the topic is the hub's own"),
    "repeated_topic": Code(422, "a topic stands in the event twice"),
    "too_many_topics": Code(422, "the event has too many topics"),
    "topic_mismatch": Code(422, "the event names another topic than the address"),
    "unknown_field": Code(422, "there is no such field"),
    "invalid_field": Code(422, "a field is of another type"),
    "invalid_unicode": Code(422, "the body holds half of a surrogate pair"),
    "invalid_specversion": Code(422, "the CloudEvent is of another version"),
    "too_many_rights": Code(422, "the rights are too many for a ticket or a session"),
    "rate_limited": Code(429, "more was published than a limit allows"),
    "headers_too_large": Code(431, "the head of the request is too large"),
    "internal": Code(500, "the hub failed; its log says why"),
    "busy": Code(503, "too much is under way"),
    "full": Code(503, "too many streams are open"),
    "patterns": Code(503, "the open streams have too many topic patterns"),
    "principal": Code(503, "the sender has too many streams"),
    "address": Code(503, "the sender's address has too many streams"),
    "draining": Code(503, "the hub is stopping"),
    "failed": Code(503, "the hub failed, and ends"),
    "restart": Code(503, "a new log began while the answer was made"),
    "journal_down": Code(503, "the journal can't be had"),
    "unknown_outcome": Code(
        503, "nobody knows whether it was published; send it again, with its key"
    ),
    "no_key_set": Code(503, "the keys that sign tokens can't be had"),
    "storage_full": Code(507, "the journal's disk is full"),
    "journal_full": Code(507, "the journal is full"),
}
"""Every `code` that an answer may have; what is declared elsewhere names these."""


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
