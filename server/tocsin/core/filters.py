"""What a stream asked for.

A pattern is an exact topic, or a prefix ended by ``*``; ``*`` alone is every topic. No pattern and no
type means everything, but for reserved topics, which only their exact name gets. Matching is plain comparison: no expression a client could make expensive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tocsin.core.event import check_topic, check_type
from tocsin.errors import InvalidInput

MAX_PATTERNS = 100
"""Per stream, for topics and for types: enough for a page, and a bound on what one request costs."""


class Filter:
    """An immutable set of topic patterns and event types; equal filters hash alike and share work."""

    __slots__ = ("_exact", "_hash", "_prefixes", "patterns", "types")

    def __init__(self, patterns: Iterable[str] = (), types: Iterable[str] = ()) -> None:
        self.patterns = frozenset(patterns)
        self.types = frozenset(types)
        self._exact = frozenset(p for p in self.patterns if not p.endswith("*"))
        self._prefixes = tuple(p[:-1] for p in self.patterns if p.endswith("*"))
        self._hash = hash((self.patterns, self.types))

    @classmethod
    def parse(cls, patterns: Sequence[str], types: Sequence[str]) -> Filter:
        """The filter a request asks for.

        Raises:
            InvalidInput: more than `MAX_PATTERNS` of either, or one that could never match.
        """
        for field, values in (("topic", patterns), ("type", types)):
            if len(values) > MAX_PATTERNS:
                raise InvalidInput(
                    f"at most {MAX_PATTERNS} values of {field} on one stream, not {len(values)}",
                    code="too_many_values",
                    field=field,
                    status=400,
                )
        for pattern in patterns:
            if pattern != "*":
                check_topic(pattern.removesuffix("*"))
        for type in types:
            check_type(type)
        return cls(patterns, types)

    @property
    def is_everything(self) -> bool:
        """Whether it lets every event through, so that counting needs no look at the events."""
        return not self.types and (not self.patterns or "*" in self.patterns)

    def matches(self, topic: str, type: str) -> bool:
        """Whether an event of this topic and type is for a stream with this filter."""
        if self.types and type not in self.types:
            return False
        if not self.patterns or topic in self._exact:
            return True
        return any(topic.startswith(prefix) for prefix in self._prefixes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Filter):
            return NotImplemented
        return self.patterns == other.patterns and self.types == other.types

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Filter(patterns={sorted(self.patterns)}, types={sorted(self.types)})"


EVERYTHING = Filter()
