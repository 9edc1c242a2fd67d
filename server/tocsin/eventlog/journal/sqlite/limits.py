"""What a journal on disk keeps."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tocsin.eventlog.journal.ended import MOST


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes and times; each is what the setting of the like name says.

    Attributes:
        events: kept at most, and up to a hundredth more at times.
        bytes: of their records, and up to a hundredth more.
        age_s: seconds an event is kept; 0 keeps it however old.
        keep_newest: patterns of topics, and how many events of each topic stay when the others go.
        keep_newest_bytes: that those count at most.
        remembered_evictions: pairs of topic and type of which it is known what was evicted last.
        keys: idempotency keys kept at most.
        key_window_s: seconds a key is kept.
        ended_topics: topics that have ended and are remembered at most.
    """

    events: int = 1_000_000
    bytes: int = 2**30
    age_s: float = 0.0
    keep_newest: Sequence[tuple[str, int]] = ()
    keep_newest_bytes: int = 16 * 2**20
    remembered_evictions: int = 100_000
    keys: int = 100_000
    key_window_s: float = 86_400.0
    ended_topics: int = MOST
