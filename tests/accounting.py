"""What must add up in a hub's counts, at any moment between two turns of its loop."""

from __future__ import annotations

from tocsin import Hub


def recipients(hub: Hub) -> int:
    """How many times an event was meant for an open stream."""
    return int(hub.counters.recipients.sum)


def accounted_for(hub: Hub) -> int:
    """How many of these were delivered, given up when the stream closed, or are still to come."""
    counters = hub.counters
    still_to_come = sum(stream.undelivered for stream in hub.streams.values())
    given_up = sum(counters.undelivered.values())
    return counters.delivered_live + counters.delivered_catchup + given_up + still_to_come


def assert_conserved(hub: Hub) -> None:
    """Nothing is lost silently: every recipient, event and stream is where the counts say it is."""
    counters = hub.counters
    assert recipients(hub) == accounted_for(hub)
    assert sum(counters.opened.values()) - sum(counters.closed.values()) == len(hub.streams)
    assert sum(counters.published.values()) == sum(counters.published_by_type.values())
    # Other processes of the log take events too.
    assert sum(counters.published.values()) <= counters.log_events == hub.ring.head
    assert sum(counters.recipients.counts) == sum(counters.event_bytes.counts) == hub.ring.head
    assert sum(counters.durations_s.counts) == sum(counters.closed.values())
