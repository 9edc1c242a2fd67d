"""Journals: what makes the log durable or shared. `open_journal` finds the one that the settings name."""

from tocsin.errors import SettingsError
from tocsin.eventlog.journal.base import (
    Append,
    Committed,
    Deliver,
    History,
    Journal,
    Once,
    Opening,
    Outcome,
    Page,
    Reset,
    Window,
)
from tocsin.eventlog.journal.memory import MemoryJournal
from tocsin.settings import Settings

__all__ = [
    "Append",
    "Committed",
    "Deliver",
    "History",
    "Journal",
    "MemoryJournal",
    "Once",
    "Opening",
    "Outcome",
    "Page",
    "Reset",
    "Window",
    "open_journal",
]


def open_journal(settings: Settings) -> Journal:
    """The journal that the settings name; it isn't started.

    Raises:
        SettingsError: no journal goes by that name.
    """
    keys, window_s = settings.idempotency_keys, settings.idempotency_window
    if settings.journal == "memory:":
        return MemoryJournal(keys=keys, keys_window_s=window_s)
    raise SettingsError(f"journal: {settings.journal!r} is not a journal; allowed: 'memory:'")
