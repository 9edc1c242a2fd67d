"""One Redis for the tests that do nothing to it, and a new one for each that does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.eventlog.appended import told_once  # noqa: F401
from tests.redis_process import RedisProcess

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def shared_redis() -> Iterator[RedisProcess]:
    redis = RedisProcess()
    yield redis
    redis.close()


@pytest.fixture
def prefix() -> str:
    """Of a log that no other test has."""
    return f"test-{next(_numbers)}"


@pytest.fixture
def redis() -> Iterator[RedisProcess]:
    """A Redis of the test's own, which it may kill."""
    redis = RedisProcess()
    yield redis
    redis.close()
