"""The log in Redis as commands on a link: look, append, follow, read.

It keeps names and limits, and what this node can say of the log after a restart of Redis.
"""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.core.event import EventId
from tocsin.eventlog.journal.base import Append, Outcome
from tocsin.eventlog.journal.ended import Ended
from tocsin.eventlog.journal.redis.address import Address
from tocsin.eventlog.journal.redis.checks import keeps_all
from tocsin.eventlog.journal.redis.entries import Stored, read_entries
from tocsin.eventlog.journal.redis.link import Link
from tocsin.eventlog.journal.redis.script import (
    APPEND,
    LOOK,
    Head,
    Keys,
    Limits,
    State,
    Witness,
    append_arguments,
    arguments,
    read_ended,
    read_outcomes,
    read_state,
)


class Store:
    """One log in one Redis.

    Args:
        address: of the server.
        username, password: how to log in; empty does without.
        keys: where the log is.
        limits: what it may keep.

    Attributes:
        keys: as given.
    """

    def __init__(
        self, address: Address, username: str, password: str, keys: Keys, limits: Limits
    ) -> None:
        self.address = address
        self.keys = keys
        self._username = username
        self._password = password
        self._limits = limits
        self._trusted_epoch = 0
        self._keeps_all: tuple[str, bool | None] = ("", None)

    def link(self, timeout_s: float) -> Link:
        """A new connection, not open yet."""
        return Link(self.address, self._username, self._password, timeout_s)

    async def look(self, link: Link, head: Head) -> State:
        """What the log is like, for a node that has read up to `head`; trims it, too.

        Where the log is gone, or behind that head, a new one begins: then its epoch is another.
        """
        state = read_state(await link.run_script(LOOK, *await self._arguments(link, head), 0))
        # Not for who has yet to read it: between this look and then, Redis may go back.
        is_known = state.is_trusted and state.verdict != "fenced"
        self._trusted_epoch = state.head.epoch if is_known else 0
        return state

    async def append(
        self, link: Link, head: Head, appends: Sequence[Append], records: Sequence[Sequence[bytes]]
    ) -> tuple[State, Sequence[Outcome]]:
        """Append these in one step, each with its records; nothing where the verdict isn't ``ok``."""
        command = [*await self._arguments(link, head), len(appends)]
        for append, its_records in zip(appends, records, strict=True):
            command += append_arguments(its_records, append)
        answer = await link.run_script(APPEND, *command)
        return read_state(answer), read_outcomes(answer, appends)

    async def try_append(self, link: Link, head: Head) -> None:
        """Append nothing: see whether Redis would take events.

        Raises:
            RedisFault: it wouldn't.
        """
        await self.append(link, head, (), ())

    async def _arguments(self, link: Link, head: Head) -> list[bytes | str | int]:
        """What the script is told of a node that has read up to `head`, before the appends."""
        await link.open()
        while self._keeps_all[0] != link.run:  # it may be another one after the question
            self._keeps_all = link.run, await keeps_all(link)
        witness = Witness(head.id.epoch == self._trusted_epoch, self._keeps_all[1])
        return arguments(self.keys, self._limits, head, link.run, witness)

    async def read_ended(self, link: Link) -> Sequence[Ended]:
        """The topics that have ended, as far as they are remembered; the oldest first."""
        return read_ended(await link.ask("HGETALL", self.keys.ended))

    async def follow(
        self, link: Link, after: EventId, count: int, block_ms: int
    ) -> Sequence[Stored]:
        """At most `count` events after `after`; waits for the first one, at most so long."""
        options = ("COUNT", count, "BLOCK", block_ms, "STREAMS", self.keys.stream)
        answer = await link.ask("XREAD", *options, str(after))
        return read_entries(answer[0][1]) if answer else ()

    async def read(self, link: Link, first: EventId, last: EventId, count: int) -> Sequence[Stored]:
        """At most `count` of the events from `first` to `last`, oldest first."""
        ids = str(first), str(last)
        return read_entries(await link.ask("XRANGE", self.keys.stream, *ids, "COUNT", count))

    async def read_back(
        self, link: Link, last: EventId, first: EventId, count: int
    ) -> Sequence[Stored]:
        """At most `count` of the events from `last` back to `first`, newest first."""
        ids = str(last), str(first)
        return read_entries(await link.ask("XREVRANGE", self.keys.stream, *ids, "COUNT", count))
