"""Journals: what makes the log durable or shared. `open_journal` finds the one a setting names."""

from tocsin.errors import SettingsError
from tocsin.eventlog.journal.base import Deliver, Journal, Opening, Reset
from tocsin.eventlog.journal.memory import MemoryJournal

__all__ = ["Deliver", "Journal", "MemoryJournal", "Opening", "Reset", "open_journal"]


def open_journal(url: str) -> Journal:
    """The journal that `url` names; today ``memory:`` is the only one.

    Raises:
        SettingsError: no journal goes by that name.
    """
    if url == "memory:":
        return MemoryJournal()
    raise SettingsError(f"journal: {url!r} is not a journal; allowed: 'memory:'")
