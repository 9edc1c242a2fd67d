"""The rows that are open: the hub at a glance, what comes in, what goes out."""

from __future__ import annotations

from grafana.kinds import Gauge, Heatmap, Lines, Stat, Trend
from grafana.panel import Panel, Query
from grafana.queries import buckets, counted, quantiles, rates, share

IN_TIME = share(
    'tocsin_delivery_latency_seconds_bucket{*,le="0.25"}',
    "tocsin_delivery_latency_seconds_count{*}",
    "in time",
)

OVERVIEW: list[Panel] = [
    Stat(
        "Do clients get their events in time?",
        "The share of deliveries that reached their socket within 250 ms of the event's receipt, those to clients that"
        " lag too; the objective is 99.9 %. Where it is less, look at the row Delivery, then at Slow clients and at the"
        " event loop (row Process).",
        [IN_TIME],
        "percentunit",
        empty="nothing delivered",
        steps={"red": None, "orange": 0.99, "green": 0.999},
        colour="background",
        decimals=2,
        width=6,
    ),
    Stat(
        "Does anybody lose events?",
        "Gaps that clients were told of in the range shown: they came back too late for the history. And streams"
        " cut as too slow: they lose nothing if they come back in time. Where gaps are told, look at the row"
        " Replay and history; a larger history helps.",
        [
            counted("tocsin_gaps_total{*}", "gaps told"),
            counted('tocsin_streams_closed_total{*,reason="slow"}', "cut as too slow"),
        ],
        "short",
        words={"none": (None, 0)},
        steps={"green": None, "red": 1},
        colour="background",
        decimals=0,
        width=6,
        alerts=("TocsinEventsLost",),
    ),
    Stat(
        "Does it work end to end?",
        "On what share of the hubs the canary, an event published and received over a real connection, came back"
        " within its last three runs. A hub that isn't up counts as one where it did not. Where it isn't all of them,"
        " publish an event by hand and read it with curl.",
        [
            Query(
                "(sum(tocsin_canary_age_seconds{*} <= bool (3 * tocsin_canary_interval_seconds{*} + 5)"
                " and tocsin_canary_interval_seconds{*} > 0) or vector(0))"
                " / (count(up{*}) - (count(tocsin_canary_interval_seconds{*} == 0) or vector(0)) > 0)",
                "of the hubs",
            )
        ],
        "percentunit",
        empty="the canary is off",
        words={"yes": (1, 1)},
        steps={"red": None, "green": 1},
        colour="background",
        decimals=0,
        width=6,
        alerts=("TocsinCanaryFailing",),
    ),
    Stat(
        "Is any alert firing?",
        "Tocsin's alerts that fire now, of the jobs chosen. Their names and what to do are in Prometheus under /alerts and"
        " in docs/monitoring.md.",
        [
            Query(
                'count(ALERTS{alertname=~"Tocsin.+",alertstate="firing",job=~"$job"}) or vector(0)',
                "firing",
            )
        ],
        "short",
        words={"none": (None, 0)},
        steps={"green": None, "red": 1},
        colour="background",
        decimals=0,
        width=6,
    ),
    Stat(
        "How many hubs are up?",
        "The hubs that answered the last scrape, and those that Prometheus knows. Fewer up than known: see"
        " TocsinDown in docs/monitoring.md.",
        [Query("sum(up{*})", "up"), Query("count(up{*})", "known")],
        "none",
        steps={"red": None, "green": 1},
        alerts=("TocsinDown", "TocsinAbsent"),
    ),
    Trend(
        "How many clients are connected?",
        "Open event streams, of all hubs chosen. A sudden drop is a hub or a proxy; see the row Clients for why"
        " streams end.",
        [Query("sum(tocsin_clients{*})", "clients")],
        "short",
        decimals=0,
    ),
    Gauge(
        "How full is the fullest hub?",
        "Open streams against the most it takes (max_clients, or the descriptor limit). Beyond it clients are"
        " told to come back later: raise the limit or add a hub.",
        [Query("max(tocsin_clients{*} / tocsin_clients_limit{*})", "of the limit")],
        "percentunit",
        steps={"green": None, "orange": 0.8, "red": 0.95},
        alerts=("TocsinClientsNearLimit",),
    ),
    Trend(
        "How many events come in?",
        "Events accepted a second, each by one hub. Where it is less than publishers send, look at what is refused (row"
        " Publish).",
        [Query("sum(rate(tocsin_events_published_total{*}[*]))", "events")],
        "ops",
    ),
    Trend(
        "How many deliveries go out?",
        "Events handed to sockets a second: what comes in, times the clients that it is for, and replays.",
        [Query("sum(rate(tocsin_events_delivered_total{*}[*]))", "deliveries")],
        "ops",
    ),
    Stat(
        "How long ago was the last event?",
        "Is it quiet, or broken? The age of the newest event of all hubs. Longer than your publishers ever pause:"
        " ask them, and look at what is refused.",
        [Query("time() - max(tocsin_last_event_timestamp_seconds{*} > 0)", "ago")],
        "s",
        empty="none yet",
    ),
]

PUBLISH: list[Panel] = [
    Lines(
        "Who publishes?",
        "Events accepted a second, by source. A source that stops is a publisher to look after.",
        rates("tocsin_events_published_total", "source"),
        "ops",
        stacked=True,
    ),
    Lines(
        "Which types of events come in?",
        "Events accepted a second, by type: the first types seen by name, the rest as other. A type that you don't"
        " know is a publisher that you don't know.",
        rates("tocsin_events_published_by_type_total", "type"),
        "ops",
        stacked=True,
    ),
    Lines(
        "What is refused, and why?",
        "Publish requests refused a second. invalid, too_large and unsupported are the publisher's fault (its"
        " answer says what); unavailable is ours: look at the journal, or whether a hub is stopping. Those asked for"
        " again under a known idempotency key are answered, and nothing is published. What a hook didn't find fell back: its mapping"
        " doesn't fit what is sent.",
        [
            *rates("tocsin_publish_rejected_total", "reason"),
            Query("sum(rate(tocsin_publish_duplicates_total{*}[*]))", "asked for again"),
            Query(
                "sum by (field) (rate(tocsin_hook_fallbacks_total{*}[*]))", "hook without {{field}}"
            ),
            Query("sum(rate(tocsin_hook_left_out_total{*}[*]))", "left out of a hook"),
        ],
        "ops",
    ),
    Lines(
        "How long does a publisher wait?",
        "From a publish request's arrival to its answer. If it grows, look at the journal's commits and at the"
        " event loop (row Process).",
        quantiles("tocsin_publish_duration_seconds", 0.5, 0.95, 0.99),
        "s",
    ),
    Lines(
        "How large are events?",
        "The size of accepted events. Large ones fill the history sooner and slow clients down: send a reference"
        " rather than the thing.",
        quantiles("tocsin_event_size_bytes", 0.5, 0.99),
        "bytes",
    ),
    Lines(
        "How many topics end?",
        "Topics that a final event ended a second, and how many of them are remembered: nothing is taken for those. When that"
        " reaches ended_topics, the oldest are open again.",
        [
            Query("max(rate(tocsin_topics_ended_total{*}[*]))", "ended a second"),
            Query("max(tocsin_ended_topics{*})", "remembered"),
        ],
        "short",
    ),
]

DELIVERY: list[Panel] = [
    Lines(
        "Is the objective kept?",
        "The share of deliveries within 250 ms, and the objective that the alerts measure against"
        " (tocsin:delivery_objective:ratio in rules.yml). Below the line the error budget is being spent.",
        [
            IN_TIME,
            Query("max(tocsin:delivery_objective:ratio)", "limit: the objective"),
        ],
        "percentunit",
        highest=1,
        empty="nothing delivered",
        alerts=(
            "TocsinDeliverySlowFastBurn",
            "TocsinDeliverySlowSlowBurn",
            "TocsinDeliverySlowDayBurn",
            "TocsinDeliverySlowThreeDayBurn",
        ),
    ),
    Lines(
        "How much of the error budget is left?",
        "What may still be late of the deliveries of 30 days, as far back as Prometheus keeps: 100 % is all of it. At 0"
        " the objective is missed, below it by how much: put off what can wait, and look after what makes them late.",
        [Query('job:tocsin_delivery_budget_left:ratio{job=~"$job"}', "{{job}}")],
        "percentunit",
        lowest=None,
        empty="nothing delivered",
    ),
    Lines(
        "How late do events reach clients?",
        "From an event's receipt to its bytes in the client's socket, over all deliveries. If only the 99 %"
        " line is high, few clients or bursts are late; if the median is, the hub is overloaded.",
        quantiles("tocsin_delivery_latency_seconds", 0.5, 0.95, 0.99),
        "s",
        empty="nothing delivered",
    ),
    Heatmap(
        "How is the delay spread?",
        "The same delays by bucket. A second band above the first is a group of clients that is served last, or a"
        " pause that all wait for, such as garbage collection.",
        buckets("tocsin_delivery_latency_seconds"),
        "s",
        empty="nothing delivered",
    ),
    Lines(
        "What goes out, live and replayed?",
        "Events handed to sockets a second: live; catchup, to clients that lagged; replay, to clients that came back."
        " Much catchup: see Slow clients. Much replay: clients come back often.",
        rates("tocsin_events_delivered_total", "kind"),
        "ops",
        stacked=True,
    ),
    Lines(
        "How long until everybody has an event?",
        "One fan-out, from the first to the last client. It grows with the number of clients; near 250 ms it is time"
        " for another hub.",
        quantiles("tocsin_fanout_duration_seconds", 0.5, 0.99),
        "s",
        empty="nothing delivered",
    ),
    Lines(
        "How many clients is an event for?",
        "The mean number of open streams, of all hubs, whose filter took an event. Deliveries are this times the events.",
        [
            share(
                "tocsin_fanout_recipients_sum{*}",
                "tocsin_events_published_total{*}",
                "clients an event",
            )
        ],
        "short",
        empty="nothing published",
    ),
    Lines(
        "How many events are for nobody?",
        "The share of events that no open stream of a hub took; where hubs share a log, the mean over them. If it should"
        " be none, compare the topics that are published with those that are subscribed to.",
        [
            share(
                'tocsin_fanout_recipients_bucket{*,le="0.0"}',
                "tocsin_fanout_recipients_count{*}",
                "for nobody",
            )
        ],
        "percentunit",
        highest=1,
        empty="nothing published",
    ),
    Lines(
        "How much bandwidth goes out?",
        "Bytes to sockets a second. Where it nears the network's limit, clients lag: shorten events, or add a hub.",
        rates("tocsin_sent_bytes_total", "kind"),
        "Bps",
        stacked=True,
    ),
    Lines(
        "How long is the canary on its way?",
        "An event published and received over a real connection every few seconds. If it takes long while delivery"
        " is quick, it is publishing that is slow.",
        quantiles("tocsin_canary_latency_seconds", 0.5, 0.99),
        "s",
        empty="the canary is off",
        width=12,
    ),
    Lines(
        "Do canary runs fail?",
        "Runs a second by outcome. Failed ones are logged with the reason; see TocsinCanaryFailing.",
        rates("tocsin_canary_runs_total", "outcome"),
        "ops",
        width=12,
    ),
]
