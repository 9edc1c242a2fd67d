"""Settings: four layers, one class, and errors that an operator can act on."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tocsin.errors import SettingsError
from tocsin.settings import FIELDS, Settings, client_limit, load, service_links

# Another value than the default for each setting; a new setting needs one here, or its tests fail.
VALUES: dict[str, object] = {
    "host": ("::1", "unix:/run/tocsin.sock"),
    "socket_mode": "666",
    "insecure": True,
    "public_url": "https://hub.example/tocsin",
    "tls_cert": "/etc/tocsin/cert.pem",
    "tls_key": "/etc/tocsin/key.pem",
    "processes": 4,
    "allowed_host": ("hub.internal", "[fe80::1]"),
    "port": 4000,
    "publish_rate_per_principal": 10.0,
    "publish_rate_per_address": 0.5,
    "publish_bytes_per_principal": 1000.0,
    "publish_bytes_per_address": 2000.5,
    "trusted_proxy": ("10.0.0.0/8", "fd00::/8", "unix"),
    "max_clients_per_principal": 70,
    "max_clients_per_address": 8,
    "max_stream_age": 3600.0,
    "keep_alive": 20.0,
    "max_header_bytes": 8_192,
    "max_bodies_bytes": 100_000,
    "max_answers_bytes": 200_000,
    "remembered_evictions": 5_000,
    "journal": "redis://127.0.0.1:6379/0",
    "redis_prefix": "hub-2",
    "redis_username": "hub",
    "redis_password": "not-to-be-shown",
    "history_events": 20_000,
    "history_bytes": 100_000_000,
    "history_age": 60.5,
    "keep_newest": ("alerts/*=10",),
    "keep_newest_bytes": 1_000_000,
    "window_events": 10_000,  # alone: as many as the history in memory
    "window_bytes": 64 * 2**20,
    "idempotency_window": 3_600.0,
    "idempotency_keys": 1_000,
    "ended_topics": 100,
    "heartbeat": 15.0,
    "simulate": 2.5,
    "canary": 1.5,
    "retry": 5_000,
    "max_event_bytes": 1_000,
    "max_batch_events": 10,
    "max_batch_bytes": 10_000,
    "max_clients": 7,
    "max_patterns": 700,
    "max_polls": 30,
    "hooks": "/etc/tocsin/hooks.toml",
    "slow_client_timeout": 3.0,
    "drain_delay": 0.25,
    "drain_timeout": 0.5,
    "cors_origin": ("https://a.example", "http://b.example:8080"),
    "keys": "/etc/tocsin/keys.toml",
    "jwt_key": "file:/etc/tocsin/jwt.pem",
    "jwt_jwks": "https://id.example/keys.json",
    "jwt_jwks_refresh": 60.0,
    "jwt_algorithm": ("RS256", "ES256"),
    "jwt_audience": "tocsin",
    "jwt_issuer": "https://id.example",
    "ticket_key": "0123456789abcdef0123456789abcdef",
    "anonymous_publish": ("public/*",),
    "anonymous_subscribe": ("public/*", "news"),
    "audit_level": "info",
    "metrics_token": "0123456789abcdef=",
    "metrics_listen": "[::1]:9100",
    "log_level": "error",
    "log_format": "json",
    "log_sampling": 0.5,
    "log_alike": 7,
}

# What some of them mean something with only.
COMPANIONS: dict[str, dict[str, str]] = {
    **{n: {"keys": "k"} for n in ("ticket_key", "anonymous_publish", "anonymous_subscribe")},
    **{n: {"jwt_key": "file:k"} for n in ("jwt_algorithm", "jwt_audience", "jwt_issuer")},
}


NEEDED = {"tls_cert": ("tls_key",), "tls_key": ("tls_cert",), "processes": ("journal",)}
"""What must be set beside a setting."""


def toml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def file(path: Path, content: str) -> str:
    path.write_text(content)
    return str(path)


@pytest.mark.parametrize("name", FIELDS)
def test_setting_may_be_a_flag_a_variable_or_a_key(name: str, tmp_path: Path) -> None:
    value = VALUES[name]
    flag = tuple(map(str, value)) if isinstance(value, tuple) else str(value)
    path = file(tmp_path / "hub.toml", f"{name} = {toml(value)}")
    others = {each: VALUES[each] for each in NEEDED.get(name, ())} | COMPANIONS.get(name, {})
    variable = {f"TOCSIN_{name.upper()}": text(value)}
    assert getattr(load(flags={name: flag, **others}), name) == value
    assert getattr(load(flags=others, environ=variable), name) == value
    assert getattr(load(flags=others, path=path), name) == value


def test_processes_are_a_number_or_one_a_core() -> None:
    several = {"journal": "redis://127.0.0.1:6379/0"}
    assert load(flags={"processes": "auto", **several}).process_count >= 1
    with pytest.raises(SettingsError, match="processes: 'x': allowed: a whole number, 'auto'"):
        load(flags={"processes": "x", **several})


@pytest.mark.parametrize("journal", ["memory:", "sqlite:hub.db"])
@pytest.mark.parametrize("processes", ["2", "auto"])
def test_several_processes_need_the_journal_in_redis(journal: str, processes: str) -> None:
    with pytest.raises(
        SettingsError, match=f"processes: {processes}: with the journal '{journal}'"
    ):
        load(flags={"processes": processes, "journal": journal})


def test_each_process_needs_a_port_for_its_metrics() -> None:
    with pytest.raises(SettingsError, match="allowed: a port from 0 to 65532"):
        load(
            flags={
                "processes": "4",
                "journal": "redis://127.0.0.1:6379/0",
                "metrics_listen": "[::1]:65533",
            }
        )


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    path = file(tmp_path / "hub.toml", "port = 1001\nretry = 1001\nheartbeat = 11.0")
    environ = {"TOCSIN_PORT": "1002", "TOCSIN_RETRY": "1002", "HOME": "/"}
    settings = load(flags={"port": "1003", "retry": None}, environ=environ, path=path)
    assert (settings.port, settings.retry, settings.heartbeat) == (1003, 1002, 11.0)


def test_defaults_are_those_of_the_contract() -> None:
    settings = load()
    assert settings == Settings()
    assert (settings.host, settings.port, settings.simulate) == (("127.0.0.1",), 3000, 0.0)
    assert (settings.heartbeat, settings.cors_origin) == (30.0, ())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"port": "abc"}, ["--port", "'abc'", "int"]),
        ({"port": "70000"}, ["--port", "'70000'", "65535"]),
        ({"heartbeat": "0"}, ["--heartbeat", "'0'", "> 0"]),
        ({"heartbeat": "nan"}, ["--heartbeat", "nan"]),
        (
            {"history_bytes": "65536", "max_event_bytes": "70000"},
            ["history_bytes", "65536", "70000"],
        ),
        ({"cors_origin": ("shop.example",)}, ["--cors-origin", "shop.example"]),
        ({"cors_origin": ("https://a.example/x",)}, ["--cors-origin", "https://a.example/x"]),
        ({"cors_origin": ("https://a b",)}, ["--cors-origin", "https://a b"]),
        ({"cors_origin": ("https://a.example,https://b.example",)}, ["--cors-origin", "b.example"]),
        ({"cors_origin": ("https://é.example",)}, ["--cors-origin", "é"]),
        (
            {"cors_origin": ("https://a.example:99999",)},
            ["cors_origin", "a.example:99999", "65535"],
        ),
        ({"cors_origin": ("NULL",)}, ["--cors-origin", "NULL"]),
        ({"allowed_host": ("hub.example:3000",)}, ["--allowed-host", "hub.example:3000"]),
        ({"allowed_host": ("https://hub.example",)}, ["--allowed-host", "https://hub.example"]),
        ({"public_url": "hub.example"}, ["--public-url", "hub.example"]),
        ({"public_url": "https://hub.example/?a"}, ["--public-url", "https://hub.example/?a"]),
        ({"public_url": "https://hub.example:99999"}, ["public_url", "hub.example:99999", "65535"]),
        ({"insecure": "perhaps"}, ["--insecure", "'perhaps'", "bool"]),
        (
            {"host": ("0.0.0.0",)},
            ["host", "'0.0.0.0'", "--keys", "--jwt-key", "--jwt-jwks", "--insecure"],
        ),
        ({"host": ("::",)}, ["host", "'::'", "--insecure"]),
        ({"host": ("::ffff:10.0.0.1",)}, ["host", "::ffff:10.0.0.1", "--insecure"]),
        ({"host": ("hub.example",)}, ["host", "'hub.example'", "--insecure"]),
        ({"log_level": "loud"}, ["--log-level", "'loud'"]),
        ({"trusted_proxy": ("example.com",)}, ["--trusted-proxy", "example.com"]),
        ({"trusted_proxy": ("10.0.0.0/40",)}, ["trusted_proxy", "10.0.0.0/40", "10.0.0.0/8"]),
        ({"retry": "10"}, ["--retry", "'10'", "1000"]),
        ({"canary": "-1"}, ["--canary", "'-1'", "0"]),
        ({"metrics_listen": "9100"}, ["--metrics-listen", "'9100'"]),
        ({"metrics_listen": "localhost:70000"}, ["metrics_listen", "localhost:70000", "65535"]),
        ({"anonymous_publish": ("a*b",)}, ["--anonymous-publish", "a*b"]),
        ({"anonymous_publish": ("*",)}, ["anonymous_publish", "--keys", "--jwt-key"]),
        (
            {"anonymous_subscribe": ("tocsin/canary",), "keys": "k"},
            ["anonymous_subscribe", "tocsin/*"],
        ),
        ({"keep_newest": ("alerts/*",)}, ["--keep-newest", "alerts/*"]),
        ({"keep_newest": ("a*b=1",)}, ["--keep-newest", "a*b=1"]),
        ({"keep_newest": ("alerts=0",)}, ["--keep-newest", "alerts=0"]),
        ({"keep_newest": ("alerts=20000",)}, ["keep_newest", "PATTERN=N", "10000"]),
        ({"keep_newest": ("tocsin/*=1",)}, ["keep_newest", "tocsin/*"]),
        (
            {"keep_newest": ("alerts/*=10",), "journal": "redis://localhost:6379/0"},
            ["keep_newest", "'alerts/*=10'", "Redis", "memory:", "sqlite:PATH"],
        ),
        ({"keep_newest_bytes": "10"}, ["--keep-newest-bytes", "'10'", "65536"]),
        ({"ticket_key": "x" * 40}, ["ticket_key", "(hidden)", "--keys"]),
        ({"jwt_audience": "hub"}, ["jwt_audience", "'hub'", "--jwt-jwks"]),
        ({"jwt_algorithm": ("none",)}, ["--jwt-algorithm", "none", "EdDSA"]),
        ({"jwt_jwks": "http://id.example/keys"}, ["jwt_jwks", "http://id.example", "https://"]),
        ({"jwt_jwks": "https://user:word@id.example/"}, ["--jwt-jwks"]),
        ({"jwt_jwks_refresh": "1"}, ["--jwt-jwks-refresh", "'1'", "10"]),
        ({"metrics_token": "tooshort"}, ["--metrics-token", "(hidden)", "16"]),
    ],
)
def test_bad_value_is_named_with_its_key_and_what_is_allowed(
    flags: dict[str, object], said: list[str]
) -> None:
    with pytest.raises(SettingsError) as raised:
        load(flags=flags)
    assert "\n" not in str(raised.value)
    assert all(word in str(raised.value) for word in said), str(raised.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("prot = 3000", "prot"),
        ('port = "3000"', "port"),
        ("port = 3000.5", "port"),
        ("port = [", "not a TOML file"),
        ("[hub]\nport = 1", "hub"),
    ],
)
def test_bad_file_is_named_with_what_is_wrong(content: str, said: str, tmp_path: Path) -> None:
    path = file(tmp_path / "hub.toml", content)
    with pytest.raises(SettingsError, match=said) as raised:
        load(path=path)
    assert path in str(raised.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://App.Example.com:443", "https://app.example.com"),
        ("HTTP://localhost:80", "http://localhost"),
        ("http://localhost:443", "http://localhost:443"),
        ("https://a.example:08443", "https://a.example:8443"),
        ("https://a.example/", "https://a.example"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("tauri://LocalHost", "tauri://localhost"),
        ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
        ("null", "null"),
        ("*", "*"),
    ],
)
def test_origin_is_kept_as_browsers_send_it(written: str, meant: str, tmp_path: Path) -> None:
    path = file(tmp_path / "hub.toml", f'cors_origin = ["{written}"]')
    assert load(path=path).cors_origin == (meant,)
    assert load(flags={"cors_origin": (written,)}).cors_origin == (meant,)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (
            "https://a.example, capacitor://localhost",
            ("https://a.example", "capacitor://localhost"),
        ),
        (" https://a.example ,, null,", ("https://a.example", "null")),
        ("https://a.example,https://A.example:443", ("https://a.example",)),
        ("", ()),
    ],
)
def test_spaces_and_empty_places_of_a_list_in_the_environment_mean_nothing(
    text: str, meant: tuple[str, ...]
) -> None:
    assert load(environ={"TOCSIN_CORS_ORIGIN": text}).cors_origin == meant


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost", "LOCALHOST"])
def test_loopback_needs_no_leave(host: str) -> None:
    assert load(flags={"host": (host,)}).host == (host,)


def test_one_of_several_values_needs_no_list(tmp_path: Path) -> None:
    assert load(path=file(tmp_path / "hub.toml", 'host = "::1"')).host == ("::1",)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TOCSIN_PORT", "tcp://10.0.0.1:3000"),
        ("TOCSIN_SERVICE_HOST", "10.0.0.1"),
        ("TOCSIN_SERVICE_PORT", "3000"),
        ("TOCSIN_SERVICE_PORT_HTTP", "3000"),
        ("TOCSIN_PORT_3000_TCP", "tcp://10.0.0.1:3000"),
        ("TOCSIN_PORT_3000_TCP_ADDR", "10.0.0.1"),
        ("TOCSIN_DB_SERVICE_HOST", "10.0.0.2"),
        ("TOCSIN_DB_PORT", "tcp://10.0.0.2:5432"),
        ("TOCSIN_DB_PORT_5432_UDP_PROTO", "udp"),
    ],
)
def test_variables_that_kubernetes_makes_of_a_service_are_ignored(key: str, value: str) -> None:
    assert load(environ={key: value, "TOCSIN_RETRY": "5000"}) == Settings(retry=5_000)
    assert service_links({key: value, "TOCSIN_RETRY": "5000"}) == [key]


@pytest.mark.parametrize("key", ["TOCSIN_PORT", "TOCSIN_DB_PORT", "TOCSIN_SERVICE_HOTS"])
def test_misspelt_variable_is_not_taken_for_one_of_kubernetes(key: str) -> None:
    with pytest.raises(SettingsError, match=key):
        load(environ={key: "x3000"})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "hub.example"])
def test_other_addresses_are_taken_with_insecure(host: str) -> None:
    assert load(flags={"host": (host,), "insecure": True}).host == (host,)


@pytest.mark.parametrize("how", ["keys", "jwt_key", "jwt_jwks"])
def test_other_addresses_are_taken_with_authentication(how: str) -> None:
    assert load(flags={"host": ("0.0.0.0",), how: "file"}).host == ("0.0.0.0",)


def test_missing_file_and_unknown_variable_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(path=str(tmp_path / "none.toml"))
    with pytest.raises(SettingsError, match="TOCSIN_PROT: no such setting"):
        load(environ={"TOCSIN_PROT": "1"})


def test_clients_are_limited_by_the_descriptors_less_a_reserve() -> None:
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert client_limit(Settings()) == descriptors - 100
    assert client_limit(Settings(max_clients=5)) == 5
    with pytest.raises(SettingsError, match=f"allowed: at most {descriptors - 100}"):
        client_limit(Settings(max_clients=descriptors))


@pytest.mark.parametrize("name", ["keys", "journal", "host", "tls_cert", "jwt_key"])
def test_text_with_the_character_0_is_refused(name: str, tmp_path: Path) -> None:
    value = '["unix:/a\\u0000b"]' if name == "host" else '"sqlite:a\\u0000b"'
    path = file(tmp_path / "hub.toml", f"{name} = {value}")
    with pytest.raises(SettingsError, match=f"{name} in .*: allowed: text without the character 0"):
        load(path=path)


def test_file_of_settings_that_is_nested_without_end_is_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not a TOML file"):
        load(path=file(tmp_path / "hub.toml", "port = " + "[" * 5_000))


def test_key_set_has_an_address_that_can_be_asked() -> None:
    with pytest.raises(SettingsError, match="jwt_jwks: 'https://\\[::1/keys': no address"):
        load({"jwt_jwks": "https://[::1/keys"})


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("sqlite:", "no path"),
        ("sqlite::memory:", "in memory"),
        ("sqlite:file:/tmp/a.db?mode=ro", "no URL"),
        ("sqlite:///tmp/a.db", "no URL"),
        ("sqlite:/tmp/a.db?cache=shared", "no URL"),
        ("sqlite:/tmp/", "a folder"),
        ("sqlite:..", "a folder"),
        ("sqlite:data/.", "a folder"),
        ("sqlite: a.db", "white space"),
        ("sqlite:a.db\n", "control character"),
        ("sqlite", "no path"),
        ("memory:x", "no such journal"),
        ("redis:127.0.0.1", "no such journal"),
        ("", "no such journal"),
    ],
)
def test_address_of_no_journal_is_refused_with_what_is_allowed(address: str, why: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(flags={"journal": address})
    said = str(refused.value)
    assert said.startswith(f"journal: {address!r}: ")
    assert why in said
    assert said.endswith(
        "allowed: 'memory:', 'sqlite:PATH' with the path of a file, 'redis://HOST:PORT/DB'"
    )


@pytest.mark.parametrize("path", ["hub.db", "./:memory:", "data/hub.db", "/var/lib/a b.db"])
def test_journal_is_in_a_file_of_any_path(path: str) -> None:
    assert load(flags={"journal": f"sqlite:{path}"}).journal == f"sqlite:{path}"


def test_password_in_an_address_of_no_journal_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match="no such journal") as refused:
        load(flags={"journal": "postgres://hub:secret@db.example/hub"})
    assert "secret" not in str(refused.value)
