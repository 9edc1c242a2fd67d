"""Idempotency keys in memory."""

from __future__ import annotations

from tocsin.core.event import EventId
from tocsin.eventlog.journal import Once
from tocsin.eventlog.journal.keys import Appended, KnownKeys


def appended(seq: int, time: float) -> Appended:
    return Appended(b"1", EventId(1, seq), 1, time)


def test_key_is_known_for_as_long_as_the_window() -> None:
    keys = KnownKeys(10, 60.0)
    keys.add({("", "a"): appended(1, 100.0)})
    assert keys.find(Once("", "a", b"1"), 160.0) == appended(1, 100.0)
    assert keys.find(Once("", "a", b"1"), 160.1) is None
    assert keys.find(Once("other", "a", b"1"), 100.0) is None


def test_key_that_is_used_again_after_the_window_is_the_newest() -> None:
    keys = KnownKeys(2, 60.0)
    for name, time in (("a", 0.0), ("b", 50.0), ("a", 70.0), ("c", 71.0)):
        keys.add({("", name): appended(1, time)})
    assert list(keys._known) == [("", "a"), ("", "c")]


def test_oldest_keys_are_forgotten_beyond_the_limit() -> None:
    keys = KnownKeys(3, 1_000.0)
    for n in range(100):
        keys.add({("", str(n)): appended(n, float(n))})
    assert list(keys._known) == [("", "97"), ("", "98"), ("", "99")]


def test_old_keys_go_as_new_ones_come() -> None:
    keys = KnownKeys(1_000, 10.0)
    keys.add({("", str(n)): appended(n, 0.0) for n in range(100)})
    for n in range(50):
        keys.add({("new", str(n)): appended(n, 20.0)})
    assert len(keys) == 50
