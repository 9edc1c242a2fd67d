"""What a route takes and answers, as values: the one declaration that its description is made of.

What depends on the settings of a hub is named by the setting, where JSON Schema has a number: see `openapi`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Literal

import msgspec

from tocsin.errors import CODES
from tocsin.http.request import JSON

Schema = Mapping[str, Any]
"""JSON Schema, draft 2020-12."""

OF_ALL = (
    *("bad_request", "timeout", "too_large", "unknown_host", "headers_too_large"),
    *("internal", "busy"),
)
"""Codes that any request may be answered with: it can't be read, or the hub can't."""

OF_CREDENTIALS = ("unauthorized", "forbidden", "no_key_set", "draining")
"""Codes where credentials are looked at."""


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One value beside the body.

    Attributes:
        name: as it is sent.
        summary: what it means, in Markdown.
        example: a value that is taken, as it is sent.
        schema: of one value.
        place: where it stands.
        is_repeatable: whether it may be given several times.
        is_required: whether the request is refused without it.
        codes: of the errors that it may lead to.
    """

    name: str
    summary: str
    example: str
    schema: Schema
    place: Literal["query", "path", "header"] = "query"
    is_repeatable: bool = False
    is_required: bool = False
    codes: tuple[str, ...] = ()


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A body that is taken.

    Attributes:
        media_type: that it is sent as.
        shape: a type that it is read into, a schema, or a tuple of such, of which it is one.
        summary: what it is.
        example: one that is taken.
        headers: that come with the example.
    """

    media_type: str
    shape: Any
    summary: str
    example: str
    headers: Mapping[str, str] = {}


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is no error.

    Attributes:
        summary: when it is given.
        status: of HTTP.
        shape: the type that it is made of, a schema, or a tuple of such, of which it is one; None is no body.
        media_type: of the body.
        headers: that it has besides those of every answer, with what they say.
        events: of a stream: the types of its events' data, by event type; "" is any other. `shape` is that of one event.
    """

    summary: str
    status: int = 200
    shape: Any = None
    media_type: str = JSON
    headers: Mapping[str, str] = {}
    events: Mapping[str, Any] = {}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of a route.

    Attributes:
        method: `GET` stands for HEAD too.
        summary: what it does, in a few words.
        text: more of it, in Markdown.
        replies: that are no errors; at least one.
        parameters: that it knows.
        bodies: that it takes; none where a body means nothing.
        codes: of errors that are its own, beside those of its parameters.
        is_open: whether credentials aren't looked at, as everybody is answered.
        needs: the right without which it is refused where there is authentication; `name` is any credentials, and empty
            is nothing.
    """

    method: str
    summary: str
    replies: tuple[Reply, ...]
    text: str = ""
    parameters: tuple[Parameter, ...] = ()
    bodies: tuple[Body, ...] = ()
    codes: tuple[str, ...] = ()
    is_open: bool = False
    needs: Literal["publish", "subscribe", "admin", "name", ""] = "subscribe"

    @property
    def all_codes(self) -> Mapping[int, tuple[str, ...]]:
        """Every code that it may be answered with, by status, both in order."""
        of_parameters = [code for each in self.parameters for code in each.codes]
        of_all = OF_ALL if self.is_open else (*OF_ALL, *OF_CREDENTIALS)
        codes = sorted({*self.codes, *of_parameters, *of_all})
        statuses = sorted({status for code in codes for status in CODES[code].statuses})
        return {s: tuple(c for c in codes if s in CODES[c].statuses) for s in statuses}


class Failure(msgspec.Struct, omit_defaults=True):
    """Why a request was refused, or could not be answered.

    Attributes:
        error: one sentence for people.
        code: a word for machines.
        field: the parameter, header or field at fault, where one is.
        index: of a batch, the place of the event at fault, from 0.
        limit: what was exceeded: a number of bytes, or the name of a setting.
    """

    error: str
    code: str
    field: str | None = None
    index: int | None = None
    limit: int | str | None = None


def methods_of(operations: Iterable[Operation]) -> tuple[str, ...]:
    """The methods that a route with `operations` takes: HEAD goes with GET, and OPTIONS with all."""
    methods: list[str] = []
    for operation in operations:
        methods += ("GET", "HEAD") if operation.method == "GET" else (operation.method,)
    return (*methods, "OPTIONS")


def phrase(status: int) -> str:
    """What HTTP calls `status`."""
    return HTTPStatus(status).phrase
