"""Journals: what makes the log durable or shared. `open_journal` finds the one that the settings name."""

from pathlib import Path

from tocsin.errors import SettingsError
from tocsin.eventlog.journal.base import (
    Append,
    Committed,
    Deliver,
    Figures,
    History,
    Journal,
    Nodes,
    Once,
    Opening,
    Outcome,
    Page,
    PageBefore,
    Reset,
    Tell,
    Window,
)
from tocsin.eventlog.journal.ended import Ended, EndedTopics, Final, ended_by
from tocsin.eventlog.journal.memory import MemoryJournal
from tocsin.eventlog.journal.sqlite import Limits, SqliteJournal
from tocsin.settings import Settings

__all__ = [
    "Append",
    "Committed",
    "Deliver",
    "Ended",
    "EndedTopics",
    "Figures",
    "Final",
    "History",
    "Journal",
    "MemoryJournal",
    "Nodes",
    "Once",
    "Opening",
    "Outcome",
    "Page",
    "PageBefore",
    "Reset",
    "SqliteJournal",
    "Tell",
    "Window",
    "ended_by",
    "open_journal",
]


def open_journal(settings: Settings) -> Journal:
    """The journal that the settings name; it isn't started.

    Raises:
        SettingsError: no journal goes by that name.
    """
    keys, window_s = settings.idempotency_keys, settings.idempotency_window
    if settings.journal == "memory:":
        return MemoryJournal(keys=keys, keys_window_s=window_s, ended_topics=settings.ended_topics)
    scheme, _, path = settings.journal.partition(":")
    if scheme == "sqlite":
        return SqliteJournal(Path(path), _limits(settings))
    if scheme in ("redis", "rediss"):
        return _open_redis(settings)
    raise SettingsError(
        f"journal: {settings.journal!r} is not a journal;"
        " allowed: 'memory:', 'sqlite:PATH', 'redis://HOST:PORT/DB'"
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        events=settings.history_events,
        bytes=settings.history_bytes,
        age_s=settings.history_age,
        keep_newest=settings.kept_patterns,
        keep_newest_bytes=settings.keep_newest_bytes,
        remembered_evictions=settings.remembered_evictions,
        keys=settings.idempotency_keys,
        key_window_s=settings.idempotency_window,
        ended_topics=settings.ended_topics,
    )


def _open_redis(settings: Settings) -> Journal:
    try:
        from tocsin.eventlog.journal.redis import open_redis
    except ModuleNotFoundError as error:
        if error.name not in ("redis", "hiredis"):
            raise
        raise SettingsError(
            f"journal: {settings.journal!r} needs redis-py: pip install 'tocsin[redis]'"
        ) from None
    return open_redis(settings)
