"""Every setting of the hub, in one frozen and typed record; whence it is read; what it comes to."""

from tocsin.settings.descriptors import RESERVED_DESCRIPTORS, client_limit, raise_descriptor_limit
from tocsin.settings.layers import ENVIRONMENT_PREFIX, load, load_with_sources, service_links
from tocsin.settings.schema import (
    FIELDS,
    GROUPS,
    Settings,
    choices,
    describe,
    is_repeatable,
    is_secret,
    is_switch,
    shown_value,
)

__all__ = [
    "ENVIRONMENT_PREFIX",
    "FIELDS",
    "GROUPS",
    "RESERVED_DESCRIPTORS",
    "Settings",
    "choices",
    "client_limit",
    "describe",
    "is_repeatable",
    "is_secret",
    "is_switch",
    "load",
    "load_with_sources",
    "raise_descriptor_limit",
    "service_links",
    "shown_value",
]
