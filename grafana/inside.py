"""The rows for whoever looks after the process: its requests, its loop, its journal, its resources."""

from __future__ import annotations

from grafana.kinds import Lines, States, Table
from grafana.panel import Panel, Query
from grafana.queries import quantiles, rates, share

HTTP: list[Panel] = [
    Lines(
        "Which requests come in?",
        "Requests answered a second, by handler; streams are counted as streams. pages is the dashboard, metrics is"
        " Prometheus.",
        rates("tocsin_http_requests_total", "handler"),
        "reqps",
        width=8,
    ),
    Lines(
        "How are they answered?",
        "Answers a second, by status. 4xx is the caller's fault and its answer says which; 5xx is ours, and logged.",
        rates("tocsin_http_requests_total", "code"),
        "reqps",
        width=8,
    ),
    Lines(
        "Which lane do they take?",
        "Answers a second, by lane. fast is plain HTTP; tornado is what is odd in it (chunked bodies, Expect), costs"
        " five times as much, and is rare: if it grows, look at what a proxy or a client sends.",
        rates("tocsin_http_lane_requests_total", "lane"),
        "reqps",
        width=8,
    ),
    Lines(
        "What share fails on our side?",
        "5xx of all answers. Above 1 % for five minutes TocsinHttpErrors fires; 503 is a hub that stops or a journal"
        " that is down, 500 is a bug with a traceback in the log.",
        [
            share(
                'tocsin_http_requests_total{*,code=~"5.."}',
                "tocsin_http_requests_total{*}",
                "5xx",
            )
        ],
        "percentunit",
        empty="0 %",
        width=24,
        height=6,
        alerts=("TocsinHttpErrors",),
    ),
]

PROCESS: list[Panel] = [
    Lines(
        "Is the event loop held up?",
        "How late a callback runs that is due now. All streams share one loop: above 100 ms they all wait. Look for"
        " bursts, then for CPU, then add a hub.",
        quantiles("tocsin_event_loop_lag_seconds", 0.5, 0.99),
        "s",
        alerts=("TocsinEventLoopSaturated",),
    ),
    Lines(
        "For how long does the event loop stand still?",
        "The share of time in which the loop did nothing of what was due, in stalls of over 100 ms. The quantiles beside"
        " don't show it: a stall is one late turn. With the processor idle, something stopped the process: the machine"
        " (swap, a snapshot, a limit of its cgroup), or a disk.",
        [
            Query(
                "sum by (instance) (rate(tocsin_event_loop_stalled_seconds_total{*}[*]))",
                "{{instance}}",
            )
        ],
        "percentunit",
        alerts=("TocsinEventLoopStalled",),
    ),
    Lines(
        "How busy is the processor?",
        "CPU seconds a second; a hub uses one core, so 1 is all it can have.",
        [Query("rate(process_cpu_seconds_total{*}[*])", "{{instance}}")],
        "percentunit",
    ),
    Lines(
        "How much memory is used?",
        "Resident memory. The history (history_bytes) and some KiB a client explain it; what grows without them is a"
        " leak to report.",
        [Query("process_resident_memory_bytes{*}", "{{instance}}")],
        "bytes",
    ),
    Lines(
        "How many descriptors are open, and how many may be?",
        "A stream takes one. Near the limit raise it (ulimit -n, or LimitNOFILE in a systemd unit).",
        [
            Query("process_open_fds{*}", "{{instance}}"),
            Query("process_max_fds{*}", "limit of {{instance}}"),
        ],
        "short",
        alerts=("TocsinFileDescriptorsLow",),
    ),
    Lines(
        "What is logged, and is a line lost?",
        "Log records a second by level, and lines dropped because nobody read the log fast enough. Read the errors;"
        " give the log a faster reader.",
        [
            *rates("tocsin_log_messages_total", "level"),
            Query("sum(rate(tocsin_log_lines_dropped_total{*}[*]))", "lines dropped"),
        ],
        "ops",
    ),
    Lines(
        "How long does a scrape hold the loop?",
        "The time to build one answer of /metrics, during which no stream is served. Above 5 ms scrape less often.",
        [Query("max by (instance) (tocsin_scrape_duration_seconds{*})", "{{instance}}")],
        "s",
        width=12,
    ),
    Lines(
        "How often is garbage collected?",
        "Python's collections a second, by generation. Many of generation 2 with late deliveries: report it.",
        [
            Query(
                "sum by (generation) (rate(python_gc_collections_total{*}[*]))",
                "generation {{generation}}",
            )
        ],
        "ops",
        width=12,
    ),
    Lines(
        "How long has each hub been up?",
        "Since the process started. A saw-tooth is a crash loop; see TocsinCrashLooping.",
        [Query("time() - process_start_time_seconds{*}", "{{instance}}")],
        "s",
        alerts=("TocsinCrashLooping",),
        width=12,
    ),
    Table(
        "Which versions run?",
        "Hubs by version, Python and Tornado. More than one row for long: a deploy that didn't finish.",
        [Query("count by (version, python, tornado) (tocsin_build_info{*})")],
        "none",
        width=12,
    ),
]

JOURNAL: list[Panel] = [
    States(
        "Is each hub ready, and its journal up?",
        "ready is what load balancers ask (/readyz). Not ready with the journal up: it is stopping. Journal down:"
        " publishers get 503.",
        [
            Query("min by (instance) (tocsin_ready{*})", "{{instance}} ready"),
            Query("min by (instance) (tocsin_journal_up{*})", "{{instance}} journal"),
        ],
        "none",
        alerts=("TocsinJournalDown",),
    ),
    Lines(
        "How long does a commit take?",
        "From handing events to the journal until they are safe: publishers wait that long. With a journal on disk it"
        " is the disk's sync.",
        quantiles("tocsin_journal_commit_duration_seconds", 0.5, 0.99),
        "s",
        empty="nothing committed",
    ),
    Lines(
        "Does the journal fail?",
        "Failed commits a second. Each was answered with 503 and nothing was published; the log says why. And how often"
        " it was lost and found again, and all streams had to resume: a new log began in Redis, or events left it before the hub read them.",
        [
            Query("sum by (instance) (rate(tocsin_journal_errors_total{*}[*]))", "{{instance}}"),
            Query(
                "sum by (instance) (rate(tocsin_journal_reconnects_total{*}[*]))",
                "found again: {{instance}}",
            ),
            Query(
                "sum by (reason) (rate(tocsin_journal_resets_total{*}[*]))", "resumed: {{reason}}"
            ),
        ],
        "ops",
    ),
    Lines(
        "Is each node up to the log?",
        "Of a log that hubs share: the events that a hub has not read yet, as it last looked, and the seconds since. It"
        " looks once a second. One that stays behind reads too slowly, or can't reach Redis.",
        [
            Query("max by (instance) (tocsin_journal_tail_lag_events{*})", "events, {{instance}}"),
            Query(
                "max by (instance) (tocsin_journal_tail_age_seconds{*})", "seconds, {{instance}}"
            ),
        ],
        "short",
        alerts=("TocsinJournalTailLags",),
    ),
    Lines(
        "Do all hubs have the same log?",
        "Events a second by which each hub's log grows. Hubs that share one have the same line; each event is counted as"
        " published by one of them alone.",
        [Query("sum by (instance) (rate(tocsin_log_events_total{*}[*]))", "{{instance}}")],
        "ops",
    ),
    Lines(
        "How much room is left for the journal?",
        "What the journal's files take, and what is free on their disk. As it fills now, four hours may be left"
        " when the alert fires: keep less (history_events, history_bytes, history_age), or give it a larger disk.",
        [
            Query("max by (instance) (tocsin_journal_file_bytes{*})", "files of {{instance}}"),
            Query("max by (instance) (tocsin_journal_disk_free_bytes{*})", "free, {{instance}}"),
        ],
        "bytes",
        alerts=("TocsinJournalDiskFills",),
    ),
]

RIGHTS: list[Panel] = [
    Lines(
        "Who is refused for lack of a right?",
        "Requests refused a second, by reason: credentials that are no good, or a sender who may not do that. A few are"
        " somebody's mistake; many are a key that was changed at one end alone, or somebody who tries.",
        rates("tocsin_access_refused_total", "reason"),
        "reqps",
        width=12,
        empty="nobody was refused",
    ),
    Lines(
        "How near is anybody to a limit?",
        "How much of each limit is used; of one for each principal or address, by who uses most of theirs. At 100 % they"
        " are refused. Who it is stands in the log, and in /api/streams: raise the limit, or talk to them.",
        [Query("max by (limit) (tocsin_limit_used_ratio{*})", "{{limit}}")],
        "percentunit",
        highest=1,
        width=12,
        alerts=("TocsinLimitNear",),
    ),
    Lines(
        "Whose streams end soon?",
        "Open streams that end within ten minutes because their readers' credentials do. They come back with new ones;"
        " if the refusals for expired ones rise then, a program doesn't renew its own.",
        [Query("sum by (instance) (tocsin_streams_expiring{*})", "{{instance}}")],
        "short",
        width=12,
    ),
    Lines(
        "When does the next key expire?",
        "Until the next API key can't be used any more. `tocsin key list` says which one; make a new secret beside the"
        " old one, and change it where it is used.",
        [Query("min by (instance) (tocsin_key_expires_seconds{*} > 0)", "{{instance}}")],
        "s",
        width=12,
        empty="no key expires",
        alerts=("TocsinKeyExpires",),
    ),
]
