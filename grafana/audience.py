"""The rows about those who listen: who they are, who is slow, who lost something."""

from __future__ import annotations

from grafana.kinds import Heatmap, Lines
from grafana.panel import Panel, Query
from grafana.queries import buckets, quantiles, rates, share

CLIENTS: list[Panel] = [
    Lines(
        "How many clients are connected, and how many may be?",
        "Open streams of each hub, and the most it takes. Near the limit raise max_clients and the descriptor limit,"
        " or add a hub; an uneven spread is the load balancer's.",
        [
            Query("sum by (instance) (tocsin_clients{*})", "{{instance}}"),
            Query("sum by (instance) (tocsin_clients_limit{*})", "limit of {{instance}}"),
            Query("sum by (instance) (tocsin_polls{*})", "long polls of {{instance}}"),
        ],
        "short",
        alerts=("TocsinMassDisconnect",),
    ),
    Lines(
        "Who comes, for the first time or back again?",
        "Streams opened a second. Many that resume without a deploy: something between hub and clients cuts streams.",
        rates("tocsin_streams_opened_total", "kind"),
        "cps",
        alerts=("TocsinReconnectStorm",),
    ),
    Lines(
        "Why do streams end?",
        "Streams closed a second. client: it left, or the network cut it. slow: it didn't read. shutdown: the hub"
        " stopped, and told it when to come back. journal: what it was to get next couldn't be read. error: a bug in"
        " the hub, which its log tells of.",
        rates("tocsin_streams_closed_total", "reason"),
        "cps",
    ),
    Lines(
        "Who is turned away, and why?",
        "Streams refused a second. full: raise the limit or add a hub. draining: a hub stops. invalid: a client asks"
        " for what isn't a topic or a type. long polls: requests to the history that were to wait, beyond max_polls.",
        [
            *rates("tocsin_streams_rejected_total", "reason"),
            Query("sum(rate(tocsin_polls_refused_total{*}[*]))", "long polls"),
        ],
        "cps",
        alerts=("TocsinStreamsRefused",),
    ),
    Heatmap(
        "How long do streams last?",
        "Closed streams by how long they were open. A band at 30 s or 60 s is a proxy's timeout: raise it above the"
        " heartbeat.",
        buckets("tocsin_stream_duration_seconds"),
        "s",
        empty="no stream ended",
    ),
    Lines(
        "Do heartbeats go out?",
        "Heartbeats a second. With n clients and one each 30 s it is n/30; less means that clients lag, none that"
        " proxies will cut quiet streams.",
        [Query("sum by (instance) (rate(tocsin_heartbeats_total{*}[*]))", "{{instance}}")],
        "ops",
    ),
]

SLOW_CLIENTS: list[Panel] = [
    Lines(
        "How many clients lag?",
        "Streams behind the newest event: their socket didn't take all. A few for moments is normal. Those without an"
        " event for over ten seconds, and many of them for long, are the network, or more events than clients can read.",
        [
            Query("sum by (instance) (tocsin_lagging_clients{*})", "{{instance}}"),
            Query("sum by (instance) (tocsin_lagging_long_clients{*})", "over 10 s, {{instance}}"),
        ],
        "short",
        width=12,
        alerts=("TocsinClientsLag",),
    ),
    Lines(
        "How far behind is the slowest?",
        "Events between the slowest client and the newest event, and what the history holds: a client that falls out"
        " of it is cut, comes back, and is told of a gap.",
        [
            Query("max by (instance) (tocsin_lag_events_max{*})", "{{instance}}"),
            Query("max by (instance) (tocsin_history_events{*})", "limit: history of {{instance}}"),
        ],
        "short",
        width=12,
    ),
    Lines(
        "How many are cut as too slow?",
        "Streams closed a second because nothing moved for slow_client_timeout, or their next events had left the"
        " history. They resume; whether they lost something is in the row below.",
        [
            Query(
                'sum by (instance) (rate(tocsin_streams_closed_total{*,reason="slow"}[*]))',
                "{{instance}}",
            )
        ],
        "cps",
        width=12,
        alerts=("TocsinSlowClientsCut",),
    ),
    Lines(
        "Who leaves before an event reaches them?",
        "Recipients a second whose stream closed before they got an event, by what closed it. They get it when they"
        " resume, if the history still holds it: compare with the gaps told.",
        rates("tocsin_events_undelivered_total", "reason"),
        "ops",
        width=12,
    ),
]

HISTORY: list[Panel] = [
    Lines(
        "Do clients that come back get everything?",
        "Streams a second that named their last event. complete: all they missed was replayed. gap: some of it was"
        " gone, and they were told.",
        rates("tocsin_resumes_total", "outcome"),
        "cps",
    ),
    Lines(
        "What share of returns is told of a gap?",
        "Above 5 % for five minutes TocsinReplayGaps fires. Compare how long clients are away with how far"
        " the history reaches.",
        [share('tocsin_resumes_total{*,outcome="gap"}', "tocsin_resumes_total{*}", "with a gap")],
        "percentunit",
        alerts=("TocsinReplayGaps",),
        highest=1,
        empty="nobody came back",
    ),
    Lines(
        "Why are gaps told?",
        "Gaps a second. evicted: the history is too short. restart: the log began anew with the process, as it does"
        " without a journal on disk. unknown: an id that this log never gave.",
        rates("tocsin_gaps_total", "reason"),
        "cps",
    ),
    Lines(
        "How many events does a return replay?",
        "Events replayed to a stream that resumes. Near the history's size, clients are away for longer than it"
        " reaches.",
        quantiles("tocsin_replayed_events", 0.5, 0.95),
        "short",
        empty="nobody came back",
    ),
    Lines(
        "How long may a client be away?",
        "The age of the oldest event kept, and the most that is kept where an age is set. Clients away for longer"
        " are told of a gap: raise the limit that pushes events out.",
        [
            Query(
                "time() - min by (instance) (tocsin_history_oldest_event_timestamp_seconds{*} > 0)",
                "{{instance}}",
            ),
            Query(
                "max by (instance) (tocsin_history_limit_age_seconds{*} > 0)",
                "limit of {{instance}}",
            ),
        ],
        "s",
        empty="the history is empty",
    ),
    Lines(
        "How full is the history?",
        "Events and bytes kept, each as a share of its limit. What is full first decides how far it reaches.",
        [
            Query(
                "max by (instance) (tocsin_history_events{*} / tocsin_history_limit_events{*})",
                "events, {{instance}}",
            ),
            Query(
                "max by (instance) (tocsin_history_bytes{*} / tocsin_history_limit_bytes{*})",
                "bytes, {{instance}}",
            ),
        ],
        "percentunit",
        highest=1,
    ),
    Lines(
        "Which limit pushes events out?",
        "Events that left the history a second, by the limit that made them. Raise that one for a longer reach, if"
        " memory allows. journal: what a journal keeps; the panel above says which of its limits binds.",
        rates("tocsin_history_evicted_total", "reason"),
        "ops",
        width=24,
        height=6,
    ),
    Lines(
        "What stays of topics though the history moved on?",
        "Events that keep_newest keeps, what they count of keep_newest_bytes, and how many a second are let go because"
        " all are more than that: their clients are told of a gap. Raise it, or keep fewer of each topic.",
        [
            Query("max by (instance) (tocsin_kept_newest_events{*})", "events, {{instance}}"),
            Query(
                "100 * max by (instance) (tocsin_kept_newest_bytes{*} / (tocsin_kept_newest_limit_bytes{*} > 0))",
                "% of the bytes, {{instance}}",
            ),
            Query(
                "sum by (instance) (rate(tocsin_kept_newest_evicted_total{*}[*]))",
                "let go a second, {{instance}}",
            ),
        ],
        "short",
        width=24,
        height=6,
    ),
    Lines(
        "How full is the window in memory?",
        "Events and bytes of the history that are in memory, each as a share of its limit. What is behind them is read"
        " from the journal, where there is one: see the panels beside and below.",
        [
            Query(
                "max by (instance) (tocsin_window_events{*} / tocsin_window_limit_events{*})",
                "events, {{instance}}",
            ),
            Query(
                "max by (instance) (tocsin_window_bytes{*} / tocsin_window_limit_bytes{*})",
                "bytes, {{instance}}",
            ),
        ],
        "percentunit",
        highest=1,
        width=12,
    ),
    Lines(
        "How many events are read behind the window?",
        "Events a second that the journal gave for streams and pages, as they had left the window in memory. Much of it"
        " for long: a larger window (window_events) would spare the disk.",
        [Query("sum by (instance) (rate(tocsin_history_read_events_total{*}[*]))", "{{instance}}")],
        "ops",
        width=12,
    ),
    Lines(
        "Who waits for the journal?",
        "Streams whose next events left the window, and are read from the journal. After an outage of many clients a"
        " peak is right; many for long means that the disk is slow, or the window too small for how clients return.",
        [Query("sum by (instance) (tocsin_history_waiting_clients{*})", "{{instance}}")],
        "short",
        width=12,
    ),
    Lines(
        "Do reads of the journal succeed?",
        "Reads a second, by their outcome. A failed one ends its streams, which come back a moment later; none should"
        " fail while the journal is up.",
        rates("tocsin_history_reads_total", "outcome"),
        "ops",
        width=12,
    ),
    Lines(
        "How many reads of the journal are under way?",
        "Seconds of reading in each second. Near 4 for long, as many as are made at once for streams, the journal is"
        " what returning clients wait for.",
        [
            Query(
                "sum by (instance) (rate(tocsin_history_read_duration_seconds_sum{*}[*]))",
                "{{instance}}",
            )
        ],
        "short",
        width=24,
        height=6,
    ),
    Lines(
        "How full is what is kept of each topic?",
        "The newest event of topics that outlives the history (keep_newest): how many, their bytes and the most they may"
        " take, and how many leave a second for want of room. If they leave, raise keep_newest_bytes.",
        [
            Query("max by (instance) (tocsin_kept_newest_events{*})", "events, {{instance}}"),
            Query("max by (instance) (tocsin_kept_newest_bytes{*})", "bytes, {{instance}}"),
            Query("max by (instance) (tocsin_kept_newest_limit_bytes{*})", "limit of {{instance}}"),
            Query(
                "sum by (instance) (rate(tocsin_kept_newest_evicted_total{*}[*]))",
                "leave a second, {{instance}}",
            ),
        ],
        "short",
        width=24,
        height=6,
    ),
]
