"""The dashboard's file: in Grafana's schema, whole, and true to the hub's metrics."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import combinations

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.models import units
from prometheus_client.parser import text_string_to_metric_families

from grafana.dashboard import rendered
from tests.conftest import StartHub
from tests.monitoring.panels import (
    DASHBOARD,
    FILE,
    ROOT,
    expressions,
    legend_labels,
    marks,
    panels,
    queries,
    replaced,
)
from tests.monitoring.schema import unknown_fields, wrong_values
from tocsin.ops.metrics import CATALOGUE

NOT_IN_THE_SCHEMA = {
    # Grafana's own files have these; its schema stops before what a data source adds.
    "annotations.list.expr",
    "annotations.list.tagKeys",
    "annotations.list.target",
    "annotations.list.titleFormat",
    "templating.list.definition",
}

KINDS = {"gauge", "heatmap", "stat", "state-timeline", "table", "timeseries"}
"""Of panel. `graph`, `singlestat` and `table-old` are gone from Grafana 11."""

UNUSED = {
    # What no panel and no alert shows, and why.
    "process_virtual_memory_bytes": "says nothing that resident memory doesn't say better",
    "python_gc_objects_collected": "the number of collections is what costs time",
    "python_gc_objects_uncollectable": "always 0 since Python 3.4",
    "python_info": "tocsin_build_info names the version",
    "tocsin_gaps_created": "a newer Prometheus counts from it; the queries do for all",
    "tocsin_resumes_created": "the same",
}


def test_file_is_what_the_panels_make() -> None:
    assert FILE.read_text(encoding="utf-8") == rendered(), "run `make docs`"


def test_every_field_is_of_grafanas_schema() -> None:
    known = tuple(NOT_IN_THE_SCHEMA)
    assert {path for path in unknown_fields(DASHBOARD) if not path.startswith(known)} == set()


def test_every_value_is_of_the_type_that_grafana_reads() -> None:
    assert wrong_values(DASHBOARD) == set()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("refresh", 30),
        ("graphTooltip", 7),
        ("panels.1.gridPos.w", "8"),
        ("panels.1.options.colorMode", "rainbow"),
        ("panels.1.fieldConfig.defaults.unti", "s"),
        ("panels.1.targets.0.exp", "up"),
        ("templating.list.1.refresh", "2"),
    ],
)
def test_mistakes_are_found_by_the_schema(path: str, value: object) -> None:
    wrong = json.loads(FILE.read_text())
    *parents, last = path.split(".")
    place = wrong
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    known = tuple(NOT_IN_THE_SCHEMA)
    unknown = {each for each in unknown_fields(wrong) if not each.startswith(known)}
    assert len(unknown | wrong_values(wrong)) == 1


def test_dashboard_is_fixed_and_can_be_provisioned() -> None:
    assert (DASHBOARD["uid"], DASHBOARD["editable"]) == ("tocsin", False)
    assert 39 <= DASHBOARD["schemaVersion"] <= 41  # Grafana 11.0 to 11.6
    assert "__inputs" not in DASHBOARD
    assert "id" not in DASHBOARD  # Grafana gives it


def test_first_rows_are_open_and_the_others_closed() -> None:
    rows = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert [(row["title"], row["collapsed"]) for row in rows] == [
        ("Overview", False),
        ("Publish", False),
        ("Delivery", False),
        ("Clients", True),
        ("Slow clients", True),
        ("Replay and history", True),
        ("HTTP", True),
        ("Journal and nodes", True),
        ("Rights and limits", True),
        ("Process", True),
    ]
    assert all(bool(row["panels"]) == row["collapsed"] for row in rows)


def test_panel_ids_are_unique() -> None:
    rows = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    ids = Counter(panel["id"] for panel in [*panels(), *rows])
    assert max(ids.values()) == 1


def test_panels_fit_the_grid_without_overlap() -> None:
    rows = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    for group in [DASHBOARD["panels"], *(row["panels"] for row in rows)]:
        places = [panel["gridPos"] for panel in group]
        assert all(p["x"] >= 0 and p["w"] > 0 and p["x"] + p["w"] <= 24 for p in places)
        for one, other in combinations(places, 2):
            assert not overlap(one, other), f"{one} {other}"


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_lines_of_panels_are_full() -> None:
    rows = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    for group in [DASHBOARD["panels"], *(row["panels"] for row in rows)]:
        widths = Counter[int]()
        for panel in group:
            widths[panel["gridPos"]["y"]] += panel["gridPos"]["w"]
        assert set(widths.values()) <= {24}


def test_titles_are_questions_with_an_answer_to_what_to_do() -> None:
    for panel in panels():
        assert panel["title"].endswith("?")
        assert len(panel["description"]) > 60, panel["title"]
    titles = Counter(panel["title"] for panel in panels())
    assert max(titles.values()) == 1


def test_units_are_known_to_grafana() -> None:
    known = {value for name, value in vars(units).items() if name[0].isupper()}
    assert {panel["fieldConfig"]["defaults"]["unit"] for panel in panels()} <= known


def test_kinds_of_panel_are_those_of_grafana_11() -> None:
    assert {panel["type"] for panel in panels()} <= KINDS


def test_every_panel_says_what_an_empty_answer_means() -> None:
    assert all(panel["fieldConfig"]["defaults"]["noValue"] for panel in panels())


def test_source_of_data_is_the_variable() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    asked = [target for _, target in queries()]
    variables = [v for v in DASHBOARD["templating"]["list"] if v["type"] == "query"]
    ours = [a for a in DASHBOARD["annotations"]["list"] if "expr" in a]
    for each in [*panels(), *asked, *variables, *ours]:
        assert each["datasource"] == chosen


def test_variables_are_source_job_and_instance() -> None:
    variables = DASHBOARD["templating"]["list"]
    assert [v["name"] for v in variables] == ["datasource", "runbooks", "job", "instance"]
    # `.+` for All would take other programs' `up` and `process_*` for hubs.
    assert all("allValue" not in v for v in variables)


def test_targets_of_a_panel_have_letters_of_their_own() -> None:
    for panel in panels():
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)


def selectors(expr: str) -> list[promql_parser.VectorSelector]:
    """Every selector of a query."""
    found: list[promql_parser.VectorSelector] = []

    def note(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expr), note)
    return found


def all_expressions() -> list[str]:
    exprs = [target["expr"] for _, target in queries()] + [expr for _, expr in marks()]
    return [replaced(expr, "127.0.0.1:3000") for expr in exprs]


def test_every_query_takes_the_chosen_hubs_only() -> None:
    for expr in all_expressions():
        for selector in selectors(expr):
            labels = {matcher.name for matcher in selector.matchers.matchers}
            if selector.name == "tocsin:delivery_objective:ratio":
                continue  # the rules' own, which is nobody's
            if selector.name == "ALERTS" or (selector.name or "").startswith("job:"):
                assert "job" in labels  # of a job, and of no hub
                continue
            assert {"job", "instance"} <= labels, expr


def test_counters_are_asked_for_their_rate() -> None:
    for expr in all_expressions():
        for counter in re.findall(r"\w+_total", expr):
            counted = rf"(rate|increase|resets|last_over_time)\({counter}{{"
            assert re.search(counted, expr), expr


def test_legends_name_labels_that_the_query_keeps() -> None:
    for title, target in queries():
        for label in legend_labels(target):
            grouped = re.findall(r"by \(([^)]+)\)", target["expr"])
            assert not grouped or any(label in by.split(", ") for by in grouped), title


def rules_expressions() -> list[str]:
    rules = yaml.safe_load((ROOT / "config/prometheus/rules.yml").read_text())
    return [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


def families(start_hub: StartHub) -> dict[str, set[str]]:
    """The metrics of a real hub that has answered a request: family to the names of its samples."""
    hub = start_hub()
    hub.publish()
    text = hub.text("/metrics")
    return {f.name: {s.name for s in f.samples} for f in text_string_to_metric_families(text)}


def test_every_metric_used_exists_and_every_metric_is_used(start_hub: StartHub) -> None:
    exists = families(start_hub)
    used = {
        selector.name
        for expr in [*all_expressions(), *rules_expressions()]
        for selector in selectors(expr)
        if selector.name
    }
    recorded = set(re.findall(r"record: (\S+)", (ROOT / "config/prometheus/rules.yml").read_text()))
    of_prometheus = {"up", "ALERTS"}
    assert used - recorded - of_prometheus - set().union(*exists.values()) == set()
    unused = {name for name, samples in exists.items() if not samples & used}
    assert unused == set(UNUSED)


def test_every_metric_of_the_catalogue_is_shown() -> None:
    shown = " ".join(all_expressions())
    assert [f.name for f in CATALOGUE if not re.search(rf"\b{f.name}(_\w+)?\b", shown)] == []


def test_overview_asks_first_about_time_and_loss() -> None:
    first, second = [panel["title"] for panel in panels()][:2]
    assert first == "Do clients get their events in time?"
    assert second == "Does anybody lose events?"
    assert "tocsin_gaps_total" in expressions(second)[0]


def test_provisioning_points_at_the_dashboard_and_the_source() -> None:
    folder = ROOT / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards/tocsin.yaml").read_text())["providers"]
    assert (source["type"], source["uid"]) == ("prometheus", "tocsin-prometheus")
    assert provider["type"] == "file"
    assert not provider["allowUiUpdates"]
