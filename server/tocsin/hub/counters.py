"""The hub's plain integers. Metrics, stats and the page read the same numbers.

An integer add costs 25 ns where a metric object's `inc()` costs 350; a collector turns the integers
into metrics when somebody asks.

Nothing is lost silently, in numbers: an event counts one *recipient* for each stream that is open and
asked for it. Each of these is later counted once more, as delivered `live` (by a fan-out pass), as
delivered `catchup` (the stream lagged, and read it from the ring) or as undelivered (the stream closed
first). Delivered is what the socket took to the last byte. So recipients = live + catchup + undelivered + what
lagging streams are still to get. `replay` is apart: it is what was published before the stream opened.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from tocsin.core.event import Draft, Event
from tocsin.eventlog.resume import Resume

CLOSE_REASONS = (
    "client",
    "slow",
    "shutdown",
    "journal",
    "error",
    "age",
    "expired",
    "revoked",
    "operator",
    "ended",
)
REJECT_REASONS = (
    *("full", "draining", "patterns", "principal", "address", "no_key_set", "invalid", "forbidden"),
    "ended",
)
PUBLISH_REJECT_REASONS = (
    *("invalid", "too_large", "unsupported", "forbidden", "rate_limited", "ended", "unavailable"),
)
REFUSAL_REASONS = (
    "malformed",  # credentials that are none: another scheme, no token
    "unknown",  # a key that isn't in the file, a token that no known key signed
    "invalid",  # a signature, an audience or an issuer that is wrong
    "expired",
    "misplaced",  # a ticket where it is good for nothing
    "origin",  # a cookie that a page of another origin had sent along
    "publish",  # no right to do it: of who said who they are, or said nothing
    "subscribe",
    "end",
    "admin",
    "session",  # nothing that could be changed for a session or a ticket
)
"""Why requests are refused for their credentials, or for want of a right."""

GAP_REASONS = ("evicted", "restart", "unknown")
SOURCES = ("api", "simulation", "other")
DELIVERY_KINDS = ("live", "catchup", "replay")
BYTE_KINDS = ("event", "heartbeat", "control")
READ_OUTCOMES = ("ok", "failed")
CANARY_OUTCOMES = ("ok", "failed")
HOOK_FALLBACKS = ("each", "type", "topic", "message", "severity", "data", "size")
JOURNAL_RESETS = ("new_log", "hole")
"""Why all streams had to resume: another log began, or events were trimmed before this hub read them."""
TYPES = ("user_joined", "message_received", "system_alert", "data_updated", "notification")
MAX_TYPES = 32
"""Event types that are counted by name, the five above included; later ones count as `other`."""

RATE_WINDOW_S = 10
SETTLE_EVERY = 256
"""Published events after which the histograms are settled: 0.2 ms at a time, and never a long pause."""

DELIVERY_BOUNDS_S = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1, 2.5, 5),
    *(10, 30, 60, 300),
)
"""Close around the objective, 0.25 s, and up to what a client that reads slowly is late by."""

LATENCY_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
DURATION_BOUNDS_S = (1, 10, 30, 60, 300, 1_800, 3_600, 14_400, 86_400)
COUNT_BOUNDS = (0, 1, 10, 100, 1_000, 10_000, 100_000)
SIZE_BOUNDS = (256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576)


class Histogram:
    """Counts by bucket; `bounds` are the inclusive upper ends, the last bucket has none.

    What is observed one by one is only written down, and sorted into the buckets when somebody asks or
    `settle` is called: a list's own append costs a third of a search among the bounds, which by the next
    request are cold memory again.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._unsorted: list[float] = []
        self.observe: Callable[[float], None] = self._unsorted.append
        """Count a value."""
        self.observe_each: Callable[[Iterable[float]], None] = self._unsorted.extend
        """Count each of some values."""

    @property
    def counts(self) -> Sequence[int]:
        """How many values each bucket holds."""
        self.settle()
        return self._counts

    @property
    def sum(self) -> float:
        """The sum of all values."""
        self.settle()
        return self._sum

    def settle(self) -> None:
        """Sort in what was observed; to be called now and then, as until then each value takes memory."""
        values = self._unsorted
        values.sort()  # so that there is a search for each bound, and not for each of hundreds of values
        before = 0
        for bucket, bound in enumerate(self.bounds):
            until = bisect_right(values, bound, before)
            self._counts[bucket] += until - before
            before = until
        self._counts[-1] += len(values) - before
        self._sum += sum(values)
        values.clear()

    def observe_times(self, value: float, weight: int) -> None:
        """Count `value`, `weight` times."""
        self._counts[bisect_left(self.bounds, value)] += weight
        self._sum += value * weight

    def observe_since(self, now: float, times: Sequence[float], weight: int) -> None:
        """Count how long ago each of `times`, which ascend, was, `weight` times; 0 if the clock was set back.

        A look for each bucket from the newest's to the oldest's, not for each time: hundreds of events of
        one burst fall into two or three.
        """
        counts, bounds = self._counts, self.bounds
        left = len(times)
        bucket = bisect_left(bounds, now - times[-1])
        last = bisect_left(bounds, now - times[0])
        while bucket < last:
            older = bisect_left(times, now - bounds[bucket], 0, left)
            counts[bucket] += (left - older) * weight
            left = older
            bucket += 1
        counts[last] += left * weight
        if now < times[-1]:
            times = [min(time, now) for time in times]
        self._sum += weight * (now * len(times) - sum(times))  # to 10 us or so, in Unix time

    def quantile(self, share: float) -> float | None:
        """The bound below which `share` of the values lie; None without values, or above all bounds."""
        counts = self.counts
        wanted = share * sum(counts)
        for bound, count in zip(self.bounds, counts, strict=False):
            wanted -= count
            if wanted <= 0 < sum(counts):
                return bound
        return None


class Counters:
    """What has happened since the process began. Every known label value is there, at 0."""

    def __init__(self) -> None:
        self._count_publishing()
        self._count_streams()
        self._count_work()
        self._unsettled = 0
        self._histograms = [each for each in vars(self).values() if isinstance(each, Histogram)]
        self._samples: deque[tuple[float, int, int]] = deque(maxlen=RATE_WINDOW_S + 1)

    def _count_publishing(self) -> None:
        self.published = dict.fromkeys(SOURCES, 0)
        self.published_by_type = dict.fromkeys((*TYPES, "other"), 0)
        self.log_events = 0
        self.published_again = 0
        self.topics_ended = 0
        self.hook_fallbacks = dict.fromkeys(HOOK_FALLBACKS, 0)
        self.hook_left_out = 0
        self.refused = dict.fromkeys(REFUSAL_REASONS, 0)
        self.publish_rejected = dict.fromkeys(PUBLISH_REJECT_REASONS, 0)
        self.publish_s = Histogram(LATENCY_BOUNDS_S)
        self.event_bytes = Histogram(SIZE_BOUNDS)
        self.last_event_time = 0.0
        self.recipients = Histogram(COUNT_BOUNDS)
        self.journal_commit_s = Histogram(LATENCY_BOUNDS_S)
        self.journal_errors = 0
        self.history_read_events = 0
        self.history_reads = dict.fromkeys(READ_OUTCOMES, 0)
        self.history_read_s = Histogram(LATENCY_BOUNDS_S)
        self.journal_resets = dict.fromkeys(JOURNAL_RESETS, 0)

    def _count_streams(self) -> None:
        self.delivered_live = 0
        self.delivered_catchup = 0
        self.delivered_replay = 0
        self.undelivered = dict.fromkeys(CLOSE_REASONS, 0)
        self.latency_s = Histogram(DELIVERY_BOUNDS_S)
        self.fanout_s = Histogram(LATENCY_BOUNDS_S)
        self.sent_bytes = dict.fromkeys(BYTE_KINDS, 0)
        self.heartbeats = 0
        self.opened = {"new": 0, "resumed": 0}
        self.closed = dict.fromkeys(CLOSE_REASONS, 0)
        self.rejected = dict.fromkeys(REJECT_REASONS, 0)
        self.resumes = {"complete": 0, "gap": 0}
        self.gaps = dict.fromkeys(GAP_REASONS, 0)
        self.durations_s = Histogram(DURATION_BOUNDS_S)
        self.replayed = Histogram(COUNT_BOUNDS)

    def _count_work(self) -> None:
        self.loop_lag_s = Histogram(LATENCY_BOUNDS_S)
        self.loop_stalled_s = 0.0
        self.scrape_s = 0.0
        self.canary_s = Histogram(LATENCY_BOUNDS_S)
        self.canary_runs = dict.fromkeys(CANARY_OUTCOMES, 0)
        self.canary_last_success = 0.0
        self.canary_since = 0.0  # its last success or its start, by the machine's monotonic clock
        self.canary_interval_s = 0.0

    @property
    def delivered(self) -> int:
        """Events handed to sockets, of whatever kind."""
        return self.delivered_live + self.delivered_catchup + self.delivered_replay

    def count_published(
        self, events: Sequence[Event], sizes: Sequence[int], recipients: Sequence[int]
    ) -> None:
        """`events` entered the log, whoever published them: of each its encoded bytes, and for how many open streams it is."""
        self.log_events += len(events)
        self.last_event_time = events[-1].time
        self.event_bytes.observe_each(sizes)
        self.recipients.observe_each(recipients)
        self._unsettled += len(events)
        if self._unsettled >= SETTLE_EVERY:
            self._settle()

    def count_accepted(self, drafts: Iterable[Draft]) -> None:
        """Count `drafts`, which this process took, and which are in the log now."""
        by_source, by_type = self.published, self.published_by_type
        kinds: dict[tuple[str, str], int] = {}
        for draft in drafts:
            kind = (draft.source, draft.type)
            kinds[kind] = kinds.get(kind, 0) + 1
        for (source, type), count in kinds.items():
            by_source[source if source in by_source else "other"] += count
            by_type[type if type in by_type else self._name_for(type)] += count

    def _settle(self) -> None:
        self._unsettled = 0
        for histogram in self._histograms:
            histogram.settle()

    def _name_for(self, type: str) -> str:
        """What events of a type not seen before count as: itself, while there is room."""
        if len(self.published_by_type) > MAX_TYPES:
            return "other"
        self.published_by_type[type] = 0
        return type

    def count_live(self, streams: int, events: int, size: int) -> None:
        """Each of `streams` took `events` in `size` bytes as a pass sent them."""
        self.delivered_live += streams * events
        self.sent_bytes["event"] += streams * size

    def count_late(self, events: int, size: int, now: float, times: Sequence[float]) -> None:
        """A stream has taken `events` in `size` bytes that a pass sent it before; `now` and `times` as for `count_read`."""
        self.count_live(1, events, size)
        self.latency_s.observe_since(now, times, 1)

    def count_read(
        self, events: int, live: int, size: int, now: float, times: Sequence[float]
    ) -> None:
        """A stream has taken `events` from the log, `live` of them published since it opened.

        Args:
            events: how many.
            live: how many of them, the last ones, were meant for it when they were published.
            size: of all, in bytes.
            now: Unix time.
            times: since when the hub had them, ascending.
        """
        self.delivered_catchup += live
        self.delivered_replay += events - live
        if live:
            self.latency_s.observe_since(now, times[-live:], 1)
        self.sent_bytes["event"] += size

    def count_opened(self, is_resumed: bool) -> None:
        """A stream opened; `is_resumed`: its client named an id."""
        self.opened["resumed" if is_resumed else "new"] += 1

    def count_resumed(self, resume: Resume) -> None:
        """A stream was told that it begins there. What is replayed counts when it is known."""
        if resume.resumed:
            self.resumes["gap" if resume.gap else "complete"] += 1
            if resume.replayed is not None:
                self.replayed.observe(resume.replayed)
        if resume.gap:
            self.gaps[resume.gap.reason] += 1

    def count_closed(self, reason: str, duration_s: float, undelivered: int) -> None:
        """A stream closed after `duration_s`, before it got `undelivered` events meant for it."""
        self.closed[reason] += 1
        self.durations_s.observe(duration_s)
        self.undelivered[reason] += undelivered

    def sample(self, now: float) -> None:
        """Note the totals for the rates, and settle; to be called about once a second."""
        self._settle()
        self._samples.append((now, self.log_events, self.delivered))

    def rates(self) -> dict[str, float]:
        """Events published and delivered a second, over the last ten seconds."""
        if len(self._samples) < 2:
            return {"published": 0.0, "delivered": 0.0}
        (then, published, delivered), (now, *newest) = self._samples[0], self._samples[-1]
        span = now - then
        return {
            "published": round((newest[0] - published) / span, 3),
            "delivered": round((newest[1] - delivered) / span, 3),
        }
