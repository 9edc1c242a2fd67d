"""What must add up in a hub's counts, at any moment between two turns of its loop."""

from __future__ import annotations

from tocsin import Hub


def recipients(hub: Hub) -> int:
    """How many times an event was meant for an open stream."""
    return int(hub.tally.recipients.sum)


def accounted_for(hub: Hub) -> int:
    """How many of these were delivered, given up when the stream closed, or are still to come."""
    tally = hub.tally
    still_to_come = sum(stream.undelivered for stream in hub.streams.values())
    given_up = sum(tally.undelivered.values())
    return tally.delivered_live + tally.delivered_catchup + given_up + still_to_come


def assert_conserved(hub: Hub) -> None:
    """Nothing is lost silently: every recipient, event and stream is where the counts say it is."""
    tally = hub.tally
    assert recipients(hub) == accounted_for(hub)
    assert sum(tally.opened.values()) - sum(tally.closed.values()) == len(hub.streams)
    assert sum(tally.published.values()) == sum(tally.published_by_type.values())
    assert sum(tally.published.values()) == hub.ring.head
    assert sum(tally.recipients.counts) == sum(tally.event_bytes.counts) == hub.ring.head
    assert sum(tally.durations_s.counts) == sum(tally.closed.values())
