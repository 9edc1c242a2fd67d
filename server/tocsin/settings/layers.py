"""Reading the settings: four layers, the later one wins.

The defaults of `Settings`, a TOML file, the environment (``TOCSIN_PORT``), flags (``--port``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from tocsin.errors import SettingsError
from tocsin.settings.journals import HIDDEN
from tocsin.settings.schema import FIELDS, TYPES, Settings, is_repeatable, is_secret

ENVIRONMENT_PREFIX = "TOCSIN_"

_NOT_UTF8 = re.compile("[\ud800-\udfff]")
"""What Python makes of bytes in variables and flags that are none."""

NO_SETTINGS = frozenset({"config", "url", "token", "token_file"})
"""What has the prefix too: the file of settings, and where the commands find a hub, by whose right."""


def load(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    path: str | None = None,
) -> Settings:
    """The settings out of all layers. Values None in `flags` were not given.

    Raises:
        SettingsError: an unknown key, a value that isn't allowed, a file that can't be read.
    """
    return load_with_sources(flags, environ, path)[0]


def load_with_sources(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    path: str | None = None,
) -> tuple[Settings, dict[str, str]]:
    """The same, and of each setting that is no default how the layer it is from spells it: ``--port``, ``TOCSIN_PORT``."""
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    # A file has types of its own and is held to them; variables and flags are text.
    layers = [
        (_from_file(path), True),
        (_from_environment(environ or {}), False),
        (_from_flags(flags or {}), False),
    ]
    for layer, strict in layers:
        for name, (key, value) in layer.items():
            values[name] = _convert(name, key, value, strict=strict)
            sources[name] = key
    try:
        return Settings(**values), sources  # type: ignore[arg-type]  # each was converted to its type
    except ValueError as error:
        raise SettingsError(str(error)) from None


Layer = dict[str, tuple[str, object]]
"""Setting's name to how its layer spells it, and the raw value."""


def _from_file(path: str | None) -> Layer:
    if path is None:
        return {}
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"--config: {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"--config: {path}: not a TOML file: {error}") from None
    for key in table:
        if key not in FIELDS:
            raise _unknown(f"{key} in {path}")
    return {key: (f"{key} in {path}", _as_list(key, value)) for key, value in table.items()}


def _as_list(name: str, value: object) -> object:
    """`value` as what setting `name` holds: one value of several needs no list."""
    return [value] if is_repeatable(name) and isinstance(value, str) else value


def _from_environment(environ: Mapping[str, str]) -> Layer:
    layer: Layer = {}
    for key, value in environ.items():
        if not key.startswith(ENVIRONMENT_PREFIX):
            continue
        name = key.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name in NO_SETTINGS or is_service_link(key, value):
            continue
        if name not in FIELDS:
            raise _unknown(key)
        layer[name] = (key, _listed(value) if is_repeatable(name) else value)
    return layer


_SERVICE_LINK = re.compile(
    r"TOCSIN_(?:[A-Z0-9_]+_)?"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_SERVICE_PORT = re.compile(r"TOCSIN_(?:[A-Z0-9_]+_)?PORT")
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://.*")


def is_service_link(key: str, value: str) -> bool:
    """Whether Kubernetes made the variable for a Service named `tocsin` or `tocsin-...`.

    It makes some for each Service of a pod's namespace, such as `TOCSIN_PORT=tcp://10.0.0.1:3000`.
    """
    if _SERVICE_LINK.fullmatch(key):
        return True
    return bool(_SERVICE_PORT.fullmatch(key) and _SERVICE_ADDRESS.fullmatch(value))


def service_links(environ: Mapping[str, str]) -> list[str]:
    """The variables that are ignored because Kubernetes made them."""
    return [key for key, value in environ.items() if is_service_link(key, value)]


def _listed(text: str) -> list[str]:
    """What commas and spaces separate; of nothing, none."""
    return text.replace(",", " ").split()


def _from_flags(flags: Mapping[str, object]) -> Layer:
    given = {name: value for name, value in flags.items() if value is not None and value != ()}
    return {name: ("--" + name.replace("_", "-"), value) for name, value in given.items()}


def _convert(name: str, key: str, value: object, *, strict: bool) -> object:
    texts = value if isinstance(value, list | tuple) else [value]
    for text in texts:
        _check_text(key, text)
    try:
        return msgspec.convert(value, TYPES[name], strict=strict)
    except msgspec.ValidationError as error:
        allowed = re.sub(r" - at `.*`$", "", str(error)).replace("Expected", "allowed:", 1)
        if allowed.startswith("Invalid enum value"):
            allowed = f"allowed: {', '.join(_choices(TYPES[name]))}"
        shown = HIDDEN if is_secret(name) else repr(value)
        raise SettingsError(f"{key}: {shown}: {_plainly(allowed)}") from None


def _check_text(key: str, text: object) -> None:
    """Refuse what is no text for anybody. It isn't shown: it may be a secret.

    Raises:
        SettingsError: it is none.
    """
    if not isinstance(text, str):
        return
    if "\0" in text:  # no path may, and no host
        raise SettingsError(f"{key}: allowed: text without the character 0")
    if _NOT_UTF8.search(text):
        raise SettingsError(f"{key}: allowed: text in UTF-8")


def _choices(type: Any) -> list[str]:
    """What a value of `type` may be, where that is words, or words and whole numbers."""
    if type is int:
        return ["a whole number"]
    if get_origin(type) is Literal:
        return [repr(word) for word in get_args(type)]
    return [choice for part in get_args(type) for choice in _choices(part)]


def _plainly(allowed: str) -> str:
    """The sentence of msgspec in words for an operator."""
    return allowed.replace("`", "'").replace("allowed: 'str' matching regex", "allowed: text like")


def _unknown(key: str) -> SettingsError:
    return SettingsError(f"{key}: no such setting; allowed: {', '.join(FIELDS)}")
