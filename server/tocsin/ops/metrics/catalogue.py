"""The catalogue: every metric of the hub, the question it answers, and where its value is read.

The collector, the table in docs/metrics.md and the tests are all made from this one table. No label
ever holds an id, a path, an address or a topic, and an event type only for the first few, so the number
of series is bounded whatever clients send.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import tornado

from tocsin import logs
from tocsin.access.authentication import Authentication
from tocsin.access.limits import PublishLimits
from tocsin.hub import counters
from tocsin.hub.counters import Histogram
from tocsin.hub.hub import Hub
from tocsin.version import VERSION

Kind = Literal["gauge", "counter", "histogram", "info"]
SUFFIXES: dict[Kind, str] = {"gauge": "", "counter": "_total", "histogram": "", "info": "_info"}


UNITS = ("seconds", "bytes", "ratio")

DATED = frozenset({"tocsin_resumes_total", "tocsin_gaps_total"})
"""Counters of loss, which say since when they count (`_created`). Not all do: each is a series more."""

RequestCounts = Mapping[tuple[str, str, str], int]
"""Answered requests by handler, method and status code."""


@dataclass(frozen=True)
class Source:
    """What metrics are read from: the hub, the counts of its HTTP requests, also by lane, and who may do what."""

    hub: Hub
    requests: RequestCounts
    lanes: Mapping[str, int]
    limits: PublishLimits | None = None
    authentication: Authentication | None = None


LIMITS = (
    *("publish_rate_per_principal", "publish_rate_per_address"),
    *("publish_bytes_per_principal", "publish_bytes_per_address"),
    *("max_clients_per_principal", "max_clients_per_address", "max_patterns", "max_polls"),
)
"""Settings that bound what one client, or all of them together, may ask for; `max_clients` has metrics of its own."""

LONG_LAG_S = 10.0
"""What is long for a client to be without an event: well above what a burst takes."""

Labelled = (
    Mapping[str, int] | Mapping[str, float] | Mapping[str, str] | Mapping[tuple[str, str, str], int]
)
Value = float | Histogram | Labelled


@dataclass(frozen=True)
class Family:
    """One metric.

    Attributes:
        name: in full, as a query spells it.
        kind: its type in Prometheus' words.
        help: one sentence.
        question: that it helps to answer.
        read: takes its value: a number, a histogram, or numbers by label value.
        labels: each label's values that are known, or nothing where they come up as they happen.
    """

    name: str
    kind: Kind
    help: str
    question: str
    read: Callable[[Source], Value]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """What it is in, as OpenMetrics says it; empty for what is counted."""
        last = self.stem.rpartition("_")[2]
        return last if last in UNITS else ""

    @property
    def stem(self) -> str:
        """The name without the suffix that its type adds."""
        return self.name.removesuffix(SUFFIXES[self.kind])


CONNECTED = "Who is connected?"
PUBLISHED = "What comes in?"
DELIVERED = "What goes out, and how late?"
SLOW = "Who is slow?"
LOST = "Who lost something?"
HISTORY = "How far does the history reach?"
END_TO_END = "Does it work from end to end?"
JOURNAL = "Does the journal keep up?"
RIGHTS = "Who is refused, or will be soon?"
PROCESS = "How is the process?"


def _delivered(source: Source) -> Labelled:
    counts = source.hub.counters
    return {
        "live": counts.delivered_live,
        "catchup": counts.delivered_catchup,
        "replay": counts.delivered_replay,
    }


def _canary_age(source: Source) -> float:
    counts = source.hub.counters
    return time.monotonic() - counts.canary_since if counts.canary_interval_s else 0.0


def _limits_used(source: Source) -> Labelled:
    used = source.limits.used(time.monotonic()) if source.limits else {}
    return dict.fromkeys(LIMITS, 0.0) | used | source.hub.limits_used


def _key_expires(source: Source) -> float:
    return source.authentication.key_expires_in_s if source.authentication else 0.0


def _build(_: Source) -> Labelled:
    return {
        "version": VERSION,
        "python": platform.python_version(),
        "tornado": tornado.version,
    }


def _oldest_time(source: Source) -> float:
    return source.hub.kept.oldest_time or 0.0


def _evicted(source: Source) -> Labelled:
    hub = source.hub
    if hub.history is None:
        return {**hub.ring.evicted, "journal": 0}
    return {**dict.fromkeys(hub.ring.evicted, 0), "journal": hub.history.floor}


# One row is one metric. The order is that of the docs.
CATALOGUE: tuple[Family, ...] = (
    Family(
        "tocsin_clients",
        "gauge",
        "Open event streams.",
        CONNECTED,
        lambda s: len(s.hub.streams),
    ),
    Family(
        "tocsin_clients_limit",
        "gauge",
        "Open event streams at most.",
        CONNECTED,
        lambda s: s.hub.clients_limit,
    ),
    Family(
        "tocsin_polls",
        "gauge",
        "Requests to the history that wait for events now.",
        CONNECTED,
        lambda s: len(s.hub.polls),
    ),
    Family(
        "tocsin_polls_refused_total",
        "counter",
        "Requests to the history that were to wait, and were too many.",
        CONNECTED,
        lambda s: s.hub.polls.refused,
    ),
    Family(
        "tocsin_streams_opened_total",
        "counter",
        "Streams opened.",
        CONNECTED,
        lambda s: s.hub.counters.opened,
        {"kind": ("new", "resumed")},
    ),
    Family(
        "tocsin_streams_closed_total",
        "counter",
        "Streams closed, by who or what ended them.",
        CONNECTED,
        lambda s: s.hub.counters.closed,
        {"reason": counters.CLOSE_REASONS},
    ),
    Family(
        "tocsin_streams_rejected_total",
        "counter",
        "Streams not opened.",
        CONNECTED,
        lambda s: s.hub.counters.rejected,
        {"reason": counters.REJECT_REASONS},
    ),
    Family(
        "tocsin_stream_duration_seconds",
        "histogram",
        "How long closed streams lasted; a peak at 30 or 60 s is a proxy's timeout.",
        CONNECTED,
        lambda s: s.hub.counters.durations_s,
    ),
    Family(
        "tocsin_events_published_total",
        "counter",
        "Events that this process took, by who made them; those that other processes of the log took count there.",
        PUBLISHED,
        lambda s: s.hub.counters.published,
        {"source": counters.SOURCES},
    ),
    Family(
        "tocsin_events_published_by_type_total",
        "counter",
        f"The same by the first {counters.MAX_TYPES} types seen; the rest are `other`.",
        PUBLISHED,
        lambda s: s.hub.counters.published_by_type,
        {"type": (*counters.TYPES, "other")},
    ),
    Family(
        "tocsin_log_events_total",
        "counter",
        "Events by which the log has grown since this process began, whichever process took them.",
        PUBLISHED,
        lambda s: s.hub.counters.log_events,
    ),
    Family(
        "tocsin_publish_rejected_total",
        "counter",
        "Publish requests refused.",
        PUBLISHED,
        lambda s: s.hub.counters.publish_rejected,
        {"reason": counters.PUBLISH_REJECT_REASONS},
    ),
    Family(
        "tocsin_publish_duplicates_total",
        "counter",
        "Publish requests whose idempotency key was known: answered, and nothing published.",
        PUBLISHED,
        lambda s: s.hub.counters.published_again,
    ),
    Family(
        "tocsin_topics_ended_total",
        "counter",
        "Topics that were ended.",
        PUBLISHED,
        lambda s: s.hub.counters.topics_ended,
    ),
    Family(
        "tocsin_ended_topics",
        "gauge",
        "Topics that have ended and are remembered: nothing is taken for them.",
        PUBLISHED,
        lambda s: len(s.hub.ended_topics),
    ),
    Family(
        "tocsin_hook_fallbacks_total",
        "counter",
        "Bodies to a hook in which something was not found, or was too large, and fell back.",
        PUBLISHED,
        lambda s: s.hub.counters.hook_fallbacks,
        {"field": counters.HOOK_FALLBACKS},
    ),
    Family(
        "tocsin_hook_left_out_total",
        "counter",
        "Elements of bodies to a hook that were too many for one batch, and were left out.",
        PUBLISHED,
        lambda s: s.hub.counters.hook_left_out,
    ),
    Family(
        "tocsin_publish_duration_seconds",
        "histogram",
        "From a publish request's body read to its answer, for those accepted.",
        PUBLISHED,
        lambda s: s.hub.counters.publish_s,
    ),
    Family(
        "tocsin_event_size_bytes",
        "histogram",
        "Events as they are sent and kept, encoded.",
        PUBLISHED,
        lambda s: s.hub.counters.event_bytes,
    ),
    Family(
        "tocsin_last_event_timestamp_seconds",
        "gauge",
        "Unix time of the newest event; 0 before the first.",
        PUBLISHED,
        lambda s: s.hub.counters.last_event_time,
    ),
    Family(
        "tocsin_fanout_recipients",
        "histogram",
        "Open streams that an event is for, when it is published.",
        DELIVERED,
        lambda s: s.hub.counters.recipients,
    ),
    Family(
        "tocsin_events_delivered_total",
        "counter",
        "Events that sockets have taken: live, to a stream that lagged, or from before it opened.",
        DELIVERED,
        _delivered,
        {"kind": counters.DELIVERY_KINDS},
    ),
    Family(
        "tocsin_events_undelivered_total",
        "counter",
        "Recipients that closed before they got an event; they get it when they resume.",
        DELIVERED,
        lambda s: s.hub.counters.undelivered,
        {"reason": counters.CLOSE_REASONS},
    ),
    Family(
        "tocsin_delivery_latency_seconds",
        "histogram",
        "From the receipt of an event to the socket of a stream that was open by then, live or catchup; each delivery counts.",
        DELIVERED,
        lambda s: s.hub.counters.latency_s,
    ),
    Family(
        "tocsin_fanout_duration_seconds",
        "histogram",
        "From the receipt of an event until the last live stream of its filter was sent it.",
        DELIVERED,
        lambda s: s.hub.counters.fanout_s,
    ),
    Family(
        "tocsin_sent_bytes_total",
        "counter",
        "Bytes that sockets were given; control is heads, welcomes, gaps, presence, farewells.",
        DELIVERED,
        lambda s: s.hub.counters.sent_bytes,
        {"kind": counters.BYTE_KINDS},
    ),
    Family(
        "tocsin_heartbeats_total",
        "counter",
        "Heartbeats sent.",
        DELIVERED,
        lambda s: s.hub.counters.heartbeats,
    ),
    Family(
        "tocsin_lagging_clients",
        "gauge",
        "Streams behind the head.",
        SLOW,
        lambda s: len(s.hub.lagging),
    ),
    Family(
        "tocsin_lagging_long_clients",
        "gauge",
        f"Of these, the ones without an event that is over {LONG_LAG_S:g} s old.",
        SLOW,
        lambda s: s.hub.lagging_longer_than(LONG_LAG_S),
    ),
    Family(
        "tocsin_lag_events_max",
        "gauge",
        "Events between the slowest lagging stream's cursor and the head.",
        SLOW,
        lambda s: s.hub.lag_events_max,
    ),
    Family(
        "tocsin_resumes_total",
        "counter",
        "Streams that named a last event id.",
        LOST,
        lambda s: s.hub.counters.resumes,
        {"outcome": ("complete", "gap")},
    ),
    Family(
        "tocsin_gaps_total",
        "counter",
        "Gaps that clients were told of.",
        LOST,
        lambda s: s.hub.counters.gaps,
        {"reason": counters.GAP_REASONS},
    ),
    Family(
        "tocsin_replayed_events",
        "histogram",
        "Events replayed to a resumed stream.",
        LOST,
        lambda s: s.hub.counters.replayed,
    ),
    Family(
        "tocsin_history_events",
        "gauge",
        "Events kept, in memory or by the journal.",
        HISTORY,
        lambda s: s.hub.kept.events,
    ),
    Family(
        "tocsin_history_bytes",
        "gauge",
        "Bytes of events kept.",
        HISTORY,
        lambda s: s.hub.kept.bytes,
    ),
    Family(
        "tocsin_kept_newest_events",
        "gauge",
        "Events that stay though the history moved on (`keep_newest`).",
        HISTORY,
        lambda s: len(s.hub.kept_newest or ()),
    ),
    Family(
        "tocsin_kept_newest_bytes",
        "gauge",
        "Bytes that those count.",
        HISTORY,
        lambda s: s.hub.kept_newest.bytes if s.hub.kept_newest else 0,
    ),
    Family(
        "tocsin_kept_newest_limit_bytes",
        "gauge",
        "Bytes that those count at most; 0 where none stay.",
        HISTORY,
        lambda s: s.hub.settings.keep_newest_bytes if s.hub.settings.keep_newest else 0,
    ),
    Family(
        "tocsin_kept_newest_evicted_total",
        "counter",
        "Events that stay no longer because all of them were more than that limit.",
        HISTORY,
        lambda s: s.hub.kept_newest.beyond_bytes if s.hub.kept_newest is not None else 0,
    ),
    Family(
        "tocsin_history_limit_events",
        "gauge",
        "Events kept at most.",
        HISTORY,
        lambda s: s.hub.settings.history_events,
    ),
    Family(
        "tocsin_history_limit_bytes",
        "gauge",
        "Bytes kept at most.",
        HISTORY,
        lambda s: s.hub.settings.history_bytes,
    ),
    Family(
        "tocsin_history_limit_age_seconds",
        "gauge",
        "Age kept at most; 0 is no limit.",
        HISTORY,
        lambda s: s.hub.settings.history_age,
    ),
    Family(
        "tocsin_history_oldest_event_timestamp_seconds",
        "gauge",
        "Unix time of the oldest event kept; 0 if none is.",
        HISTORY,
        _oldest_time,
    ),
    Family(
        "tocsin_history_evicted_total",
        "counter",
        "Events that left the history, by the limit that made them; of what a journal keeps, all are `journal`.",
        HISTORY,
        _evicted,
        {"reason": ("count", "bytes", "age", "journal")},
    ),
    Family(
        "tocsin_window_events",
        "gauge",
        "Events of the history that are in memory.",
        HISTORY,
        lambda s: len(s.hub.ring),
    ),
    Family(
        "tocsin_window_bytes",
        "gauge",
        "Encoded bytes of these.",
        HISTORY,
        lambda s: s.hub.ring.bytes,
    ),
    Family(
        "tocsin_window_limit_events",
        "gauge",
        "Events in memory at most.",
        HISTORY,
        lambda s: s.hub.settings.window_events,
    ),
    Family(
        "tocsin_window_limit_bytes",
        "gauge",
        "Bytes in memory at most.",
        HISTORY,
        lambda s: s.hub.settings.window_bytes,
    ),
    Family(
        "tocsin_canary_latency_seconds",
        "histogram",
        "From the canary's publish to its event's arrival, over a loopback connection.",
        END_TO_END,
        lambda s: s.hub.counters.canary_s,
    ),
    Family(
        "tocsin_canary_age_seconds",
        "gauge",
        "Since the canary last got its event, or began, by a clock that nobody sets; 0 where it is off.",
        END_TO_END,
        _canary_age,
    ),
    Family(
        "tocsin_canary_interval_seconds",
        "gauge",
        "Time between two runs of the canary; 0 is off.",
        END_TO_END,
        lambda s: s.hub.counters.canary_interval_s,
    ),
    Family(
        "tocsin_canary_runs_total",
        "counter",
        "Runs of the canary.",
        END_TO_END,
        lambda s: s.hub.counters.canary_runs,
        {"outcome": counters.CANARY_OUTCOMES},
    ),
    Family(
        "tocsin_ready",
        "gauge",
        "Whether the hub takes events and streams.",
        END_TO_END,
        lambda s: s.hub.is_ready,
    ),
    Family(
        "tocsin_journal_up",
        "gauge",
        "Whether the journal takes appends.",
        JOURNAL,
        lambda s: s.hub.is_journal_up,
    ),
    Family(
        "tocsin_journal_commit_duration_seconds",
        "histogram",
        "From an append asked of the journal to its commit.",
        JOURNAL,
        lambda s: s.hub.counters.journal_commit_s,
    ),
    Family(
        "tocsin_journal_errors_total",
        "counter",
        "Appends that the journal could not commit.",
        JOURNAL,
        lambda s: s.hub.counters.journal_errors,
    ),
    Family(
        "tocsin_history_reads_total",
        "counter",
        "Reads of what left the window, from the journal; a failed one ends its streams, which come back.",
        JOURNAL,
        lambda s: s.hub.counters.history_reads,
        {"outcome": counters.READ_OUTCOMES},
    ),
    Family(
        "tocsin_history_read_duration_seconds",
        "histogram",
        "How long these reads took, failed ones too, without the wait for their turn.",
        JOURNAL,
        lambda s: s.hub.counters.history_read_s,
    ),
    Family(
        "tocsin_history_read_events_total",
        "counter",
        "Events that these reads found.",
        JOURNAL,
        lambda s: s.hub.counters.history_read_events,
    ),
    Family(
        "tocsin_history_waiting_clients",
        "gauge",
        "Streams that wait for such a read, or for an event that only another process has yet.",
        JOURNAL,
        lambda s: s.hub.waiting,
    ),
    Family(
        "tocsin_journal_resets_total",
        "counter",
        "Times that all streams had to resume: another log began, or events left the log before this hub read them.",
        JOURNAL,
        lambda s: s.hub.counters.journal_resets,
        {"reason": counters.JOURNAL_RESETS},
    ),
    Family(
        "tocsin_journal_reconnects_total",
        "counter",
        "Times that the journal was lost and found again: its server, or its file.",
        JOURNAL,
        lambda s: s.hub.journal_figures.reconnects,
    ),
    Family(
        "tocsin_journal_tail_lag_events",
        "gauge",
        "Events in a shared log that this process has not read, at its last look, once a second.",
        JOURNAL,
        lambda s: s.hub.journal_figures.tail_lag_events,
    ),
    Family(
        "tocsin_journal_tail_age_seconds",
        "gauge",
        "Since that look; 0 where the log isn't shared.",
        JOURNAL,
        lambda s: s.hub.journal_figures.tail_age_s,
    ),
    Family(
        "tocsin_journal_file_bytes",
        "gauge",
        "What the journal's files take; 0 where it has none.",
        JOURNAL,
        lambda s: s.hub.journal_figures.file_bytes,
    ),
    Family(
        "tocsin_journal_disk_free_bytes",
        "gauge",
        "What is left on their disk; 0 where there is none.",
        JOURNAL,
        lambda s: s.hub.journal_figures.disk_free_bytes,
    ),
    Family(
        "tocsin_limit_used_ratio",
        "gauge",
        "How much of a limit is used, by the setting: of one for each principal or address, by who uses most of theirs.",
        RIGHTS,
        _limits_used,
        {"limit": LIMITS},
    ),
    Family(
        "tocsin_access_refused_total",
        "counter",
        "Requests refused for their credentials, or for want of a right.",
        RIGHTS,
        lambda s: s.hub.counters.refused,
        {"reason": counters.REFUSAL_REASONS},
    ),
    Family(
        "tocsin_streams_expiring",
        "gauge",
        "Open streams that end within ten minutes, as their readers' credentials do.",
        RIGHTS,
        lambda s: s.hub.streams_expiring,
    ),
    Family(
        "tocsin_key_expires_seconds",
        "gauge",
        "Until the next API key expires; 0 where none does.",
        RIGHTS,
        _key_expires,
    ),
    Family(
        "tocsin_event_loop_stalled_seconds_total",
        "counter",
        "Seconds in which the event loop did nothing of what was due, in stalls of over 100 ms.",
        PROCESS,
        lambda s: s.hub.counters.loop_stalled_s,
    ),
    Family(
        "tocsin_event_loop_lag_seconds",
        "histogram",
        "How late a call was that is due every 250 ms.",
        PROCESS,
        lambda s: s.hub.counters.loop_lag_s,
    ),
    Family(
        "tocsin_http_requests_total",
        "counter",
        "HTTP requests answered; streams are counted as streams.",
        PROCESS,
        lambda s: s.requests,
        {"handler": (), "method": (), "code": ()},
    ),
    Family(
        "tocsin_http_lane_requests_total",
        "counter",
        "The same by lane: `fast` is for plain HTTP, `tornado` for what is odd in it, and costs five times as much.",
        PROCESS,
        lambda s: s.lanes,
        {"lane": ("fast", "tornado")},
    ),
    Family(
        "tocsin_scrape_duration_seconds",
        "gauge",
        "How long the previous scrape took to build; 0 before the first.",
        PROCESS,
        lambda s: s.hub.counters.scrape_s,
    ),
    Family(
        "tocsin_log_messages_total",
        "counter",
        "Log records, also those not written.",
        PROCESS,
        lambda s: logs.RECORDS,
        {"level": logs.LEVELS},
    ),
    Family(
        "tocsin_log_lines_dropped_total",
        "counter",
        "Log lines not written: too many alike, no room, or nobody reads them.",
        PROCESS,
        lambda s: sum(logs.UNWRITTEN.values()),
    ),
    Family(
        "tocsin_build_info",
        "info",
        "The versions of what runs.",
        PROCESS,
        _build,
        {"version": (), "python": (), "tornado": ()},
    ),
)
