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

Shape = TypeVar("Shape")

_PATH = re.compile(r" - at `(?:key in )?\$\.?(.*)`$")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


@cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def decode(body: bytes, shape: type[Shape]) -> Shape:
    """The value of type `shape` that `body` holds.

    Raises:
        InvalidInput: 400 where it isn't JSON or is ambiguous, 422 where it is of another shape.
    """
    value = parse(body, shape)
    check_names(body)
    return value


def parse(body: bytes, shape: type[Shape]) -> Shape:
    """The same, for a caller who sees to names alike and to depth: `check_names` does.

    Raises:
        InvalidInput: as `decode`, but for those two.
    """
    try:
        value: Shape = _decoder(shape).decode(body)  # type: ignore[arg-type]  # types are hashable
    except msgspec.ValidationError as error:
        raise _misshapen(str(error)) from None
    except UnicodeDecodeError as error:
        raise _malformed(f"the body is not UTF-8 at byte {error.start}") from None
    except msgspec.DecodeError as error:
        _refuse_lone_surrogates(body)
        raise _malformed(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise _too_deep() from None
    return value


def check_names(body: bytes) -> None:
    """Refuse names alike in one object of `body`, which is JSON, and too many levels.

    Raises:
        InvalidInput: 400.
    """
    # The cheap count comes first: few bodies have so many brackets, and only those are walked.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(msgspec.json.decode(body))
    _read_pairs(body.decode())


def _unique(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(
            f"{twice[:64]!r} stands twice in one object", code="duplicate_key", status=400
        )


_read_pairs = json.JSONDecoder(object_pairs_hook=_unique).decode


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, list | dict)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    if any(isinstance(node, list | dict) for node in level):
        raise _too_deep()


def _refuse_lone_surrogates(body: bytes) -> None:
    """Say what it is: msgspec calls half of a surrogate pair "truncated"."""
    try:
        text = json.dumps(json.loads(body.decode()), ensure_ascii=False)
    except (ValueError, RecursionError):
        return
    if _LONE_SURROGATE.search(text):
        raise InvalidInput(
            "the body holds half of a surrogate pair, which is no character", code="invalid_unicode"
        )


def _malformed(message: str) -> InvalidInput:
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
