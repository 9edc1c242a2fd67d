"""CloudEvents 1.0 (CNCF), as they come over HTTP: structured, as one JSON object; or binary, with `ce-` headers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any
from urllib.parse import unquote

from tocsin.core.event import TYPE_SCHEMA, Draft
from tocsin.core.publish_body import draft_of
from tocsin.core.strict_json import decode
from tocsin.errors import InvalidInput

PREFIX = "ce-"
VERSION_FIELD = "ce-specversion"
VERSION = "1.0"
REQUIRED = ("specversion", "id", "source", "type")

CLOUD_EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "a CloudEvent 1.0 in its JSON format",
    "required": REQUIRED,
    "properties": {
        "specversion": {"const": VERSION},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": TYPE_SCHEMA,
        "subject": {"type": "string"},
        "data": {},
        "data_base64": {"type": "string"},
    },
}

CloudEvent = dict[str, Any]
"""Its attributes, and its `data` or `data_base64`, as in the JSON format (CloudEvents JSON Event Format, section 3)."""


def read_structured(body: bytes) -> CloudEvent:
    """The event that `body` is.

    Raises:
        InvalidInput: it is none.
    """
    return _checked(decode(body, dict[str, Any]))


def read_binary(headers: Mapping[str, str], body: bytes, *, is_json: bool) -> CloudEvent:
    """The event whose attributes are in `headers`, by name in lower case, and whose data is `body`.

    Raises:
        InvalidInput: it is none.
    """
    event: CloudEvent = {
        name.removeprefix(PREFIX): unquote(value)
        for name, value in headers.items()
        if name.startswith(PREFIX)
    }
    content_type = headers.get("content-type", "")
    if content_type:
        event["datacontenttype"] = content_type
    if is_json and body:
        event["data"] = decode(body, object)
    elif body:
        try:
            event["data"] = body.decode()
        except UnicodeDecodeError:
            event["data_base64"] = base64.b64encode(body).decode()
    return _checked(event)


def draft_of_cloud_event(
    event: CloudEvent,
    topic: str,
    timestamp: str,
    *,
    max_bytes: int,
    has_key: bool,
    final: bool = False,
) -> Draft:
    """The draft of `event` on `topic`; its data is the event in the JSON format, so that nothing of it is lost.

    Its message is the `message` of its data, or its data if that is a text, else its subject or type. Its source and
    id are the idempotency key, unless the request has one. It ends its topic where the request says so (`final`), or its
    extension attribute of that name.

    Raises:
        InvalidInput: its type can't be one here, its `final` is no boolean, or it is too large.
    """
    key = "" if has_key else key_of(event)
    return draft_of(
        event["type"],
        _message(event),
        event,
        topic,
        timestamp,
        max_bytes=max_bytes,
        key=key,
        final=_is_final(event) or final,
    )


def key_of(event: CloudEvent) -> str:
    """An idempotency key that is the same for the same source and id, and for no others."""
    named = f"{event['source']}\0{event['id']}".encode()
    return "ce-" + blake2b(named, digest_size=24).hexdigest()


def _checked(event: CloudEvent) -> CloudEvent:
    for name in REQUIRED:
        value = event.get(name)
        if not isinstance(value, str) or not value:
            raise InvalidInput(
                f"{name} is missing, empty or no text; a CloudEvent has {', '.join(REQUIRED)}",
                code="missing_field",
                field=name,
                status=400,
            )
    if event["specversion"] != VERSION:
        raise InvalidInput(
            f"specversion must be {VERSION}", code="invalid_specversion", field="specversion"
        )
    return event


def _is_final(event: CloudEvent) -> bool:
    """What the extension attribute `final` says: a boolean, which is a text in a header (CloudEvents, section 2.4)."""
    final = event.get("final", False)
    if isinstance(final, bool):
        return final
    if final in ("true", "false"):
        return bool(final == "true")
    raise InvalidInput("final must be true or false", code="invalid_field", field="final")


def _message(event: CloudEvent) -> str:
    data = event.get("data")
    if isinstance(data, dict):
        data = data.get("message")
    for value in (data, event.get("subject")):
        if isinstance(value, str) and value:
            return value
    kind: str = event["type"]
    return kind
