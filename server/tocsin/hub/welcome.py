"""What a stream is told first, and what it is told while it is open: the hub's own events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from tocsin.core.wire import encode_event, encode_retry
from tocsin.eventlog.entry import End, encode_ends
from tocsin.eventlog.journal import Ended
from tocsin.eventlog.resume import Gap, Resume
from tocsin.eventlog.ring import RingBuffer


class Welcome(msgspec.Struct, omit_defaults=True):
    """The data of `connection`, the first event of each stream. Its id is the cursor that the stream goes on from.

    Attributes:
        id: the client's number.
        message: a text for people.
        timestamp: the hub's time, ISO 8601 in UTC.
        clients: how many are connected.
        resumed: whether the client named an id.
        replayed: how many kept events come before the live ones; null where nobody counted them.
        missed: how many events are lost; null where that can't be known.
        heartbeat: seconds between two heartbeats.
        truncated: true where more recent events were asked for than come.
        ignored: parameters that mean nothing here.
        topics: what came of the topics that were asked for, where that is not all of them.
    """

    id: int
    message: str
    timestamp: str
    clients: int
    resumed: bool
    replayed: int | None
    missed: int | None
    heartbeat: float
    truncated: bool = False
    ignored: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


class Busy(msgspec.Struct):
    """The data of `busy`: the stream ends, and its client is to come back.

    Attributes:
        reason: why, in a word.
        retry: when, in milliseconds; it stands in `retry:` too.
    """

    reason: str
    retry: int


class Presence(msgspec.Struct):
    """The data of `presence`, for streams that asked for it.

    Attributes:
        clients: how many are connected.
        timestamp: the hub's time, ISO 8601 in UTC.
    """

    clients: int
    timestamp: str


EVENTS = {"connection": Welcome, "gap": Gap, "busy": Busy, "presence": Presence, "end": End}
"""The hub's own events, with the types of their data; nobody else may publish them."""


def encode_welcome(
    *,
    number: int,
    clients: int,
    timestamp: str,
    heartbeat: float,
    resume: Resume,
    ignored: Sequence[str] = (),
    topics: Sequence[str] = (),
    reads_everything: bool = True,
) -> bytes:
    """The block of `connection`, and of `gap` if there is one.

    Args:
        number: the client's.
        clients: how many are connected.
        timestamp: the present time.
        heartbeat: seconds between two heartbeats.
        resume: where the stream begins.
        ignored: what the client asked for and nobody knows.
        topics: the patterns that came of what the client asked for and may read; empty where it may read all.
        reads_everything: whether it may be told what counts over all topics.
    """
    data = Welcome(
        number,
        "Connecté au hub Tocsin",
        timestamp,
        clients,
        resume.resumed,
        resume.replayed,
        resume.gap.missed if resume.gap else 0,
        heartbeat,
        resume.is_truncated,
        tuple(ignored),
        tuple(topics),
    )
    gap = resume.gap
    if gap and not reads_everything:
        gap = gap.without_counts()
        data.missed = None
    welcome = encode_event("connection", msgspec.json.encode(data), resume.welcome_id)
    if gap is None:
        return welcome
    # The gap bears no id: the welcome's is where the stream goes on, and a client is told once.
    return welcome + encode_event("gap", msgspec.json.encode(gap))


def encode_busy(reason: str, retry_ms: int) -> bytes:
    """The last block of a stream that is to come back: the reconnection time and the event `busy`.

    In one block, as some clients take a reconnection time only together with an event.
    """
    data = Busy(reason, retry_ms)
    return encode_retry(retry_ms) + encode_event("busy", msgspec.json.encode(data))


def encode_ended(ended: Sequence[Ended], ring: RingBuffer) -> bytes:
    """The blocks of `end` for topics that ended by an event which a stream doesn't get."""
    return b"".join([encode_ends((topic,), str(ring.id_at(final.seq))) for topic, final in ended])


def encode_presence(clients: int, timestamp: str) -> bytes:
    """The block of `presence`: how many clients are connected."""
    return encode_event("presence", msgspec.json.encode(Presence(clients, timestamp)))


LAST_S = 253_402_300_799.0
"""The last second that has a name in ISO 8601, that of the year 9999."""


def iso_time(unix_s: float) -> str:
    """ISO 8601 in UTC, with milliseconds; what lies outside the years 1 to 9999 is shown as the last second of them."""
    return _iso_millisecond(int(min(unix_s, LAST_S) * 1000))


@lru_cache(maxsize=4)
def _iso_millisecond(milliseconds: int) -> str:
    """A millisecond; in a busy one thirty events come in."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_iso_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=4)
def _iso_second(seconds: int) -> str:
    """A second as ISO 8601. Each event bears a time, and most of it is that of the event before."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
