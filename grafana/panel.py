"""Panels as Grafana 11 stores them: what kind of drawing, which queries, what the colours mean.

A panel's title is the question that it answers, its description says what to do about the answer. Knows
nothing of Tocsin's metrics, and nothing of where on the dashboard a panel lands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

Json = dict[str, Any]
"""An object of the dashboard's JSON."""

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Query:
    """One query of a panel.

    Args:
        expr: PromQL, in which `*` in braces stands for the chosen hubs, and `[*]` for the range that
            suits the scrape interval.
        legend: text with labels in double braces.
    """

    expr: str
    legend: str = ""

    @property
    def promql(self) -> str:
        """The query as Grafana sends it, but for its variables."""
        return self.expr.replace("{*", '{job=~"$job",instance=~"$instance"').replace(
            "[*]", "[$__rate_interval]"
        )


@dataclass(frozen=True)
class Panel:
    """A drawing without its place.

    Args:
        steps: thresholds: a colour, and the value it begins at.
        alerts: the rules that fire on what it shows; it links to what is to be done then.
    """

    title: str
    description: str
    queries: Sequence[Query]
    unit: str
    width: int = 8
    height: int = 8
    empty: str = "no data yet"
    steps: Mapping[str, float | None] = field(default_factory=lambda: {"green": None})
    alerts: Sequence[str] = ()

    kind = ""
    format = "time_series"
    instant = False

    @property
    def id(self) -> int:
        """A number of its own that stays when panels move: alerts link to it."""
        return crc32(self.title.encode()) % 1_000_000 + 1_000

    def to_json(self) -> Json:
        """The panel, without `gridPos`."""
        return {
            "id": self.id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "links": [_runbook(alert) for alert in self.alerts],
            "targets": [self._target(query, "ABCDEF"[n]) for n, query in enumerate(self.queries)],
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "noValue": self.empty,
                    "thresholds": {
                        "mode": "absolute",
                        "steps": [{"color": c, "value": v} for c, v in self.steps.items()],
                    },
                    **self._defaults(),
                },
                "overrides": self._overrides(),
            },
            "options": self._options(),
        }

    def _target(self, query: Query, ref: str) -> Json:
        return {
            "refId": ref,
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": query.promql,
            "legendFormat": query.legend or "__auto",
            "format": self.format,
            "instant": self.instant,
            "range": not self.instant,
        }

    def _defaults(self) -> Json:
        """More of how each field is drawn."""
        return {}

    def _overrides(self) -> list[Json]:
        """How single fields are drawn otherwise."""
        return []

    def _options(self) -> Json:
        """The options of this kind of panel."""
        raise NotImplementedError


def _runbook(alert: str) -> Json:
    """A link to the paragraph that says what to do."""
    return {
        "title": f"What to do: {alert}",
        "url": f"${{runbooks}}#{alert.lower()}",
        "targetBlank": True,
    }
