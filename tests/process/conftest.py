from __future__ import annotations

import sys

import pytest


@pytest.fixture
def hub_python() -> str:
    """Hubs of this folder are started as people do."""
    return sys.executable
