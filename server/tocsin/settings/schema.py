"""The record of all settings: their types, defaults, bounds and descriptions.

The flags, the variables, the keys of the file and the table in the docs are all read off `Settings`,
so they can't disagree. People see one flat list; the comments in it say which room asks for what.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from tocsin.settings.addresses import (
    HOST_NAME,
    ORIGIN,
    URL,
    check_network,
    host_of,
    is_loopback,
    origin_of,
)
from tocsin.settings.journals import HIDDEN, check_journal

SECRET = {"secret": True}

PATTERN = r"^(\*|[A-Za-z0-9][A-Za-z0-9._:/@~-]{0,255}\*?)$"
"""A topic, or a prefix of topics ended by `*`."""

KEEP = PATTERN.removesuffix("$") + "=[1-9][0-9]{0,4}$"
"""Such a pattern, and a number."""

ALGORITHM = r"^([HRPE]S(256|384|512)|EdDSA)$"
"""What tokens are signed with (RFC 7518, section 3.1; RFC 8037); never `none`."""

MAX_KEPT_PATTERNS = 100
MAX_KEPT_NEWEST = 10_000
"""Events of one topic that stay when the history moves on."""

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
WINDOWS = {"events": (10_000, 1_000_000), "bytes": (64 * 2**20, 2**30)}
"""What is kept unless told otherwise: in memory, and by a journal elsewhere."""

SecondsOrOff = Annotated[float, Meta(ge=0, le=31_536_000)]

Rate = Annotated[float, Meta(ge=0, le=2**40)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one hub runs. Times are in seconds unless the name says otherwise, sizes in bytes."""

    # http: where the hub listens
    host: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            min_length=1,
            description="Address to listen on, or `unix:PATH`; repeatable, `::` is IPv4 and IPv6.",
        ),
    ] = ("127.0.0.1",)
    port: Annotated[
        int, Meta(ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    ] = 3000
    socket_mode: Annotated[
        str,
        Meta(pattern=r"^[0-7]{3}$", description="Who may connect to `unix:PATH`, as for chmod."),
    ] = "660"
    insecure: Annotated[
        bool,
        Meta(
            description="Let everybody read and publish who reaches the hub, beyond this machine too."
        ),
    ] = False
    public_url: Annotated[
        str, Meta(pattern=URL, description="Where browsers find the hub, if behind a proxy.")
    ] = ""
    tls_cert: Annotated[
        str,
        Meta(description="File of the certificate, as PEM: serves HTTPS. SIGHUP reads it again."),
    ] = ""
    tls_key: Annotated[str, Meta(description="File of the certificate's key, as PEM.")] = ""
    allowed_host: Annotated[
        tuple[Annotated[str, Meta(pattern=HOST_NAME)], ...],
        Meta(description="Host name that requests may name; repeatable, `*` is any."),
    ] = ()
    # cli: how many processes serve
    processes: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | Literal["auto"],
        Meta(
            description="Processes that share the hosts and one log in Redis; `auto`: one a core. Limits hold in each."
        ),
    ] = 1
    # http: what one client may cost
    keep_alive: Annotated[
        Seconds, Meta(description="Seconds a connection may wait for its next request.")
    ] = 75.0
    max_header_bytes: Annotated[
        int, Meta(ge=4_096, le=1_048_576, description="Largest head of a request.")
    ] = 16 * 1024
    max_bodies_bytes: Annotated[
        int,
        Meta(ge=65_536, le=2**40, description="Bytes of bodies that are coming in, in all."),
    ] = 64 * 1024 * 1024
    max_answers_bytes: Annotated[
        int,
        Meta(
            ge=65_536,
            le=2**40,
            description="Bytes of unread answers, in all, beyond which no page of history is made.",
        ),
    ] = 64 * 1024 * 1024
    publish_rate_per_principal: Annotated[
        Rate, Meta(description="Events a second that a principal may publish; 0 is any number.")
    ] = 0.0
    publish_rate_per_address: Annotated[
        Rate, Meta(description="Events a second that an address may publish; 0 is any number.")
    ] = 0.0
    publish_bytes_per_principal: Annotated[
        Rate, Meta(description="Bytes a second that a principal may publish; 0 is any number.")
    ] = 0.0
    publish_bytes_per_address: Annotated[
        Rate, Meta(description="Bytes a second that an address may publish; 0 is any number.")
    ] = 0.0
    trusted_proxy: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^(unix|[0-9A-Fa-f:.]+(/[0-9]{1,3})?)$")], ...],
        Meta(
            description="Network (CIDR) of proxies that say whose request it is, or `unix`; repeatable."
        ),
    ] = ()
    # eventlog: what is kept, and for how long
    journal: Annotated[
        str,
        Meta(
            description="Where the log is kept: `memory:`, `sqlite:PATH`, or `redis://HOST:PORT/DB`."
        ),
    ] = "memory:"
    redis_prefix: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._:-]{1,64}$",
            description="What the names of the log's keys in Redis have in braces at their beginning.",
        ),
    ] = "tocsin"
    redis_username: Annotated[
        Annotated[str, Meta(max_length=256, extra=SECRET)],
        Meta(description="Redis' user; empty is its default one."),
    ] = ""
    redis_password: Annotated[
        Annotated[str, Meta(max_length=1_024, extra=SECRET)],
        Meta(description="Redis' password; best in the environment. Empty logs in without."),
    ] = ""
    history_events: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000_000,
            description="Events that the journal keeps; 0: 10000 in memory, 1000000 elsewhere.",
        ),
    ] = 0
    history_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=2**44,
            description="Bytes of events that the journal keeps, and of their index; 0: 64 MiB in memory, 1 GiB elsewhere.",
        ),
    ] = 0
    window_events: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000_000,
            description="Events of the journal that are in memory too; 0: 10000, or all of them if it keeps fewer.",
        ),
    ] = 0
    window_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=2**40,
            description="Bytes of events in memory, and of their index; 0: 64 MiB, or as the journal keeps.",
        ),
    ] = 0
    history_age: Annotated[
        SecondsOrOff, Meta(description="Seconds an event is kept; 0 keeps it whatever its age.")
    ] = 0.0
    keep_newest: Annotated[
        tuple[Annotated[str, Meta(pattern=KEEP)], ...],
        Meta(
            description="`PATTERN=N`: of each topic that matches, the newest N events stay when the history moves on; repeatable."
        ),
    ] = ()
    keep_newest_bytes: Annotated[
        int,
        Meta(
            ge=65_536,
            le=2**26,
            description="Bytes of events that stay so, in all; beyond it the oldest go. They are in memory too.",
        ),
    ] = 16 * 2**20
    remembered_evictions: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000_000,
            description="Pairs of topic and type of which it is known what left the history last.",
        ),
    ] = 100_000
    idempotency_window: Annotated[
        Seconds, Meta(description="Seconds an idempotency key is known.")
    ] = 86_400.0
    idempotency_keys: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Idempotency keys that are known at most.")
    ] = 100_000
    ended_topics: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Topics that have ended and are remembered at most; of more, the oldest are open again.",
        ),
    ] = 10_000
    # hub: the open streams
    heartbeat: Annotated[
        Seconds, Meta(description="Seconds between two heartbeats on each stream.")
    ] = 30.0
    # ops: what the hub does to itself
    simulate: Annotated[
        SecondsOrOff, Meta(description="Seconds between two simulated events; 0 simulates none.")
    ] = 0.0
    canary: Annotated[
        Annotated[float, Meta(ge=0, le=3_600)],
        Meta(description="Seconds between two proofs that an event arrives; 0 proves nothing."),
    ] = 5.0
    # hub: what streams are told
    retry: Annotated[
        int,
        Meta(
            ge=1_000, le=60_000, description="Reconnection time told to clients, ms, before jitter."
        ),
    ] = 3_000
    # core: the limits of what publishers send
    max_event_bytes: Annotated[
        int,
        Meta(
            ge=256,
            le=16 * 2**20,
            description="Largest event, as the body of its POST and as clients get it, with type and id.",
        ),
    ] = 64 * 1024
    max_batch_events: Annotated[
        int, Meta(ge=1, le=100_000, description="Events in one batch at most.")
    ] = 1_000
    max_batch_bytes: Annotated[
        int, Meta(ge=256, le=256 * 2**20, description="Largest batch, as the body of its POST.")
    ] = 4 * 1024 * 1024
    # hub: how many streams, and how they end
    max_clients: Annotated[
        int,
        Meta(
            ge=0, description="Open streams at most; 0: the descriptor limit less a reserve of 100."
        ),
    ] = 0
    max_patterns: Annotated[
        int,
        Meta(
            ge=1,
            description="Topic patterns of all open streams at most; equal filters count once.",
        ),
    ] = 1_000_000
    max_polls: Annotated[
        int, Meta(ge=0, description="Requests to the history that wait for events at most.")
    ] = 1_000
    max_clients_per_principal: Annotated[
        int, Meta(ge=0, description="Open streams of a principal at most; 0 is any number.")
    ] = 0
    max_clients_per_address: Annotated[
        int, Meta(ge=0, description="Open streams of an address at most; 0 is any number.")
    ] = 0
    max_stream_age: Annotated[
        SecondsOrOff,
        Meta(
            description="Seconds after which a stream ends and comes back, less up to a fifth; 0 is never."
        ),
    ] = 0.0
    slow_client_timeout: Annotated[
        Seconds, Meta(description="Seconds without progress after which a slow client is closed.")
    ] = 30.0
    drain_delay: Annotated[
        Annotated[float, Meta(ge=0, le=3_600)],
        Meta(
            description="Seconds a stop serves on while `/readyz` says 503, before it ends anything."
        ),
    ] = 0.0
    drain_timeout: Annotated[
        Annotated[float, Meta(ge=0, le=3_600)],
        Meta(description="Seconds a stop may take to end the open streams and answers."),
    ] = 10.0
    # access: who may do what
    keys: Annotated[
        str, Meta(description="File of API keys, as `tocsin key` makes it; read again on SIGHUP.")
    ] = ""
    jwt_key: Annotated[
        Annotated[str, Meta(extra=SECRET)],
        Meta(
            description="Key that signs tokens (JWT): a secret of 32 bytes or more, or `file:PATH` of one or"
            " of a public key in PEM."
        ),
    ] = ""
    jwt_jwks: Annotated[
        Annotated[str, Meta(pattern=r"^(https?://[^\s@?#]+|[^:\s]+)?$")],
        Meta(
            description="Keys that sign tokens, as a JSON Web Key Set: its file or `https://` address."
        ),
    ] = ""
    jwt_jwks_refresh: Annotated[
        Annotated[float, Meta(ge=10, le=86_400)],
        Meta(description="Seconds after which a key set at an address is fetched again."),
    ] = 300.0
    jwt_algorithm: Annotated[
        tuple[Annotated[str, Meta(pattern=ALGORITHM)], ...],
        Meta(
            description="Algorithm that tokens may be signed with; repeatable. By default what the key is made for."
        ),
    ] = ()
    jwt_audience: Annotated[
        str, Meta(max_length=256, description="What the claim `aud` of a token must name.")
    ] = ""
    jwt_issuer: Annotated[
        str, Meta(max_length=256, description="What the claim `iss` of a token must be.")
    ] = ""
    ticket_key: Annotated[
        Annotated[str, Meta(extra=SECRET)],
        Meta(
            description="Secret that signs tickets and sessions, 32 bytes or more, or `file:PATH`; the same on all"
            " nodes. By default one made at the start."
        ),
    ] = ""
    anonymous_publish: Annotated[
        tuple[Annotated[str, Meta(pattern=PATTERN)], ...],
        Meta(description="Topics that everybody may publish on, without credentials; repeatable."),
    ] = ()
    anonymous_subscribe: Annotated[
        tuple[Annotated[str, Meta(pattern=PATTERN)], ...],
        Meta(description="Topics that everybody may read, without credentials; repeatable."),
    ] = ()
    # http: who may read what
    hooks: Annotated[
        str,
        Meta(
            description="File of mappings for `/api/hooks/NAME`, as TOML; those for Alertmanager and Grafana are there."
        ),
    ] = ""
    cors_origin: Annotated[
        tuple[Annotated[str, Meta(pattern=ORIGIN)], ...],
        Meta(description="Other origin whose pages may read and publish; repeatable, `*` is any."),
    ] = ()
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
    # logs
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least level that is logged."),
    ] = "info"
    audit_level: Annotated[
        Literal["info", "warning"],
        Meta(
            description="`info` logs each publish and each stream with its principal, as `tocsin.audit`."
        ),
    ] = "warning"
    log_format: Annotated[
        Literal["text", "json"], Meta(description="Form of the log lines, on standard error.")
    ] = "text"
    log_sampling: Annotated[
        Annotated[float, Meta(gt=0, le=1)],
        Meta(
            description="Share of streams and requests that are logged; what is refused, fails or loses is in any case."
        ),
    ] = 1.0
    log_alike: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)],
        Meta(description="Lines of one text that are logged in a second; of the rest, how many."),
    ] = 100

    def __post_init__(self) -> None:
        check_journal(self.journal)
        self._put_addresses_in_one_spelling()
        if bool(self.tls_cert) != bool(self.tls_key):
            missing = "tls_key" if self.tls_cert else "tls_cert"
            raise ValueError(
                f"{missing}: '': allowed: a file, as the other of tls_cert and tls_key is set"
            )
        for proxy in self.trusted_proxy:
            check_network("trusted_proxy", proxy)
        for host in self.host:
            self.check_address("host", host)
        self._check_authentication()
        self._fill_in_sizes()
        for name in ("history_bytes", "window_bytes"):
            if getattr(self, name) < self.max_event_bytes:
                raise ValueError(
                    f"{name}: {getattr(self, name)} is less than max_event_bytes"
                    f" ({self.max_event_bytes}); allowed: at least that"
                )
        if self.processes != 1 and not self.journal.startswith(("redis:", "rediss:")):
            raise ValueError(
                f"processes: {self.processes}: with the journal {self.journal!r} each process would have a log of its"
                " own; allowed: 1, or any number with the journal 'redis://HOST:PORT/DB'"
            )
        self._check_keep_newest()
        most = 65_536 - self.process_count  # each process has the next port
        if self.metrics_address and self.metrics_address[1] > most:
            raise ValueError(
                f"metrics_listen: {self.metrics_listen!r}: allowed: a port from 0 to {most}"
            )

    def _check_keep_newest(self) -> None:
        """Refuse what can't be kept."""
        if self.keep_newest and self.journal.startswith(("redis:", "rediss:")):
            raise ValueError(
                f"keep_newest: {self.keep_newest[0]!r}: the journal in Redis can't keep the newest of a topic;"
                " allowed: with the journals 'memory:' and 'sqlite:PATH'"
            )
        patterns = [pattern for pattern, _ in self.kept_patterns]
        if (
            len(patterns) > MAX_KEPT_PATTERNS
            or any(each.startswith("tocsin/") for each in patterns)
            or any(number > MAX_KEPT_NEWEST for _, number in self.kept_patterns)
        ):
            raise ValueError(
                f"keep_newest: allowed: at most {MAX_KEPT_PATTERNS} times PATTERN=N, with N from 1 to"
                f" {MAX_KEPT_NEWEST}, and none of the hub's own topics tocsin/*"
            )

    def _fill_in_sizes(self) -> None:
        """Put the sizes that follow from the journal where 0 was said.

        Raises:
            ValueError: the window would hold more than the history, or with `memory:` anything but it.
        """
        in_memory = self.journal == "memory:"
        for limit, (window, kept) in WINDOWS.items():
            history = getattr(self, f"history_{limit}") or (window if in_memory else kept)
            size = getattr(self, f"window_{limit}") or (
                history if in_memory else min(history, window)
            )
            if size > history or (in_memory and size != history):
                raise ValueError(
                    f"window_{limit}: {size}: allowed: "
                    + (
                        f"with the journal memory: the same as history_{limit} ({history}), or 0"
                        if in_memory
                        else f"at most history_{limit} ({history})"
                    )
                )
            msgspec.structs.force_setattr(self, f"history_{limit}", history)
            msgspec.structs.force_setattr(self, f"window_{limit}", size)

    @property
    def kept_patterns(self) -> list[tuple[str, int]]:
        """What `keep_newest` says: patterns of topics, and how many events of each topic."""
        split = [each.rpartition("=") for each in self.keep_newest]
        return [(pattern, int(number)) for pattern, _, number in split]

    def check_address(self, key: str, address: str) -> None:
        """Judge an address to listen on, which `key` names.

        Raises:
            ValueError: whoever reaches the hub there could do everything.
        """
        if not (self.has_authentication or self.insecure or is_loopback(address)):
            raise ValueError(
                f"{key}: {address!r}: whoever reaches the hub there could read and publish; allowed: a loopback"
                " address, unix:PATH, or any with --keys, --jwt-key, --jwt-jwks or --insecure"
            )

    def _check_authentication(self) -> None:
        """Refuse what means nothing, or is less than it looks."""
        for name in ("anonymous_publish", "anonymous_subscribe", "ticket_key"):
            if getattr(self, name) and not self.has_authentication:
                raise ValueError(
                    f"{name}: {shown_value(self, name)!r}: without authentication everybody may do everything;"
                    " allowed: together with --keys, --jwt-key or --jwt-jwks"
                )
        for name in ("jwt_algorithm", "jwt_audience", "jwt_issuer"):
            if getattr(self, name) and not (self.jwt_key or self.jwt_jwks):
                raise ValueError(
                    f"{name}: {getattr(self, name)!r}: allowed: together with --jwt-key or --jwt-jwks"
                )
        for name in ("anonymous_publish", "anonymous_subscribe"):
            patterns = getattr(self, name)
            if len(patterns) > 100 or any(each.startswith("tocsin/") for each in patterns):
                raise ValueError(
                    f"{name}: allowed: at most 100 patterns, none of the hub's own topics tocsin/*"
                )
        if self.jwt_jwks.startswith("http") and "://" in self.jwt_jwks:
            self._check_key_set_address()

    def _check_key_set_address(self) -> None:
        try:
            host = host_of(self.jwt_jwks).strip("[]")
            urlsplit(self.jwt_jwks)
        except ValueError as error:
            raise ValueError(f"jwt_jwks: {self.jwt_jwks!r}: no address: {error}") from None
        if self.jwt_jwks.startswith("http://") and not is_loopback(host):
            raise ValueError(
                f"jwt_jwks: {self.jwt_jwks!r}: whoever is on the way could put keys of their own there; allowed:"
                " https://, a loopback address, or a file"
            )

    @property
    def has_authentication(self) -> bool:
        """Whether requests need credentials; otherwise everybody may do everything."""
        return bool(self.keys or self.jwt_key or self.jwt_jwks)

    def _put_addresses_in_one_spelling(self) -> None:
        try:
            origins = tuple(dict.fromkeys(map(origin_of, self.cors_origin)))
        except ValueError as error:
            raise ValueError(f"cors_origin: {error}") from None
        try:
            origin_of(self.public_url)
        except ValueError as error:
            raise ValueError(f"public_url: {error}") from None
        names = tuple(name.lower().removesuffix(".") for name in self.allowed_host)
        msgspec.structs.force_setattr(self, "cors_origin", origins)
        msgspec.structs.force_setattr(self, "allowed_host", names)

    @property
    def process_count(self) -> int:
        """How many processes serve."""
        return len(os.sched_getaffinity(0)) if self.processes == "auto" else self.processes

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of the listener for `/metrics`, or None if it has none of its own."""
        host, _, port = self.metrics_listen.rpartition(":")
        return (host.strip("[]"), int(port)) if port else None

    def __repr__(self) -> str:
        shown = (f"{name}={shown_value(self, name)!r}" for name in self.__struct_fields__)
        return f"Settings({', '.join(shown)})"


GROUPS: dict[str, tuple[str, ...]] = {
    "Where it listens": (
        *("host", "port", "socket_mode", "insecure", "public_url", "allowed_host"),
        *("tls_cert", "tls_key"),
        *("trusted_proxy", "metrics_listen"),
    ),
    "Who may read and publish": (
        *("keys", "jwt_key", "jwt_jwks", "jwt_jwks_refresh", "jwt_algorithm", "jwt_audience"),
        *("jwt_issuer", "ticket_key", "anonymous_publish", "anonymous_subscribe", "cors_origin"),
        "metrics_token",
    ),
    "What is kept": (
        *("journal", "history_events", "history_bytes", "history_age", "window_events"),
        *(
            "window_bytes",
            "keep_newest",
            "keep_newest_bytes",
            "remembered_evictions",
            "ended_topics",
            "idempotency_window",
        ),
        *("idempotency_keys",),
        *("redis_prefix", "redis_username", "redis_password"),
    ),
    "Streams": ("heartbeat", "retry", "max_stream_age", "slow_client_timeout"),
    "Limits": (
        *("max_clients", "max_patterns", "max_event_bytes", "max_batch_events", "max_batch_bytes"),
        "max_polls",
        *("max_clients_per_principal", "max_clients_per_address"),
        *("publish_rate_per_principal", "publish_rate_per_address"),
        *("publish_bytes_per_principal", "publish_bytes_per_address"),
        *("max_header_bytes", "max_bodies_bytes", "max_answers_bytes", "keep_alive"),
    ),
    "The stop": ("drain_delay", "drain_timeout"),
    "Running it": (
        *("processes", "hooks", "simulate", "canary", "log_level", "log_format", "audit_level"),
        *("log_sampling", "log_alike"),
    ),
}
"""The settings as help shows them; those in no group come behind the others."""

FIELDS: dict[str, Any] = {field.name: field for field in msgspec.structs.fields(Settings)}
TYPES = get_type_hints(Settings, include_extras=True)


def describe(name: str) -> str:
    """The one-line description of setting `name`."""
    found = [a.description for a in get_args(TYPES[name]) if isinstance(a, Meta) and a.description]
    return str(found[-1])


def choices(name: str) -> tuple[str, ...]:
    """The words that setting `name` may be; none where it may be anything else too, but for numbers."""
    return tuple(_words(TYPES[name]))


def _words(type: Any) -> Iterator[str]:
    if get_origin(type) is Literal:
        yield from get_args(type)
    elif get_origin(type) is not None:
        for part in get_args(type):
            yield from _words(part)


def is_repeatable(name: str) -> bool:
    """Whether setting `name` takes several values."""
    return isinstance(FIELDS[name].default, tuple)


def is_switch(name: str) -> bool:
    """Whether setting `name` is on or off."""
    return isinstance(FIELDS[name].default, bool)


def is_secret(name: str) -> bool:
    """Whether the value of setting `name` must never be shown."""
    return any(isinstance(a, Meta) and a.extra == SECRET for a in get_args(TYPES[name]))


def shown_value(settings: Settings, name: str) -> object:
    """The value of setting `name`, for people: one that is secret is hidden, if there is one."""
    value = getattr(settings, name)
    return HIDDEN if value and is_secret(name) else value
