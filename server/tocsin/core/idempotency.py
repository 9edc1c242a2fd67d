"""Idempotency keys: what may be one, and what of an event is compared when it comes again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

from tocsin.core.event import MAX_LABEL_LENGTH, Draft
from tocsin.errors import InvalidInput

DIGEST_BYTES = 16

_KEY = re.compile(rf"[!-~]{{1,{MAX_LABEL_LENGTH}}}")
KEY_SCHEMA = {"title": "idempotency key", "type": "string", "pattern": f"^{_KEY.pattern}$"}
_TIMESTAMP = b'"timestamp":"'


def check_key(key: str, field: str) -> str:
    """Return the idempotency key `key`, or raise `InvalidInput` that names `field` and the rule."""
    if _KEY.fullmatch(key):
        return key
    raise InvalidInput(
        f"{field} must be 1 to {MAX_LABEL_LENGTH} printable ASCII characters without a space",
        code="invalid_key",
        field=field,
        status=400,
    )


def digest_of(drafts: Sequence[Draft]) -> bytes:
    """A digest, `DIGEST_BYTES` long, of what `drafts` would publish; the time of the request is no part of it."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    for draft in drafts:
        # The last one is the hub's own: behind it stand the source and the topic, which hold no quote.
        before, timestamp, after = draft.data.rpartition(_TIMESTAMP)
        if timestamp:
            after = after.partition(b'"')[2]
        if draft.final:
            digest.update(b"final")
        for part in (draft.type.encode(), before, after):
            digest.update(b"%d:" % len(part))
            digest.update(part)
    return digest.digest()
