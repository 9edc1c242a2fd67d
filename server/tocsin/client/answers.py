"""Answers to requests: what a refusal says, read in bounds; what went wrong below HTTP."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from tocsin.client.errors import ClientError, Refused, Unauthorized, Unavailable, Unreachable

MAX_REFUSAL_BYTES = 64 * 1024
"""Of the body of a refusal: a hub's has some hundred bytes, a proxy's page some thousand."""

MAX_SHOWN = 300
"""Characters of a foreign text in an error."""

CONNECT_TIMEOUT_S = 10.0
MAX_RETRY_AFTER_S = 300

NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
"""What happens before a request has left."""


def is_temporary(status: int) -> bool:
    """Whether the same request may succeed later."""
    return status in (408, 425, 429) or status >= 500


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> ClientError:
    """What an answer other than success says: `Refused`, `Unauthorized` or `Unavailable`."""
    said = _object(body)
    code = _text(said.get("code"))
    message = _text(said.get("error")) or _plain(headers, body)
    if 300 <= status < 400:
        place = headers.get("location", "another address")
        message = f"redirected to {place[:MAX_SHOWN]}: use that address"
    text = f"{status}: {message}" if message else f"the answer was {status}"
    if is_temporary(status):
        return Unavailable(text, status=status, code=code)
    index = said.get("index")
    kind = Unauthorized if status in (401, 403) else Refused
    return kind(
        text,
        status=status,
        code=code,
        field=_text(said.get("field")),
        index=index if isinstance(index, int) else None,
    )


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds that ``Retry-After`` asks to wait, bounded; 0 where it asks for none, or for a date."""
    value = headers.get("retry-after", "")
    is_number = value.isascii() and value.isdigit() and len(value) <= 9
    return float(min(int(value), MAX_RETRY_AFTER_S)) if is_number else 0.0


def unreachable(error: Exception) -> Unreachable:
    """What became of a connection that was never made."""
    return Unreachable(one_line(error))


def is_hopeless(error: BaseException) -> bool:
    """Whether the address or the certificate is wrong, so that another attempt makes no sense."""
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.InvalidURL):
        return True
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def one_line(error: BaseException) -> str:
    """An error of the HTTP library in one line for people."""
    text = " ".join(str(error).split())
    return text[:MAX_SHOWN] or type(error).__name__


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _plain(headers: Mapping[str, str], body: bytes) -> str:
    """The beginning of a text. A page in HTML says nothing that its status doesn't."""
    if not headers.get("content-type", "").startswith("text/plain"):
        return ""
    return _text(body.decode(errors="replace"))


def _text(value: object) -> str:
    return " ".join(value.split())[:MAX_SHOWN] if isinstance(value, str) else ""
