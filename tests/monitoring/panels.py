"""The dashboard as tests read it: its panels, and its queries as Grafana would send them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FILE = ROOT / "grafana" / "dashboards" / "tocsin.json"

DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())

RATE_INTERVAL = "4s"
"""What Grafana makes of the tests' scrapes of half a second, and a little more."""


def panels() -> Iterator[dict[str, Any]]:
    """Every panel that asks something, those of closed rows too."""
    for panel in DASHBOARD["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def queries() -> list[tuple[str, dict[str, Any]]]:
    """Every query with its panel's title."""
    return [(panel["title"], target) for panel in panels() for target in panel["targets"]]


def expressions(title: str) -> list[str]:
    """The queries of the panel `title`, in its order."""
    found = [target["expr"] for panel, target in queries() if panel == title]
    assert found, f"no panel {title}"
    return found


def marks() -> list[tuple[str, str]]:
    """Name and query of each annotation that is ours."""
    return [(a["name"], a["expr"]) for a in DASHBOARD["annotations"]["list"] if "expr" in a]


def replaced(expr: str, *instances: str, span: str = "60s", rate: str = RATE_INTERVAL) -> str:
    """`expr` with the variables replaced, for hubs chosen by hand."""
    chosen = "(" + "|".join(instance.replace(".", r"\\.") for instance in instances) + ")"
    values = {
        "$__rate_interval": rate,
        "$__range_s": str(int(span[:-1])),
        "$__range": span,
        "$instance": chosen,
        "$job": "tocsin",
    }
    for name, value in values.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr


def legend_labels(target: dict[str, Any]) -> set[str]:
    """The labels that a legend names."""
    return set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
