"""What the setting `journal` may be, as far as its text tells; a file or a Redis is looked at when the log is opened."""

from __future__ import annotations

ALLOWED = "'memory:', 'sqlite:PATH' with the path of a file, 'redis://HOST:PORT/DB'"

HIDDEN = "(hidden)"
"""What is shown of a value that is secret, or may be."""

_REDIS = ("redis://", "rediss://")


def check_journal(address: str) -> None:
    """Judge the address of a journal.

    Raises:
        ValueError: it is none.
    """
    if address == "memory:" or address.startswith(_REDIS):
        return
    scheme, _, path = address.partition(":")
    why = _fault_of_path(path) if scheme == "sqlite" else "no such journal"
    if why:
        # What has an @ may name a user and a password.
        shown = HIDDEN if "@" in address and scheme != "sqlite" else repr(address)
        raise ValueError(f"journal: {shown}: {why}; allowed: {ALLOWED}")


def _fault_of_path(path: str) -> str:
    """Why nobody means a file by `path`, or nothing: SQLite's other forms would be names of files here."""
    if not path:
        return "no path"
    if path.startswith(":"):
        return "SQLite's database in memory is gone at the end, as with 'memory:'"
    if path.startswith(("file:", "//")) or "?" in path:
        return "a path, and no URL"
    if path.endswith(("/", "/.", "/..")) or path in (".", ".."):
        return "the path of a folder"
    if path != path.strip() or not path.isprintable():
        return "white space or a control character where none is meant"
    return ""
