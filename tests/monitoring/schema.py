"""The dashboard against Grafana's schema, as Grafana's own models of version 11.6 have it.

The models drop fields that they don't know and check no value, so both are looked for here.
"""

from __future__ import annotations

import json
import sys
import types
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def unknown_fields(dashboard: dict[str, Any]) -> set[str]:
    """Where the file holds what the schema doesn't."""
    read = json.loads(JSONEncoder().encode(_read(dashboard)))
    return set(_differences(dashboard, read))


def wrong_values(dashboard: dict[str, Any]) -> set[str]:
    """Where a value isn't of the type that the schema gives its field."""
    return set(_inside(_read(dashboard), ""))


def _read(dashboard: dict[str, Any]) -> Dashboard:
    register_default_plugins()
    return Dashboard.from_json(dashboard)


def _differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from _differences(value, theirs.get(key, "missing"), f"{path}.{key}".strip("."))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for mine, other in zip(ours, theirs, strict=True):
            yield from _differences(mine, other, path)
    elif ours != theirs:
        yield path


def _inside(model: Any, path: str) -> Iterator[str]:
    """The misfits among a model's fields."""
    hints = typing.get_type_hints(type(model), vars(sys.modules[type(model).__module__]))
    for name, value in vars(model).items():
        yield from _misfits(value, hints[name], f"{path}.{name}".strip("."))


def _misfits(value: Any, hint: Any, path: str) -> Iterator[str]:
    """`path`, or where below it, `value` isn't what `hint` says."""
    origin, arms = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        tries = [set(_misfits(value, arm, path)) for arm in arms]
        yield from () if set() in tries else max(tries, key=lambda found: max(map(len, found)))
    elif origin is list and isinstance(value, list):
        for each in value:
            yield from _misfits(each, arms[0], path)
    elif origin is typing.Literal:
        yield from () if value in arms else [path]
    elif isinstance(hint, type) and issubclass(hint, Enum):
        yield from () if value in list(hint) else [path]
    else:
        yield from _misfits_of_class(value, hint, path)


def _misfits_of_class(value: Any, hint: Any, path: str) -> Iterator[str]:
    hint = typing.get_origin(hint) or hint
    if hasattr(hint, "from_json") and isinstance(value, dict):
        value = hint.from_json(value)  # the models leave some of their parts unread
    wanted = (int, float) if hint is float else hint
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted not in (bool, object)):
        yield path
    elif hasattr(value, "__dict__") and not isinstance(value, Enum):
        yield from _inside(value, path)
