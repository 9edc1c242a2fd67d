from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.eventlog.appended import told_once  # noqa: F401
from tests.redis.contract_store import SHARED


@pytest.fixture(scope="package", autouse=True)
def ended_redis() -> Iterator[None]:
    """The Redis that the contract's tests started is ended with them."""
    yield
    SHARED.close()
