"""The script that changes the log in Redis: its arguments, and what it answers. The script is `log.lua`.

It is one text under two names: where Redis is out of memory, `append` is refused before it runs, and `look`, which
appends nothing, still trims. A look asks for the user's rights first, by `rights.lua`: with each append it would cost
a quarter of the append.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Literal

import msgspec

from tocsin.core.event import Draft, Event, EventId
from tocsin.core.record import encode_record
from tocsin.errors import KeyReused, TopicEnded
from tocsin.eventlog.journal.base import Append, Committed, Outcome
from tocsin.eventlog.journal.ended import MOST, Ended, Final

APPEND, LOOK, MAY_ASK = "append", "look", "may ask"

_RIGHTS, _TEXT = [
    files(__package__).joinpath(name).read_text(encoding="utf-8")
    for name in ("rights.lua", "log.lua")
]

# A question that is refused would end the connection.
_MAY_ASK = """#!lua flags=no-writes
local is_known, is_allowed = pcall(redis.acl_check_cmd, 'CONFIG', 'GET', 'appendfsync')
return is_known and is_allowed and 1 or 0
"""

SOURCES = {
    APPEND: "#!lua\n" + _TEXT,
    LOOK: "#!lua flags=allow-oom\n" + _RIGHTS + _TEXT,
    MAY_ASK: _MAY_ASK,
}
"""By name, what Redis is to load."""

FORM = 3
"""Of the script's arguments."""

MICROSECOND = 1e-6

_NO_ID = EventId(0, 0)  # the script gives the ids and the times


class Keys(msgspec.Struct, frozen=True):
    """The names of what the log is in Redis. The braces keep them on one node of a cluster."""

    prefix: str

    @property
    def stream(self) -> str:
        """The key of the stream."""
        return f"{{{self.prefix}}}:events"

    @property
    def nodes(self) -> str:
        """The hash of the nodes, with what each last said of itself."""
        return f"{{{self.prefix}}}:nodes"

    @property
    def processes(self) -> str:
        """How many processes were ever started on the log."""
        return f"{{{self.prefix}}}:processes"

    @property
    def all(self) -> Sequence[str]:
        """What the script asks for, in its order."""
        names = ("log", "events", "once", "once-order", "ended", "ended-order", "once-before")
        return [f"{{{self.prefix}}}:{name}" for name in names]

    @property
    def ended(self) -> str:
        """The hash of the topics that have ended, each with the seq and the type of its final event."""
        return f"{{{self.prefix}}}:ended"


class Limits(msgspec.Struct, frozen=True):
    """What the log may keep: events, bytes and seconds (0: however old), idempotency keys, and topics that have ended."""

    events: int
    bytes: int
    age_s: float
    once_window_s: float
    once_keys: int
    ended_topics: int = MOST

    def arguments(self) -> Sequence[int]:
        """As the script asks for them."""
        return (
            self.events,
            self.bytes,
            round(self.age_s / MICROSECOND),
            round(self.once_window_s / MICROSECOND),
            self.once_keys,
            self.ended_topics,
        )


class Head(msgspec.Struct, frozen=True):
    """How far a node has read.

    Attributes:
        time: of that event in microseconds, None if nobody knows: so it is seen whether it is still the same.
    """

    id: EventId = _NO_ID
    time: int | None = None


class State(msgspec.Struct, frozen=True):
    """What the script says of the log.

    Attributes:
        verdict: ``ok``; ``fenced``, this is not the log of the caller's head; ``waits``, the server is another
            one, and takes no events until every node had the time to look.
        oldest: time of the oldest event kept, in microseconds; 0 if there is none.
        is_trusted: it is known that the log ends where it ended before the server's last restart.
    """

    verdict: Literal["ok", "fenced", "waits"]
    head: EventId
    floor: int
    bytes: int
    oldest: int
    is_trusted: bool


class Witness(msgspec.Struct, frozen=True):
    """What a caller knows beside its head, for when nobody else knows where the log ended before a restart.

    Attributes:
        was_there: it read the epoch of its head while that was trusted, in whatever run of the server.
        keeps_all: whether the server keeps all that it answered over a restart; None if it isn't known.
    """

    was_there: bool = False
    keeps_all: bool | None = None


class UnusableLog(Exception):
    """What is there is no log, or not for this version, or not for this user of Redis."""


def arguments(
    keys: Keys, limits: Limits, head: Head, run: str, witness: Witness
) -> list[bytes | str | int]:
    """What comes before the number of appends."""
    time = "" if head.time is None else head.time
    keeps_all = "" if witness.keeps_all is None else int(witness.keeps_all)
    fixed = [FORM, head.id.epoch, head.id.seq, time, run, *limits.arguments()]
    return [len(keys.all), *keys.all, *fixed, int(witness.was_there), keeps_all]


def append_arguments(records: Sequence[bytes], append: Append) -> list[bytes | str | int]:
    """What stands for one append."""
    drafts, once = append.drafts, append.once
    topics = "\n".join([_words(draft) for draft in drafts])
    finals = " ".join(
        [f"{number}:{draft.type}" for number, draft in enumerate(drafts, 1) if draft.final]
    )
    if once is None:
        return [len(records), "", "", topics, finals, *records]
    # The length keeps scope and key apart, whatever they hold.
    key = f"{len(once.scope)}:{once.scope}{once.key}"
    return [len(records), key, once.digest, topics, finals, *records]


def _words(draft: Draft) -> str:
    """The topics of `draft`, in which there is neither a space nor a line break."""
    return " ".join(draft.topics) if draft.more_topics else draft.topic


def encode_drafts(drafts: Sequence[Draft]) -> list[bytes]:
    """Their records, without the ids and the times, which the script gives."""
    return [encode_record(Event(_NO_ID, draft, 0.0)) for draft in drafts]


def read_state(answer: Any) -> State:
    """What the script's answer says of the log.

    Raises:
        UnusableLog: it is laid out in another way, or no log, or the user lacks a right.
    """
    verdict = answer[0].decode()
    if verdict == "layout":
        raise UnusableLog(f"the log has layout {answer[1].decode()}; this Tocsin knows layout 1")
    if verdict == "foreign":
        key = answer[1].decode()
        raise UnusableLog(f"another program uses the key {key}; set redis_prefix to another name")
    if verdict == "rights":
        raise UnusableLog(_missing_right(answer[1].decode(), answer[2].decode()))
    if verdict == "refused":
        raise UnusableLog(f"Redis lets nobody read the log: {answer[1].decode()}")
    epoch, seq, floor, size, oldest = map(int, answer[1:6])
    return State(verdict, EventId(epoch, seq), floor, size, oldest, answer[7] == b"1")


def _missing_right(command: str, key: str) -> str:
    return (
        f"the user of Redis may not {command} {key}; allowed: a user with +{command.lower()}"
        " and the other rights in docs/journals-redis.md, on all keys of redis_prefix"
    )


def read_outcomes(answer: Any, appends: Sequence[Append]) -> list[Outcome]:
    """What came of each of these appends; of none where the verdict isn't ``ok``."""
    epoch, told = int(answer[1]), answer[6]
    return [_outcome(epoch, *each) for each in zip(appends[: len(told)], told, strict=True)]


def _outcome(epoch: int, append: Append, told: Sequence[bytes]) -> Outcome:
    kind, first, count, *of_epoch = told
    if kind == b"ended":
        return TopicEnded(count.decode(), int(first) - 1)
    if kind == b"reused":
        return KeyReused(append.once.key if append.once else "")
    if of_epoch:  # its key may be older than the log
        epoch = int(of_epoch[0])
    seqs = range(int(first), int(first) + int(count))
    return Committed([EventId(epoch, seq) for seq in seqs], kind == b"again")


def read_ended(answer: Sequence[bytes]) -> list[Ended]:
    """The topics that have ended, the oldest first; `answer` is the whole hash of them."""
    ended = []
    for topic, final in zip(answer[::2], answer[1::2], strict=True):
        seq, type = final.decode().split(" ")
        ended.append((topic.decode(), Final(int(seq), type)))
    return sorted(ended, key=lambda each: each[1].seq)
