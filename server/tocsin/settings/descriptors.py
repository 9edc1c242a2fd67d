"""The descriptors that this process may open, and how many streams fit into them."""

from __future__ import annotations

import resource

from tocsin.errors import SettingsError
from tocsin.settings.schema import Settings

RESERVED_DESCRIPTORS = 100
"""Descriptors kept for everything that is no stream: publishers, scrapes, files, the listener."""


def raise_descriptor_limit() -> None:
    """Let this process open as many descriptors as its hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def client_limit(settings: Settings) -> int:
    """How many streams may be open at once, within the descriptors this process may have.

    Raises:
        SettingsError: `max_clients` needs more descriptors than the process may open.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = limit - RESERVED_DESCRIPTORS
    if settings.max_clients > room or room < 1:
        raise SettingsError(
            f"max_clients: {settings.max_clients}: allowed: at most {max(room, 0)}, the descriptor"
            f" limit ({limit}) less a reserve of {RESERVED_DESCRIPTORS}; raise it with ulimit -n"
        )
    return settings.max_clients or room
