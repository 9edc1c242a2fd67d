"""The audit log: who published what, and who opened which stream. Lines of a logger of its own, `tocsin.audit`, at INFO."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

log = logging.getLogger("tocsin.audit")

SHOWN = 20
"""Topics that one line names; it says how many more there are."""


def is_on() -> bool:
    """Whether anybody wants these lines: making one costs a third of a POST."""
    return log.isEnabledFor(logging.INFO)


def note_publish(
    principal: str, address: str, ids: Sequence[object], types: Iterable[str], topics: Iterable[str]
) -> None:
    """`principal` published events of these ids, in one request from `address`."""
    extra = {"principal": principal, "address": address, "events": len(ids), "first": str(ids[0])}
    log.info("published", extra={**extra, "types": _shown(types), "topics": _shown(topics)})


def note_stream(principal: str, address: str, client: int, topics: Iterable[str]) -> None:
    """`principal` opened the stream `client` from `address`, over what `topics`, patterns, let through."""
    extra = {"principal": principal, "address": address, "client": client}
    log.info("stream opened", extra={**extra, "topics": _shown(topics)})


def _shown(names: Iterable[str]) -> str:
    found = sorted(set(names)) or ["*"]
    rest = len(found) - SHOWN
    return ",".join(found[:SHOWN]) + (f",+{rest}" if rest > 0 else "")
