"""Every setting of the hub, in one frozen and typed record.

Four layers, the later one wins: the defaults below, a TOML file, the environment (``TOCSIN_PORT``),
flags (``--port``). The flags, the variables, the keys of the file and the table in the docs are all
read off this one class, so they can't disagree.
"""

from __future__ import annotations

import re
import resource
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from tocsin.errors import SettingsError

ENVIRONMENT_PREFIX = "TOCSIN_"

RESERVED_DESCRIPTORS = 100
"""Descriptors kept for everything that is no stream: publishers, scrapes, files, the listener."""

SECRET = {"secret": True}
HIDDEN = "(hidden)"

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
SecondsOrOff = Annotated[float, Meta(ge=0, le=31_536_000)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one hub runs. Times are in seconds unless the name says otherwise, sizes in bytes."""

    host: Annotated[str, Meta(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    ] = 3000
    journal: Annotated[
        str, Meta(pattern=r"^memory:$", description="Where the log is kept: `memory:`.")
    ] = "memory:"
    history_events: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Events kept for clients that come back.")
    ] = 10_000
    history_bytes: Annotated[
        int,
        Meta(
            ge=65_536,
            le=2**40,
            description="Encoded bytes of events kept, and bytes of the index of their topics.",
        ),
    ] = 64 * 1024 * 1024
    history_age: Annotated[
        SecondsOrOff, Meta(description="Seconds an event is kept; 0 keeps it whatever its age.")
    ] = 0.0
    remembered_evictions: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000_000,
            description="Pairs of topic and type of which it is known what left the history last.",
        ),
    ] = 100_000
    heartbeat: Annotated[
        Seconds, Meta(description="Seconds between two heartbeats on each stream.")
    ] = 30.0
    simulate: Annotated[
        SecondsOrOff, Meta(description="Seconds between two simulated events; 0 simulates none.")
    ] = 0.0
    canary: Annotated[
        Annotated[float, Meta(ge=0, le=3_600)],
        Meta(description="Seconds between two proofs that an event arrives; 0 proves nothing."),
    ] = 5.0
    retry: Annotated[
        int,
        Meta(
            ge=1_000, le=60_000, description="Reconnection time told to clients, ms, before jitter."
        ),
    ] = 3_000
    max_event_bytes: Annotated[
        int, Meta(ge=256, le=16 * 2**20, description="Largest event, as the body of its POST.")
    ] = 64 * 1024
    max_batch_events: Annotated[
        int, Meta(ge=1, le=100_000, description="Events in one batch at most.")
    ] = 1_000
    max_batch_bytes: Annotated[
        int, Meta(ge=256, le=256 * 2**20, description="Largest batch, as the body of its POST.")
    ] = 4 * 1024 * 1024
    max_clients: Annotated[
        int,
        Meta(
            ge=0, description="Open streams at most; 0: the descriptor limit less a reserve of 100."
        ),
    ] = 0
    slow_client_timeout: Annotated[
        Seconds, Meta(description="Seconds without progress after which a slow client is closed.")
    ] = 30.0
    drain_timeout: Annotated[
        Annotated[float, Meta(ge=0, le=3_600)],
        Meta(description="Seconds a stop may take to end the open streams."),
    ] = 10.0
    cors_origin: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^(\*|https?://[^/\s,]+)$")], ...],
        Meta(description="Origin whose pages may read and publish; repeatable, `*` is any."),
    ] = ("*",)
    metrics_token: Annotated[
        Annotated[str, Meta(pattern=r"^([A-Za-z0-9._~+/-]{16,}=*)?$", extra=SECRET)],
        Meta(description="Bearer token that `/metrics` asks for, 16 characters or more."),
    ] = ""
    metrics_listen: Annotated[
        Annotated[str, Meta(pattern=r"^((\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):[0-9]{1,5})?$")],
        Meta(
            description="`HOST:PORT` of a listener of its own for `/metrics`, instead of the hub's."
        ),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least level that is logged."),
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], Meta(description="Form of the log lines, on standard error.")
    ] = "text"

    def __post_init__(self) -> None:
        if self.history_bytes < self.max_event_bytes:
            raise ValueError(
                f"history_bytes: {self.history_bytes} is less than max_event_bytes"
                f" ({self.max_event_bytes}); allowed: at least that"
            )
        if self.metrics_address and self.metrics_address[1] > 65_535:
            raise ValueError(
                f"metrics_listen: {self.metrics_listen!r}: allowed: a port from 0 to 65535"
            )

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of the listener for `/metrics`, or None if it has none of its own."""
        host, _, port = self.metrics_listen.rpartition(":")
        return (host.strip("[]"), int(port)) if port else None

    def __repr__(self) -> str:
        shown = (f"{name}={shown_value(self, name)!r}" for name in self.__struct_fields__)
        return f"Settings({', '.join(shown)})"


FIELDS: dict[str, Any] = {field.name: field for field in msgspec.structs.fields(Settings)}
_TYPES = get_type_hints(Settings, include_extras=True)


def describe(name: str) -> str:
    """The one-line description of setting `name`."""
    found = [a.description for a in get_args(_TYPES[name]) if isinstance(a, Meta) and a.description]
    return str(found[-1])


def is_repeatable(name: str) -> bool:
    """Whether setting `name` takes several values."""
    return isinstance(FIELDS[name].default, tuple)


def is_secret(name: str) -> bool:
    """Whether the value of setting `name` must never be shown."""
    return any(isinstance(a, Meta) and a.extra == SECRET for a in get_args(_TYPES[name]))


def shown_value(settings: Settings, name: str) -> object:
    """The value of setting `name`, for people: one that is secret is hidden, if there is one."""
    value = getattr(settings, name)
    return HIDDEN if value and is_secret(name) else value


def load(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    path: str | None = None,
) -> Settings:
    """The settings out of all layers. Values None in `flags` were not given.

    Raises:
        SettingsError: an unknown key, a value that isn't allowed, a file that can't be read.
    """
    values: dict[str, object] = {}
    # A file has types of its own and is held to them; variables and flags are text.
    layers = [
        (_from_file(path), True),
        (_from_environment(environ or {}), False),
        (_from_flags(flags or {}), False),
    ]
    for layer, strict in layers:
        for name, (key, value) in layer.items():
            values[name] = _convert(name, key, value, strict=strict)
    try:
        return Settings(**values)  # type: ignore[arg-type]  # each value was converted to its type
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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"--config: {path}: not a TOML file: {error}") from None
    for key in table:
        if key not in FIELDS:
            raise _unknown(f"{key} in {path}")
    return {key: (f"{key} in {path}", value) for key, value in table.items()}


def _from_environment(environ: Mapping[str, str]) -> Layer:
    layer: Layer = {}
    for key, value in environ.items():
        if not key.startswith(ENVIRONMENT_PREFIX):
            continue
        name = key.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name == "config":
            continue
        if name not in FIELDS:
            raise _unknown(key)
        layer[name] = (key, value.split(",") if is_repeatable(name) else value)
    return layer


def _from_flags(flags: Mapping[str, object]) -> Layer:
    given = {name: value for name, value in flags.items() if value is not None and value != ()}
    return {name: ("--" + name.replace("_", "-"), value) for name, value in given.items()}


def _convert(name: str, key: str, value: object, *, strict: bool) -> object:
    try:
        return msgspec.convert(value, _TYPES[name], strict=strict)
    except msgspec.ValidationError as error:
        allowed = re.sub(r" - at `.*`$", "", str(error)).replace("Expected", "allowed:", 1)
        shown = HIDDEN if is_secret(name) else repr(value)
        raise SettingsError(f"{key}: {shown}: {_plainly(allowed)}") from None


def _plainly(allowed: str) -> str:
    """The sentence of msgspec in words for an operator."""
    return allowed.replace("`", "'").replace("allowed: 'str' matching regex", "allowed: text like")


def _unknown(key: str) -> SettingsError:
    return SettingsError(f"{key}: no such setting; allowed: {', '.join(FIELDS)}")


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
