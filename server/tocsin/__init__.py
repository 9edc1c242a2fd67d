"""Tocsin, a hub for real-time notifications over Server-Sent Events.

To embed it in a Tornado application of your own::

    hub = tocsin.Hub(tocsin.Settings(history_events=500))
    await hub.start()
    app = tornado.web.Application([*my_routes, *tocsin.routes(hub)])
    await hub.publish(tocsin.Draft("order_paid", b'{"order": 42}', topic="orders"))
"""

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
