"""What stands in the way of a start is one line, and what is doubtful a warning; no secret is in either."""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.hub_process import free_ports
from tests.redis.nodes import LIMITS, Node, nodes
from tests.redis_process import RedisProcess
from tocsin.core.filters import EVERYTHING
from tocsin.errors import SettingsError
from tocsin.eventlog.journal.base import Once
from tocsin.eventlog.journal.redis.address import Address, parse_address
from tocsin.eventlog.journal.redis.checks import check_server

ROOT = Path(__file__).parents[2]
FEW = replace(LIMITS, events=10, bytes=10_000, age_s=100, once_keys=5)
SECRET = "not-to-be-shown"
ADDRESS = Address("cache", 6_379, 0, False)
FINE = {"redis_version": "7.0.15", "role": "master", "aof_enabled": "1"}


@pytest.fixture(scope="module")
def locked_redis() -> Iterator[RedisProcess]:
    redis = RedisProcess("--requirepass", SECRET)
    yield redis
    redis.close()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", Address("cache", 6_379, 0, False)),
        ("redis://cache:7000/3", Address("cache", 7_000, 3, False)),
        ("rediss://[::1]:7000/", Address("::1", 7_000, 0, True)),
    ],
)
def test_address_is_read_from_a_url(url: str, address: Address) -> None:
    assert parse_address(url) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "url",
    [
        "redis:",
        "redis://",
        "redis://cache:port/0",
        "redis://cache:70000/0",
        "redis://cache/one",
        "redis://cache/-1",
        "redis://cache/0/1",
        "redis://cache/0?x=1",
        "redis://[cache/0",
        "http://cache/0",
    ],
)
def test_what_is_no_address_is_refused_with_what_is_allowed(url: str) -> None:
    with pytest.raises(SettingsError, match=r"allowed: redis://HOST:PORT/DB"):
        parse_address(url)


def test_address_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="TOCSIN_REDIS_PASSWORD") as refused:
        parse_address(f"redis://me:{SECRET}@cache/0")
    assert SECRET not in str(refused.value)


async def test_redis_that_is_not_there_is_said_in_one_line() -> None:
    (port,) = free_ports(1)
    with pytest.raises(SettingsError) as refused:
        await _start(port)
    assert str(refused.value).startswith(f"journal: Redis at redis://127.0.0.1:{port}/0: Error 111")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("password", ["", "wrong-" + SECRET])
async def test_redis_that_refuses_the_password_is_said_without_it(
    locked_redis: RedisProcess, password: str
) -> None:
    with pytest.raises(SettingsError, match=r"journal: .*([Aa]uthentication|password)") as refused:
        await _start(locked_redis.port, password)
    assert SECRET not in str(refused.value)


async def test_password_opens_and_is_shown_nowhere(
    locked_redis: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with nodes(locked_redis, password=SECRET) as (node,):
        await node.append("a")
        shown = [repr(node.journal), repr(node.journal.tail.link), repr(node.store), caplog.text]
    assert SECRET not in "".join(shown)


async def test_encrypted_redis_is_used_if_its_certificate_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    made += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    (port,) = free_ports(1)
    files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key))
    redis = RedisProcess("--tls-port", str(port), *files, "--tls-auth-clients", "no")
    try:
        with pytest.raises(SettingsError, match="certificate"):
            await _start(port, url="rediss://localhost")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        node = await _start(port, url="rediss://localhost")
        await node.append("a")
        await node.journal.stop()
    finally:
        redis.close()


async def test_user_with_the_rights_in_the_docs_can_do_it_all(shared_redis: RedisProcess) -> None:
    docs = (ROOT / "docs/journals-redis.md").read_text()
    (command,) = re.findall(r"^ACL SETUSER .*\\\n.*$", docs, re.MULTILINE)
    words = command.replace("\\", "").replace("PASSWORD", SECRET).split()
    assert shared_redis.ask(*words) == b"+OK\r\n"
    node = Node(shared_redis.url, username="tocsin", password=SECRET, limits=FEW)
    await node.start()
    for n in range(20):
        await node.append(f"{n}", once=Once("", f"{n}", b"d" * 16))
    await node.until(lambda: node.journal.history.floor)
    await node.journal.history.read(5, EVERYTHING, max_events=1, max_bytes=1_000)
    assert not node.journal.status
    await node.journal.stop()
    shared_redis.ask("DEL", "{tocsin}:log")  # so that the next start deletes the rest
    node = Node(shared_redis.url, username="tocsin", password=SECRET)
    await node.start()
    await node.journal.stop()


def test_redis_that_is_too_old_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"is Redis 6\.2\.7; allowed: 7\.0 or later, or Valkey"):
        check_server(ADDRESS, FINE | {"redis_version": "6.2.7"})


def test_replica_is_refused() -> None:
    with pytest.raises(SettingsError, match="is a replica; allowed: the primary"):
        check_server(ADDRESS, FINE | {"role": "slave"})


def test_redis_that_may_evict_the_log_is_warned_of() -> None:
    (warning,) = check_server(ADDRESS, FINE | {"maxmemory_policy": "allkeys-lru"})
    assert "set noeviction" in warning


def test_redis_that_keeps_nothing_on_disk_is_warned_of() -> None:
    (warning,) = check_server(ADDRESS, FINE | {"aof_enabled": "0"})
    assert "set appendonly yes" in warning


@pytest.mark.parametrize("version", ["7.0.0", "8.2.1"])
def test_redis_that_is_set_up_well_is_taken_in_silence(version: str) -> None:
    assert check_server(ADDRESS, FINE | {"redis_version": version}) == []


async def _start(port: int, password: str = "", url: str = "redis://127.0.0.1") -> Node:
    node = Node(f"{url}:{port}/0", password=password)
    await node.start()
    return node
