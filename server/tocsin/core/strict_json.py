"""Reading JSON from strangers, strictly: UTF-8 only, no duplicate names, bounded depth.

msgspec refuses what RFC 8259 does (NaN, Infinity, raw control characters, a byte order mark) and lone
surrogates. Two names alike in one object are legal JSON, and a hole: two readers may pick
different ones. So they are refused here (as I-JSON does, RFC 7493, section 2.3).
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, TypeVar

import msgspec

from tocsin.errors import InvalidInput

MAX_DEPTH = 32

DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a msgspec decoder raises for a text that it can't take; `refusal` says it in our words."""

Shape = TypeVar("Shape")

_PATH = re.compile(r" - at `(?:key in )?\$\.?(.*)`$")
_PLACE = re.compile(r"\(byte (\d+)\)$")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


@cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def decode(body: bytes, shape: type[Shape]) -> Shape:
    """The value of type `shape` that `body` holds.

    Raises:
        InvalidInput: 400 where it isn't JSON or is ambiguous, 422 where it is of another shape.
    """
    try:
        value: Shape = _decoder(shape).decode(body)  # type: ignore[arg-type]  # types are hashable
    except DECODE_ERRORS as error:
        raise refusal(error, body) from None
    plain = msgspec.json.decode(body)
    if isinstance(plain, (dict, list)):
        count_names(plain)
    check_names(body)
    return value


def refusal(error: Exception, text: bytes, offset: int = 0) -> InvalidInput:
    """What to say of `error`, one of `DECODE_ERRORS`, that came of decoding `text`.

    `text` begins at byte `offset` of the body, and places are told as places in the body.
    """
    if isinstance(error, RecursionError):
        return _too_deep()
    if isinstance(error, UnicodeDecodeError):  # its own offset is that in one string of the text
        return malformed(f"the body is not UTF-8 at byte {offset + _first_bad_byte(text)}")
    if isinstance(error, msgspec.ValidationError):
        return _misshapen(str(error))
    if _has_lone_surrogate(text):
        return InvalidInput(
            "the body holds half of a surrogate pair, which is no character", code="invalid_unicode"
        )
    said = _PLACE.sub(lambda place: f"(byte {offset + int(place[1])})", str(error))
    return malformed(f"the body is not JSON: {said}")


def check_names(text: bytes) -> None:
    """Refuse names alike in one object of `text`, which is JSON of a depth that was checked.

    Raises:
        InvalidInput: 400.
    """
    _read_pairs(text.decode())


def _refuse_twins(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidInput(
                f"{name[:64]!r} stands twice in one object", code="duplicate_key", status=400
            )
        seen.add(name)


_read_pairs = json.JSONDecoder(object_pairs_hook=_refuse_twins).decode


def count_names(value: Any, levels: int = MAX_DEPTH) -> int:
    """How many names all objects in `value`, a list or an object, have together.

    Raises:
        InvalidInput: 400, it nests in more than `levels`, counting `value` itself.
    """
    names = 0
    level = [value]
    for _ in range(levels):
        names += sum([len(node) for node in level if isinstance(node, dict)])
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return names
    raise _too_deep()


def _first_bad_byte(text: bytes) -> int:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.start
    raise AssertionError("msgspec and Python differ on what is UTF-8")


def _has_lone_surrogate(text: bytes) -> bool:
    """Whether half of a surrogate pair is all that is wrong: msgspec may call it "truncated"."""
    try:
        plain = json.dumps(json.loads(text.decode()), ensure_ascii=False)
    except (ValueError, RecursionError):
        return False
    return _LONE_SURROGATE.search(plain) is not None


def malformed(message: str) -> InvalidInput:
    """The refusal of a body that isn't JSON, which `message` says."""
    return InvalidInput(message, code="invalid_json", status=400)


def _too_deep() -> InvalidInput:
    return InvalidInput(f"the body nests more than {MAX_DEPTH} levels", code="too_deep", status=400)


def _misshapen(message: str) -> InvalidInput:
    path = _PATH.search(message)
    unknown = re.search(r"unknown field `(.*?)`", message)
    field = unknown[1] if unknown else path[1] if path else None
    said = _PATH.sub("", message).replace("`", "'")
    return InvalidInput(
        f"{field or 'body'}: {said[0].lower()}{said[1:]}",
        code="unknown_field" if unknown else "invalid_field",
        field=field or None,
    )
