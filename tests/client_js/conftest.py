from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.client_js.runtimes import Source

OpenSource = Callable[..., Source]


@pytest.fixture
def open_source() -> Iterator[OpenSource]:
    """Run programs with a source each: `open_source(url, runtime="node", **options)`. All of them are ended."""
    opened: list[Source] = []

    def open_one(url: str, runtime: str = "node", **options: Any) -> Source:
        opened.append(Source(url, runtime, **options))
        return opened[-1]

    yield open_one
    for source in opened:
        source.close()
