"""The journal in a file of SQLite."""

from tocsin.eventlog.journal.sqlite.journal import SqliteJournal
from tocsin.eventlog.journal.sqlite.limits import Limits

__all__ = ["Limits", "SqliteJournal"]
