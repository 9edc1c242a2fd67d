"""The kinds of panel that the dashboard has, each with the options that Grafana 11 stores for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grafana.panel import Json, Panel

LIMIT = "limit"
"""How the legend of a series begins that is a limit: it is drawn as a dashed red line."""

PALETTE: Json = {"mode": "palette-classic"}


@dataclass(frozen=True)
class Stat(Panel):
    """One number, coloured by its thresholds, or one per query."""

    width: int = 4
    height: int = 5
    words: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    """What to say instead of a number within these bounds; None is open."""
    decimals: int | None = None
    colour: str = "value"

    kind = "stat"
    instant = True

    def _defaults(self) -> Json:
        mappings = [
            {
                "type": "range",
                "options": {"from": low, "to": high, "result": {"text": word, "index": n}},
            }
            for n, (word, (low, high)) in enumerate(self.words.items())
        ]
        more = {} if self.decimals is None else {"decimals": self.decimals}
        return {"mappings": mappings, "color": {"mode": "thresholds"}, **more}

    def _options(self) -> Json:
        return {
            "graphMode": "none",
            "colorMode": self.colour,
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
            "wideLayout": True,
            "showPercentChange": False,
            "percentChangeColorMode": "standard",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }


@dataclass(frozen=True)
class Trend(Stat):
    """One number over the line of its past."""

    instant = False

    def _options(self) -> Json:
        return super()._options() | {"graphMode": "area"}


@dataclass(frozen=True)
class Gauge(Panel):
    """A share of a limit, from 0 to 1."""

    width: int = 4
    height: int = 5

    kind = "gauge"
    instant = True

    def _defaults(self) -> Json:
        return {"min": 0, "max": 1, "color": {"mode": "thresholds"}}

    def _options(self) -> Json:
        return {
            "orientation": "auto",
            "showThresholdLabels": False,
            "showThresholdMarkers": True,
            "sizing": "auto",
            "minVizWidth": 75,
            "minVizHeight": 75,
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }


@dataclass(frozen=True)
class Lines(Panel):
    """Lines over time, with a table of their last and largest values. Limits are dashed."""

    stacked: bool = False
    highest: float | None = None
    """Where the axis ends; None is up to the data."""
    lowest: float | None = 0
    """Where it begins; the same."""

    kind = "timeseries"

    def _defaults(self) -> Json:
        top = {} if self.highest is None else {"max": self.highest}
        bottom = {} if self.lowest is None else {"min": self.lowest}
        custom = {
            "drawStyle": "line",
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "fillOpacity": 25 if self.stacked else 8,
            "gradientMode": "none",
            "showPoints": "never",
            "pointSize": 5,
            "spanNulls": False,
            "stacking": {"group": "A", "mode": "normal" if self.stacked else "none"},
            "thresholdsStyle": {"mode": "off"},
            "axisPlacement": "auto",
            "scaleDistribution": {"type": "linear"},
        }
        return {**bottom, **top, "links": self._links(), "color": PALETTE, "custom": custom}

    def _links(self) -> list[Json]:
        """From a hub's line to that hub's page."""
        if not any(query.legend == "{{instance}}" for query in self.queries):
            return []
        url = "http://${__field.labels.instance}/"
        return [{"title": "Open the hub's page", "url": url, "targetBlank": True}]

    def _overrides(self) -> list[Json]:
        if not any(query.legend.startswith(LIMIT) for query in self.queries):
            return []
        dashed = {
            "color": {"mode": "fixed", "fixedColor": "red"},
            "custom.lineStyle": {"fill": "dash", "dash": [10, 10]},
            "custom.fillOpacity": 0,
        }
        return [
            {
                "matcher": {"id": "byRegexp", "options": f"/^{LIMIT}/"},
                "properties": [{"id": id, "value": value} for id, value in dashed.items()],
            }
        ]

    def _options(self) -> Json:
        return {
            "legend": {
                "displayMode": "table",
                "placement": "bottom",
                "showLegend": True,
                "calcs": ["lastNotNull", "max"],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        }


@dataclass(frozen=True)
class Heatmap(Panel):
    """The buckets of a histogram over time: a colour for how many, a row for how much."""

    kind = "heatmap"
    format = "heatmap"

    def _defaults(self) -> Json:
        return {"custom": {"scaleDistribution": {"type": "linear"}}}

    def _options(self) -> Json:
        return {
            "calculate": False,
            "cellGap": 1,
            "cellValues": {"unit": "short"},
            "color": {
                "mode": "scheme",
                "scheme": "Oranges",
                "fill": "dark-orange",
                "exponent": 0.5,
                "steps": 64,
                "reverse": False,
            },
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": False},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": self.unit},
        }


@dataclass(frozen=True)
class States(Panel):
    """A band of 0 and 1 over time for each series."""

    kind = "state-timeline"

    def _defaults(self) -> Json:
        states = {"0": ("no", "red"), "1": ("yes", "green")}
        options = {
            value: {"text": text, "color": colour, "index": int(value)}
            for value, (text, colour) in states.items()
        }
        return {
            "mappings": [{"type": "value", "options": options}],
            "color": {"mode": "thresholds"},
            "custom": {"fillOpacity": 70, "lineWidth": 0},
        }

    def _options(self) -> Json:
        return {
            "alignValue": "left",
            "legend": {
                "displayMode": "list",
                "placement": "bottom",
                "showLegend": False,
                "calcs": [],
            },
            "mergeValues": True,
            "rowHeight": 0.9,
            "showValue": "auto",
            "tooltip": {"mode": "single", "sort": "none"},
        }


@dataclass(frozen=True)
class Table(Panel):
    """The labels of the newest samples, and their values."""

    hidden: Sequence[str] = ("Time",)

    kind = "table"
    format = "table"
    instant = True

    def _defaults(self) -> Json:
        return {
            "color": {"mode": "thresholds"},
            "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
        }

    def _overrides(self) -> list[Json]:
        return [
            {
                "matcher": {"id": "byName", "options": name},
                "properties": [{"id": "custom.hidden", "value": True}],
            }
            for name in self.hidden
        ]

    def _options(self) -> Json:
        return {
            "showHeader": True,
            "cellHeight": "sm",
            "footer": {"show": False, "reducer": ["sum"], "countRows": False, "fields": []},
        }
