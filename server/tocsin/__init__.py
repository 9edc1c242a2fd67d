"""Tocsin, a hub for real-time notifications over Server-Sent Events.

To embed it in a Tornado application of your own::

    hub = tocsin.Hub(tocsin.Settings(history_events=500))
    await hub.start()
    app = tornado.web.Application([*my_routes, *tocsin.routes(hub)])
    await hub.publish(tocsin.Draft("order_paid", b'{"order": 42}', topic="orders"))

The client for programs that read and publish is `tocsin.client`. The names here are imported when they are first
asked for, so that a program with the client, or a command, doesn't load the hub.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.app import routes
    from tocsin.core.event import Draft, Event, EventId
    from tocsin.core.filters import Filter
    from tocsin.errors import InvalidInput, SettingsError, TocsinError, Unavailable
    from tocsin.hub.hub import Hub
    from tocsin.settings import Settings
    from tocsin.version import VERSION as __version__

__all__ = [
    "Draft",
    "Event",
    "EventId",
    "Filter",
    "Hub",
    "InvalidInput",
    "Settings",
    "SettingsError",
    "TocsinError",
    "Unavailable",
    "__version__",
    "routes",
]

_MODULES = {
    **dict.fromkeys(("Draft", "Event", "EventId"), "tocsin.core.event"),
    "Filter": "tocsin.core.filters",
    "Hub": "tocsin.hub.hub",
    **dict.fromkeys(
        ("InvalidInput", "SettingsError", "TocsinError", "Unavailable"), "tocsin.errors"
    ),
    "Settings": "tocsin.settings",
    "routes": "tocsin.app",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("tocsin.version").VERSION
    if name not in _MODULES:
        raise AttributeError(f"module 'tocsin' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found
