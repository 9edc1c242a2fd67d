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
        "Who is refused for lack of a right?",
        "Requests refused a second, by reason: credentials that are no good, or a sender who may not do that. A few are"
        " somebody's mistake; many are a key that was changed at one end alone, or somebody who tries.",
        rates("tocsin_access_refused_total", "reason"),
        "reqps",
        width=12,
        empty="nobody was refused",
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
        width=12,
    ),
]

PROCESS: list[Panel] = [
    Lines(
        "Is the event loop held up?",
        "How late a callback runs that is due now. All streams share one loop: above 100 ms they all wait. Look for"
        " bursts, then for CPU, then add a hub.",
        quantiles("tocsin_event_loop_lag_seconds", 0.5, 0.99),
        "s",
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
    ),
    States(
        "Is each hub ready, and its journal up?",
        "ready is what load balancers ask (/readyz). Not ready with the journal up: it is stopping. Journal down:"
        " publishers get 503; see TocsinJournalDown.",
        [
            Query("min by (instance) (tocsin_ready{*})", "{{instance}} ready"),
            Query("min by (instance) (tocsin_journal_up{*})", "{{instance}} journal"),
        ],
        "none",
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
        " all streams had to resume: a new log began in Redis, or events left it before the hub read them.",
        [
            Query("sum by (instance) (rate(tocsin_journal_errors_total{*}[*]))", "{{instance}}"),
            Query(
                "sum by (reason) (rate(tocsin_journal_resets_total{*}[*]))", "resumed: {{reason}}"
            ),
        ],
        "ops",
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
    ),
    Lines(
        "How long has each hub been up?",
        "Since the process started. A saw-tooth is a crash loop; see TocsinCrashLooping.",
        [Query("time() - process_start_time_seconds{*}", "{{instance}}")],
        "s",
    ),
    Table(
        "Which versions run?",
        "Hubs by version, Python and Tornado. More than one row for long: a deploy that didn't finish.",
        [Query("count by (version, python, tornado) (tocsin_build_info{*})")],
        "none",
    ),
]
