"""`/api/stats` and the metrics: the history is the journal's, the window what of it is in memory."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from tests.eventlog.kept import KeptJournal, window_of
from tests.hub.hubs import drafts, running
from tocsin import Hub, Settings
from tocsin.access.principal import EVERYBODY
from tocsin.http.access_log import AccessLog
from tocsin.http.request import Request
from tocsin.http.routes.health import StatsRoute
from tocsin.ops.metrics import HubCollector, Source


def stats(hub: Hub) -> Any:
    return msgspec.json.decode(
        StatsRoute(hub).answer(Request("GET", "/api/stats", principal=EVERYBODY)).body
    )


def metrics(hub: Hub) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(HubCollector(Source(hub, AccessLog().counts, AccessLog().lanes)))
    return {
        "".join([sample.name, *sample.labels.values()]): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


async def test_history_is_what_the_journal_keeps_and_window_what_is_in_memory() -> None:
    journal = KeptJournal(max_events=50)
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(30))
        await hub.publish(*drafts(40))
        said, kept = stats(hub), journal.kept
        assert (said["history"]["events"], said["history"]["bytes"]) == (50, kept.bytes)
        assert (said["window"]["events"], said["window"]["bytes"]) == (10, hub.ring.bytes)
        assert (said["oldest"], said["oldestTime"]) == ("1000-21", kept.oldest_time)
        # Milliseconds lie between the two looks at the clock.
        assert said["history"]["horizonS"] == pytest.approx(hub.horizon_s, abs=1)
        shown = metrics(hub)
        assert shown["tocsin_history_events"] == 50
        assert shown["tocsin_history_bytes"] == kept.bytes
        assert shown["tocsin_history_oldest_event_timestamp_seconds"] == kept.oldest_time
        assert shown["tocsin_history_evicted_totaljournal"] == 20
        assert shown["tocsin_history_evicted_totalcount"] == 0
        assert shown["tocsin_window_events"] == 10
        assert shown["tocsin_window_bytes"] == hub.ring.bytes


async def test_without_a_journal_the_window_is_the_history() -> None:
    async with running(None, **window_of(10)) as hub:
        await hub.publish(*drafts(30))
        said = stats(hub)
        for name in ("events", "bytes", "limitEvents", "limitBytes"):
            assert said["window"][name] == said["history"][name]
        assert said["oldest"] == str(hub.ring.id_at(21))
        shown = metrics(hub)
        assert shown["tocsin_history_evicted_totalcount"] == 20
        assert shown["tocsin_history_evicted_totaljournal"] == 0


@pytest.mark.parametrize("journal", [None, KeptJournal()])
async def test_empty_history_has_no_oldest(journal: KeptJournal | None) -> None:
    async with running(journal) as hub:
        said = stats(hub)
        assert (said["oldest"], said["oldestTime"]) == (None, None)
        assert said["history"]["horizonS"] is None
        assert metrics(hub)["tocsin_history_oldest_event_timestamp_seconds"] == 0


async def test_stats_say_what_keeps_the_history_without_its_address() -> None:
    settings = Settings(journal="sqlite:/var/secret.db", simulate=8)
    said = stats(Hub(settings))
    assert (said["journal"], said["simulate"]) == ("sqlite", 8)
