"""The dashboard, from its rows to the file that Grafana loads: `python -m grafana.dashboard`.

The file is committed, so that an operator needs nothing of this; a test compares. The schema is the
classic one, version 39, which every Grafana from 11.0 on reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from grafana.audience import CLIENTS, HISTORY, SLOW_CLIENTS
from grafana.inside import HTTP, JOURNAL, PROCESS, RIGHTS
from grafana.panel import DATASOURCE, Json, Panel, Query
from grafana.traffic import DELIVERY, OVERVIEW, PUBLISH

FILE = Path(__file__).parent / "dashboards" / "tocsin.json"

COLUMNS = 24

RUNBOOKS = "https://example.com/tocsin/monitoring.md"
"""Where docs/monitoring.md is to be read: `tocsin monitoring` puts the operator's own address there."""

GRAFANAS_MARKS: Json = {
    "name": "Annotations & Alerts",
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "type": "dashboard",
}
"""Those that people set by hand. Grafana adds them to a dashboard that doesn't have them."""

ROWS: dict[str, tuple[bool, list[Panel]]] = {
    "Overview": (True, OVERVIEW),
    "Publish": (True, PUBLISH),
    "Delivery": (True, DELIVERY),
    "Clients": (False, CLIENTS),
    "Slow clients": (False, SLOW_CLIENTS),
    "Replay and history": (False, HISTORY),
    "HTTP": (False, HTTP),
    "Journal and nodes": (False, JOURNAL),
    "Rights and limits": (False, RIGHTS),
    "Process": (False, PROCESS),
}
"""Title to whether it is open, and its panels. Grafana asks nothing for a row that is closed."""


def dashboard() -> Json:
    """The whole dashboard."""
    return {
        "uid": "tocsin",
        "title": "Tocsin",
        "description": "Do clients get their events in time, and does anybody lose some?",
        "tags": ["tocsin"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "refresh": "30s",
        "weekStart": "",
        "fiscalYearStartMonth": 0,
        "links": [],
        "templating": {"list": list(variables())},
        "annotations": {"list": list(marks())},
        "panels": list(panels()),
    }


def panels() -> Iterator[Json]:
    """All rows and panels in their places. A closed row holds its panels."""
    top = 0
    numbers = iter(range(1, 1_000))  # of rows; panels have theirs
    for title, (is_open, members) in ROWS.items():
        row = {
            "id": next(numbers),
            "type": "row",
            "title": title,
            "collapsed": not is_open,
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
        }
        placed = [
            {**panel.to_json(), "gridPos": place}
            for panel, place in zip(members, places(members, top + 1), strict=True)
        ]
        yield row | {"panels": [] if is_open else placed}
        if is_open:
            yield from placed
            top = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in placed)
        else:
            top += 1


def places(members: Sequence[Panel], top: int) -> Iterator[Json]:
    """Where each panel goes: left to right, and on below the tallest of a line that is full."""
    left = tallest = 0
    for panel in members:
        if left + panel.width > COLUMNS:
            top += tallest
            left = tallest = 0
        yield {"x": left, "y": top, "w": panel.width, "h": panel.height}
        left += panel.width
        tallest = max(tallest, panel.height)


def variables() -> Iterator[Json]:
    """What is chosen at the top. All is every value there is: `.+` would take in other programs' `up`."""
    always = {"regex": "", "options": [], "hide": 0, "skipUrlSync": False}
    yield {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        **always,
    }
    yield {
        "name": "runbooks",
        "label": "Where the runbook is",
        "type": "constant",
        "query": RUNBOOKS,
        "current": {"selected": False, "text": RUNBOOKS, "value": RUNBOOKS},
        **always,
        "hide": 2,  # it is no choice
        "skipUrlSync": True,
    }
    choices = {
        "job": ("Job", "label_values(tocsin_build_info, job)"),
        "instance": ("Hub", 'label_values(tocsin_build_info{job=~"$job"}, instance)'),
    }
    for name, (label, query) in choices.items():
        yield {"name": name, "label": label, **_choice(query), **always}


def _choice(query: str) -> Json:
    """A variable of the values that `query` finds in the time shown; at first, all of them."""
    return {
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {
            "qryType": 1,  # label values
            "query": query,
            "refId": "PrometheusVariableQueryEditor-VariableQuery",
        },
        "sort": 1,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
    }


def marks() -> Iterator[Json]:
    """What is marked over every drawing: starts, new versions, alerts."""
    yield GRAFANAS_MARKS
    yield _mark(
        "Starts",
        "blue",
        Query("changes(process_start_time_seconds{*}[*]) > 0"),
        "{{instance}} started",
        "instance",
    )
    yield _mark(
        "Versions",
        "purple",
        Query(
            "count by (version) (tocsin_build_info{*})"
            " unless count by (version) (tocsin_build_info{*} offset $__rate_interval)"
        ),
        "version {{version}}",
        "version",
    )
    yield _mark(
        "Alerts",
        "red",
        Query('ALERTS{alertname=~"Tocsin.+",alertstate="firing",job=~"$job"}'),
        "{{alertname}} {{instance}}",
        "severity",
    )


def _mark(name: str, colour: str, query: Query, title: str, tags: str) -> Json:
    """Marks where `query` has a value. Grafana 11 reads the query twice: from here and from `target`."""
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "expr": query.promql,
        "titleFormat": title,
        "tagKeys": tags,
        "target": {"refId": name, "expr": query.promql, "legendFormat": title, "range": True},
    }


def rendered() -> str:
    """The file's text."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(rendered(), encoding="utf-8")
