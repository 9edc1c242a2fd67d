"""Query parameters, read strictly: what is known is taken, what was meant is refused with the right spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache

import msgspec

from tocsin.core.event import TYPE_SCHEMA
from tocsin.core.filters import MAX_PATTERNS, PATTERN_SCHEMA, Filter
from tocsin.core.numbers import whole_number
from tocsin.errors import InvalidInput
from tocsin.eventlog.recent import MAX_EVENTS, MAX_PER_TOPIC, Recent
from tocsin.http.operation import Parameter
from tocsin.http.request import Request

LAST_EVENT_ID = "last_event_id"
LAST = "last"
PER_TOPIC = "last_per_topic"
OF_ANY_QUERY = ("bad_request", "unknown_parameter")
"""Codes of a query that can't be read, or that has a slip in it."""

SPELLINGS = {"lasteventid": LAST_EVENT_ID}
"""Letters of a name to the name: `lastEventId`, `lastEventID` and `Last-Event-ID` are those of known clients."""

MAX_IGNORED = 20
"""Unknown names that one query may have: a cache-buster and a campaign's parameters are a handful."""

MAX_NAME_LENGTH = 64

NEAR = 0.8
"""How alike (0 to 1) a name must be to one of ours to be a slip of it: `topik`, `topics`, `limits`."""


class Parameters(msgspec.Struct, frozen=True):
    """The query of one request.

    Attributes:
        values: of each known name that was given.
        ignored: the unknown names, in the order they were sent.
    """

    values: Mapping[str, Sequence[str]]
    ignored: tuple[str, ...] = ()

    @classmethod
    def read(cls, request: Request, known: frozenset[str]) -> Parameters:
        """The query of `request`, of which the names in `known` mean something.

        Raises:
            InvalidInput: it is malformed, or has a name that is nearly one of `known`: to ignore it would be
                to send everybody's events, or no replay, to who asked for less or more.
        """
        if not request.query:
            return cls({})
        values: dict[str, list[str]] = {}
        ignored: list[str] = []
        for name, given in request.parameters().items():
            meant = name if name in known else SPELLINGS.get(_letters(name), name)
            if meant in known:
                values.setdefault(meant, []).extend(given)
            else:
                ignored.append(name)
        _check_unknown(ignored, known)
        return cls(values, tuple(ignored))

    def all(self, name: str) -> Sequence[str]:
        """The values of `name`, in the order they were sent."""
        return self.values.get(name, ())

    def last(self, name: str, default: str = "") -> str:
        """The last value of `name`."""
        given = self.values.get(name)
        return given[-1] if given else default

    @property
    def filter(self) -> Filter:
        """What `topic` and `type` ask for.

        Raises:
            InvalidInput: more of them than one stream may name, or one that could never match.
        """
        return Filter.parse(self.all("topic"), self.all("type"))


class WholeNumber(Parameter, frozen=True, kw_only=True):
    """A whole number from `least` to `most`; None as `default` is none."""

    least: int
    most: int
    default: int | None = None
    codes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        summary: str,
        example: str,
        *,
        least: int,
        most: int,
        default: int | None = None,
    ) -> WholeNumber:
        """One that is given in the query."""
        schema: dict[str, object] = {"type": "integer", "minimum": least, "maximum": most}
        if default is not None:
            schema["default"] = default
        return cls(
            name=name,
            summary=summary,
            example=example,
            schema=schema,
            codes=(*OF_ANY_QUERY, f"invalid_{name}"),
            least=least,
            most=most,
            default=default,
        )

    def read(self, parameters: Parameters) -> int:
        """Its value in `parameters`.

        Raises:
            InvalidInput: it is none, or there is no default.
        """
        if self.name not in parameters.values and self.default is not None:
            return self.default
        return whole_number(parameters.last(self.name), self.name, least=self.least, most=self.most)


TOPIC = Parameter(
    name="topic",
    summary=f"A topic, or what topics begin with and a `*`; {MAX_PATTERNS} at most. Without it, all that may be read.",
    example="ops/*",
    schema=PATTERN_SCHEMA,
    is_repeatable=True,
    codes=(*OF_ANY_QUERY, "invalid_topic", "reserved_topic", "too_many_values"),
)
TYPE = Parameter(
    name="type",
    summary=f"An event type; {MAX_PATTERNS} at most. Without it, all.",
    example="alert",
    schema=TYPE_SCHEMA,
    is_repeatable=True,
    codes=(*OF_ANY_QUERY, "invalid_type", "reserved_type", "too_many_values"),
)
LAST_COUNT = WholeNumber.of(
    LAST,
    "A new stream begins with the newest so many events over all that it lets through.",
    "10",
    least=1,
    most=MAX_EVENTS,
)
PER_TOPIC_COUNT = WholeNumber.of(
    PER_TOPIC,
    "First the newest so many events of each topic.",
    "1",
    least=1,
    most=MAX_PER_TOPIC,
)


def names_of(parameters: Iterable[Parameter]) -> frozenset[str]:
    """The names of those that stand in the query."""
    return frozenset(each.name for each in parameters if each.place == "query")


def recent_of(parameters: Parameters) -> Recent | None:
    """What a new stream is to get first; None is nothing.

    Raises:
        InvalidInput: it can't be.
    """
    if LAST in parameters.values and PER_TOPIC in parameters.values:
        raise not_both(PER_TOPIC, LAST)
    if LAST in parameters.values:
        return Recent(last=LAST_COUNT.read(parameters))
    if PER_TOPIC in parameters.values:
        return Recent(per_topic=PER_TOPIC_COUNT.read(parameters))
    return None


def not_both(field: str, other: str) -> InvalidInput:
    """The refusal of two parameters that contradict each other."""
    message = f"{field} and {other} ask for different beginnings; send one of them"
    return InvalidInput(message, code="conflicting_parameters", field=field, status=400)


def _check_unknown(names: Sequence[str], known: frozenset[str]) -> None:
    if len(names) > MAX_IGNORED:
        raise _refused(f"more than {MAX_IGNORED} unknown parameters", names[MAX_IGNORED], known)
    for name in names:
        if len(name) > MAX_NAME_LENGTH:
            raise _refused(f"a name longer than {MAX_NAME_LENGTH} characters", name, known)
        if _is_near(name, known):
            raise _refused("no such parameter", name, known)


@lru_cache(maxsize=256)
def _is_near(name: str, known: frozenset[str]) -> bool:
    """Whether `name` looks like a slip of one of `known`."""
    letters = _letters(name)
    spelt = [_letters(each) for each in known]
    return letters in spelt or bool(get_close_matches(letters, spelt, n=1, cutoff=NEAR))


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _refused(message: str, name: str, known: frozenset[str]) -> InvalidInput:
    shown = name[:MAX_NAME_LENGTH]
    return InvalidInput(
        f"{message}: {shown!r}; there is {', '.join(sorted(known))}",
        code="unknown_parameter",
        field=shown,
        status=400,
    )
