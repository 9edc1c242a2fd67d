from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.proxy_process import (
    Apache,
    Caddy,
    Envoy,
    Haproxy,
    Nginx,
    ProxyProcess,
    Varnish,
    proxy_process,
)

StartProxy = Callable[[int], ProxyProcess]

PROXIES: tuple[type[ProxyProcess], ...] = (Nginx, Haproxy, Caddy, Varnish, Apache, Envoy)
QUICK = (Nginx, Haproxy)
"""What `make test` tries; `make soak` tries all."""
KINDS = [
    pytest.param(kind, id=kind.__name__, marks=[] if kind in QUICK else [pytest.mark.soak])
    for kind in PROXIES
]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> type[ProxyProcess]:
    """Each proxy whose file is shipped."""
    found: type[ProxyProcess] = request.param
    return found


@pytest.fixture
def start_proxy(kind: type[ProxyProcess]) -> Iterator[StartProxy]:
    """Start a proxy of this kind in front of a hub: `start_proxy(hub.port)`. All of them are stopped."""
    with ExitStack() as stack:
        yield lambda hub_port: stack.enter_context(proxy_process(kind, hub_port))
