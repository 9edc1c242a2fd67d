"""Foreign bodies, as services send them to a webhook, read into drafts by a mapping of JSON Pointers (RFC 6901).

Such senders don't try again, and nobody reads what they are answered: so what a pointer doesn't find falls back,
what can't be a type or a topic is made one, and what is too large is left out. Refused are what is no JSON, and what
no service sends: so many values that all streams would wait while they are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from tocsin.core.event import (
    MAX_TOPIC_LENGTH,
    MAX_TYPE_LENGTH,
    RESERVED_TYPES,
    Draft,
    is_reserved,
)
from tocsin.core.publish_body import draft_of
from tocsin.core.strict_json import DECODE_ERRORS, check_numbers, count_names, refusal
from tocsin.errors import InvalidInput

MESSAGE_CHARACTERS = 2_000
"""Of a message; longer ones are cut."""

MAX_VALUES = 100_000
"""Of one body: objects, lists, texts, numbers. A service sends some ten an alert; a million take half a second to read."""

HOOK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NOT_IN_TOPIC = re.compile(r"[^A-Za-z0-9._:/@~-]+")
_NOT_IN_TYPE = re.compile(r"[^A-Za-z0-9._-]+")
_NOTHING = object()


class Pick(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text of an event: what the first of `pointers` that leads to one finds, else `fallback`."""

    fallback: str
    pointers: tuple[str, ...] = ()


class PickTopic(Pick, frozen=True, forbid_unknown_fields=True):
    """A topic: `prefix`, and behind it what was found."""

    prefix: str = ""


class Hook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of a body.

    Attributes:
        type, topic, message: of the event.
        severity: becomes `severity` of the event's data; None is none.
        each: a pointer to a list, each element of which is an event; empty where the body is one.
        data: a pointer to the object that is the event's data; empty is the whole.
    """

    type: Pick
    topic: PickTopic
    message: Pick
    severity: Pick | None = None
    each: str = ""
    data: str = ""


class Hooked(msgspec.Struct, frozen=True):
    """What a body came to: its drafts; what had to fall back, each once; how many elements were left out."""

    drafts: Sequence[Draft]
    fallbacks: Sequence[str]
    left_out: int = 0


def read_hooks(text: bytes) -> dict[str, Hook]:
    """The hooks that a TOML document has, by name.

    Raises:
        ValueError: what is wrong with it, in one line.
    """
    try:
        hooks = msgspec.toml.decode(text, type=dict[str, Hook])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(str(error).replace("\n", " ")) from None
    for name, hook in hooks.items():
        if not HOOK_NAME.fullmatch(name):
            raise ValueError(f"the name {name[:64]!r} must match {HOOK_NAME.pattern}")
        picks = (hook.type, hook.topic, hook.message, *([hook.severity] if hook.severity else []))
        pointers = [hook.each, hook.data, *[p for pick in picks for p in pick.pointers]]
        wrong = [pointer for pointer in pointers if pointer and not pointer.startswith("/")]
        if wrong:
            raise ValueError(f"{name}: the pointer {wrong[0]!r} must begin with /")
        if as_type(hook.type.fallback) != hook.type.fallback:
            raise ValueError(f"{name}: the fallback {hook.type.fallback!r} can't be a type")
        whole = hook.topic.prefix + hook.topic.fallback
        if as_topic(whole) != whole:
            raise ValueError(f"{name}: the prefix and fallback {whole!r} can't be a topic")
        if not hook.message.fallback:
            raise ValueError(f"{name}: the fallback of message must not be empty")
    return hooks


def read_hooked(
    hook: Hook, body: bytes, timestamp: str, *, max_bytes: int, max_events: int
) -> Hooked:
    """The drafts of `body`, 1 to `max_events`.

    Raises:
        InvalidInput: it is no JSON, or holds a number that is too large, or too many values.
    """
    _check_size(body)
    try:
        value = msgspec.json.decode(body)
    except DECODE_ERRORS as error:
        raise refusal(error, body) from None
    check_numbers(body)
    elements: Sequence[Any] = [value]
    fallbacks: dict[str, None] = {}
    if hook.each:
        found = _find(value, hook.each)
        if isinstance(found, list) and found:
            elements = found
        else:
            fallbacks["each"] = None
    drafts = [_draft(hook, each, fallbacks, timestamp, max_bytes) for each in elements[:max_events]]
    return Hooked(drafts, tuple(fallbacks), len(elements) - len(drafts))


def _check_size(body: bytes) -> None:
    """Refuse too many values before an object is made of one. Commas in texts count too, so it is a little less than said.

    Raises:
        InvalidInput: 413.
    """
    # A value is the first one of its list or object, or follows a comma.
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
        message = f"the body has more than {MAX_VALUES} values"
        raise InvalidInput(message, code="too_large", status=413)


def as_topic(text: str) -> str:
    """`text` made a topic; empty where nothing of it can be one."""
    topic = _NOT_IN_TOPIC.sub("-", text).lstrip("._:/@~-")[:MAX_TOPIC_LENGTH]
    return "" if is_reserved(topic) else topic


def as_type(text: str) -> str:
    """`text` made an event type; empty where nothing of it can be one."""
    type = _NOT_IN_TYPE.sub("-", text).lstrip("0123456789._-")[:MAX_TYPE_LENGTH]
    return "" if type in RESERVED_TYPES else type


def _draft(
    hook: Hook, element: Any, fallbacks: dict[str, None], timestamp: str, max_bytes: int
) -> Draft:
    def pick(field: str, pick: Pick) -> str:
        for pointer in pick.pointers:
            text = _text(_find(element, pointer))
            if text:
                return text
        if pick.pointers:
            fallbacks[field] = None
        return pick.fallback

    type = as_type(pick("type", hook.type))
    if not type:
        type, fallbacks["type"] = hook.type.fallback, None
    topic = as_topic(hook.topic.prefix + pick("topic", hook.topic))
    if not topic:
        topic, fallbacks["topic"] = hook.topic.prefix + hook.topic.fallback, None
    message = pick("message", hook.message)[:MESSAGE_CHARACTERS]
    data = _data(hook, element, fallbacks)
    if hook.severity:
        data = {**data, "severity": pick("severity", hook.severity)}
    try:
        count_names(data)
        return draft_of(type, message, data, topic, timestamp, max_bytes=max_bytes)
    except InvalidInput:  # it nests too deep, or is too large for an event: what there is room for
        fallbacks["size"] = None
        room = max(max_bytes // 16, 1)  # a character takes up to 12 bytes as JSON
        return draft_of(
            type, message[:room], {"left_out": True}, topic, timestamp, max_bytes=max_bytes
        )


def _data(hook: Hook, element: Any, fallbacks: dict[str, None]) -> dict[str, Any]:
    if hook.data:
        found = _find(element, hook.data)
        if isinstance(found, dict):
            return found
        fallbacks["data"] = None
    return element if isinstance(element, dict) else {"body": element}


def _find(value: Any, pointer: str) -> Any:
    """What `pointer` leads to in `value`; `_NOTHING` where it leads nowhere."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 7:
            if int(name) >= len(value):
                return _NOTHING
            value = value[int(name)]
        else:
            return _NOTHING
    return value


def _text(value: Any) -> str:
    """`value` as a text, if it is one, a number or a boolean; else empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    return ""
