"""Who sent a request, and what they may do. One is made here for each request, or taken from a table of those known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from tocsin.access.rights import EVERYTHING, NOTHING, Patterns
from tocsin.core.filters import Filter
from tocsin.errors import Forbidden, Unauthorized

SHOWN_TOPIC = 64
"""Characters of a topic that a refusal quotes."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking.

    Attributes:
        name: ``key:NAME`` of an API key, ``jwt:SUBJECT`` of a token; empty for who said nothing.
        publish: topics it may publish on.
        subscribe: topics it may read, live and kept.
        end: topics it may end.
        is_admin: whether it may see and end everybody's streams, and read the metrics.
        expires_at: Unix time from which on it is nobody any more.
        digest: of the secret of an API key; empty for others.
        source: of a ticket or session that an API key was changed for: that key's own.
    """

    name: str = ""
    publish: Patterns = NOTHING
    subscribe: Patterns = NOTHING
    end: Patterns = NOTHING
    is_admin: bool = False
    expires_at: float = math.inf
    digest: bytes = b""
    source: Principal | None = None

    @property
    def reads_everything(self) -> bool:
        """Whether no topic is hidden: only then it is told what counts over all topics."""
        return self.subscribe.is_everything

    def check_publish(self, topics: Sequence[str], *, final: bool = False) -> None:
        """Judge the publishing of an event on all of `topics`; `final` ends them.

        Raises:
            Unauthorized: credentials could help.
            Forbidden: these don't.
        """
        if not self.publish.is_everything:
            for topic in topics:
                if not self.publish.allows(topic):
                    raise self.refusal("publish", f"on topic {topic[:SHOWN_TOPIC]!r}", "topic")
        if final and not self.end.is_everything:
            for topic in topics:
                if not self.end.allows(topic):
                    raise self.refusal("end", f"topic {topic[:SHOWN_TOPIC]!r}", "topic")

    def readable(self, filter: Filter) -> Filter:
        """What of `filter` it may read; `filter` itself where that is all.

        Raises:
            Unauthorized, Forbidden: nothing of it.
        """
        narrowed = self.subscribe.narrow(filter)
        if narrowed is None:
            raise self.refusal("subscribe", "to any of these topics", "topic")
        return narrowed

    def check_admin(self) -> None:
        """Judge what is an operator's.

        Raises:
            Unauthorized, Forbidden: it isn't.
        """
        if not self.is_admin:
            raise self.refusal("admin", "")

    def refusal(self, right: str, what: str, field: str | None = None) -> Unauthorized | Forbidden:
        """The error for want of `right`."""
        if right == "admin":
            sentence = (
                "this is for operators: it needs a key or token with the right admin, as Bearer"
            )
        else:
            sentence = f"may not {right} {what}".rstrip()
        if not self.name:
            sentence = sentence if right == "admin" else f"without credentials you {sentence}"
            return Unauthorized(sentence, reason=right, is_given=False)
        sentence = sentence if right == "admin" else f"{self.name} {sentence}"
        return Forbidden(sentence, reason=right, field=field)

    def __repr__(self) -> str:
        return f"Principal({self.name!r})"


EVERYBODY = Principal(publish=EVERYTHING, subscribe=EVERYTHING, end=EVERYTHING, is_admin=True)
"""Everybody, as long as there is no authentication; and the hub itself."""

NOBODY = Principal()
"""Who may do nothing: what a request is of until it is known better."""
