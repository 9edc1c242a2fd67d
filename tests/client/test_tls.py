"""Both subscriptions over TLS: they trust, they don't, and they end at once."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.certificates import Certificate, make_certificate
from tests.client.conftest import FLAGS
from tests.client.listener import AsyncListener, BlockingListener, Listener
from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import wait_until
from tocsin.client import BlockingPublisher, Unreachable


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
def hub(start_hub: StartHub, certificate: Certificate) -> HubProcess:
    return start_hub(*FLAGS, *certificate.flags)


def test_events_come_over_tls_and_a_stop_ends_the_wait(
    hub: HubProcess, certificate: Certificate
) -> None:
    url = f"https://127.0.0.1:{hub.port}"
    trusting = certificate.trusting
    listeners: list[Listener] = [
        AsyncListener(url, client=httpx.AsyncClient(verify=trusting)),
        BlockingListener(url, client=httpx.Client(verify=trusting)),
    ]
    for listener in listeners:
        listener.wait_for_welcomes()
    with httpx.Client(verify=trusting) as client, BlockingPublisher(url, client=client) as sender:
        id = sender.publish("é").id
    wait_until(lambda: [each.ids for each in listeners] == [[id], [id]])
    for listener in listeners:
        listener.stop()
        assert listener.error is None


@pytest.mark.parametrize("kind", [AsyncListener, BlockingListener])
def test_certificate_that_is_not_trusted_is_an_error_at_once(
    hub: HubProcess, kind: type[Listener]
) -> None:
    listener = kind(f"https://127.0.0.1:{hub.port}")
    listener.wait_for_end()
    assert isinstance(listener.error, Unreachable)
    assert "certificate verify failed" in str(listener.error)
    with pytest.raises(Unreachable), BlockingPublisher(f"https://127.0.0.1:{hub.port}") as sender:
        sender.publish("x")
