from __future__ import annotations

from tocsin import Draft, Hub, Settings


async def test_publishing_nothing_is_no_error_and_leaves_the_log_as_it_was() -> None:
    hub = Hub(Settings(drain_timeout=0.1))
    await hub.start()
    (receipt,) = await hub.publish(Draft("tick", b"{}"))
    assert list(await hub.publish()) == []
    assert (hub.head, hub.ring.head) == (receipt.id, 1)
    await hub.stop()
