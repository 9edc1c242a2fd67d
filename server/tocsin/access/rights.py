"""What somebody may do: patterns of topics, one set for each right. Pure values.

A pattern is an exact topic, or a prefix ended by ``*``; ``*`` alone is every topic. No pattern is no right: it is
denied what isn't named. The hub's own topics are never named by any: what publishes or listens is checked for that
before rights are.
"""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.core.event import check_topic
from tocsin.core.filters import Filter, without_covered
from tocsin.errors import InvalidInput

MAX_PATTERNS = 100
"""Of one right: as many as a stream may ask for, so that what comes of both is bounded."""


class Patterns:
    """An immutable set of patterns."""

    __slots__ = ("exact", "is_everything", "prefixes", "texts")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts = frozenset(texts)
        self.prefixes = without_covered(text[:-1] for text in self.texts if text.endswith("*"))
        self.exact = frozenset(
            text
            for text in self.texts
            if not text.endswith("*") and not text.startswith(self.prefixes)
        )
        self.is_everything = self.prefixes == ("",)

    @classmethod
    def parse(cls, texts: object, field: str) -> Patterns:
        """The patterns that `texts`, whatever it is, lists.

        Raises:
            InvalidInput: it is no list, has more than `MAX_PATTERNS`, or one that could never match.
        """
        if not isinstance(texts, list | tuple) or not all(isinstance(each, str) for each in texts):
            raise InvalidInput(
                f"{field} must be a list of topic patterns", code="invalid_rights", field=field
            )
        if len(texts) > MAX_PATTERNS:
            raise InvalidInput(
                f"{field} has at most {MAX_PATTERNS} patterns, not {len(texts)}",
                code="invalid_rights",
                field=field,
            )
        for text in texts:
            if text != "*":
                check_topic(text.removesuffix("*"), field)
        return cls(texts)

    def allows(self, topic: str) -> bool:
        """Whether `topic`, which is none of the hub's own, is one of them."""
        return topic in self.exact or topic.startswith(self.prefixes)

    def narrow(self, filter: Filter) -> Filter | None:
        """What of `filter` lies inside: itself where all does; None where nothing does."""
        if self.is_everything:
            return filter
        asked = filter.patterns or ("*",)
        kept: set[str] = set()
        for pattern in asked:
            kept.update(self._inside(pattern))
        if not kept:
            return None
        return filter if kept == filter.patterns else Filter(kept, filter.types)

    def _inside(self, pattern: str) -> Iterable[str]:
        """The patterns for what both `pattern` and these let through."""
        if not pattern.endswith("*"):
            return (pattern,) if self.allows(pattern) else ()
        prefix = pattern[:-1]
        if prefix.startswith(self.prefixes):
            return (pattern,)
        longer = [each + "*" for each in self.prefixes if each.startswith(prefix)]
        return (*longer, *(each for each in self.exact if each.startswith(prefix)))

    def __bool__(self) -> bool:
        return bool(self.texts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Patterns) and self.texts == other.texts

    def __hash__(self) -> int:
        return hash(self.texts)

    def __repr__(self) -> str:
        return f"Patterns({sorted(self.texts)})"


NOTHING = Patterns()
EVERYTHING = Patterns(("*",))
