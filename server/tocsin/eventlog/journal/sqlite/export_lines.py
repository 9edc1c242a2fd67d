"""The lines of an export, which is NDJSON: the log, then its events, then how many they were.

So nobody is locked in: any language reads it.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Annotated

import msgspec
from msgspec import Meta

from tocsin.core.event import Draft, Event
from tocsin.errors import InvalidInput, SettingsError

FORM = 2
"""Of an export as it is written now. The first one, whose header names no form, has no line at its end."""

MAX_EPOCH = 10**15 - 1
MAX_SEQ = 10**14
"""Ids have at most 15 digits on each side; with these there is room for more events than come in a life."""

MAX_TIME_S = 253_402_300_799.0
"""The end of the year 9999. Times of a log never go back: events that follow one beyond would all bear that."""


class Header(msgspec.Struct, frozen=True, tag_field="kind", tag="log"):
    """The first line: the log, and the newest seq that was evicted from it."""

    epoch: Annotated[int, Meta(ge=0, le=MAX_EPOCH)]
    floor: Annotated[int, Meta(ge=0, le=MAX_SEQ)]
    form: Annotated[int, Meta(ge=1)] = 1


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event. `data` is text; `data_base64` stands there instead where it isn't UTF-8."""

    seq: int
    time: Annotated[float, Meta(ge=0, le=MAX_TIME_S)]
    type: str
    topics: Annotated[tuple[str, ...], Meta(min_length=1)]
    data: str = ""
    data_base64: str = ""
    source: str = "api"
    principal: str = ""
    traceparent: str = ""
    key: str = ""
    final: bool = False


class End(msgspec.Struct, frozen=True, tag_field="kind", tag="end"):
    """The last line: how many events there were of the log, and of those that stay below it.

    Without it, an export that was cut off between two lines would be a whole one of fewer events, whose ids would be
    given again.
    """

    events: Annotated[int, Meta(ge=0)]
    kept_newest: Annotated[int, Meta(ge=0)]


_encode = msgspec.json.Encoder().encode
_decode_header = msgspec.json.Decoder(Header).decode
_decode_line = msgspec.json.Decoder(Line).decode
_decode_end = msgspec.json.Decoder(End).decode


def written(line: Header | Line | End) -> bytes:
    """The line as it is in an export, with its end."""
    return _encode(line) + b"\n"


def line_of(event: Event) -> Line:
    """The line of an event."""
    draft = event.draft
    try:
        text, encoded = draft.data.decode(), ""
    except UnicodeDecodeError:
        text, encoded = "", base64.b64encode(draft.data).decode()
    return Line(
        event.id.seq,
        event.time,
        draft.type,
        draft.topics,
        text,
        encoded,
        draft.source,
        draft.principal,
        draft.traceparent,
        draft.key,
        draft.final,
    )


def header_in(text: bytes) -> Header:
    """The header in the first line.

    Raises:
        SettingsError: it is none, or that of a newer form.
    """
    try:
        header = _decode_header(text)
    except msgspec.MsgspecError as error:
        raise _none(1, error) from None
    if header.form > FORM:
        raise SettingsError(
            f"journal: the export is of form {header.form}, and this Tocsin reads up to form {FORM}"
        )
    return header


def line_in(number: int, text: bytes, form: int) -> Line | End:
    """The event in a line that follows; or the end, which the first form doesn't have.

    Raises:
        SettingsError: it is neither.
    """
    try:
        return _decode_line(text)
    except msgspec.MsgspecError as error:
        if form > 1:
            with suppress(msgspec.MsgspecError):
                return _decode_end(text)
        raise _none(number, error) from None


def draft_in(number: int, line: Line) -> Draft:
    """What a line says that was published.

    Raises:
        SettingsError: nobody can have published it.
    """
    try:
        data = base64.b64decode(line.data_base64) if line.data_base64 else line.data.encode()
        topic, *more = line.topics
        return Draft(
            line.type,
            data,
            topic,
            line.source,
            tuple(more),
            line.principal,
            line.traceparent,
            line.key,
            line.final,
        )
    except (InvalidInput, ValueError) as error:
        raise SettingsError(f"journal: line {number}: {error}") from None


def _none(number: int, error: Exception) -> SettingsError:
    return SettingsError(f"journal: line {number} is none of an export: {error}")
