"""Prometheus' configuration and rules, checked by Prometheus' own tool."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from grafana.dashboard import RUNBOOKS
from tests.monitoring.panels import panels
from tests.prometheus_process import hurried

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config" / "prometheus"
DASHBOARD = "http://localhost:3001/d/tocsin"
"""That of `make monitor`."""

TESTS = sorted((CONFIG / "tests").glob("*.yml"))


def promtool(*arguments: str, cwd: Path = CONFIG) -> str:
    """What promtool prints; it must succeed."""
    command = ["promtool", *arguments]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@cache  # a parser in Python takes a tenth of a second
def alerts() -> dict[str, dict[str, Any]]:
    rules = yaml.safe_load((CONFIG / "rules.yml").read_text())
    rows = [rule for group in rules["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rows if "alert" in rule}


@cache
def cases() -> list[str]:
    """The names of promtool's tests."""
    return [case["name"] for file in TESTS for case in yaml.safe_load(file.read_text())["tests"]]


def test_configuration_is_valid() -> None:
    assert "1 rule files found" in promtool("check", "config", "prometheus.yml")


def test_rules_are_valid_and_lint_clean() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yml")


def test_what_a_group_recorded_is_found_until_it_records_anew() -> None:
    """For five minutes, unless Prometheus is told otherwise; and an evaluation may come late."""
    groups = yaml.safe_load((CONFIG / "rules.yml").read_text())["groups"]
    assert {group.get("interval", "15s") for group in groups} == {"15s", "2m"}


def test_burn_alerts_come_behind_what_they_are_about_in_its_own_group() -> None:
    groups = yaml.safe_load((CONFIG / "rules.yml").read_text())["groups"]
    for rules in [group["rules"] for group in groups]:
        names = [rule.get("record", rule.get("alert")) for rule in rules]
        for place, rule in enumerate(rules):
            if "alert" in rule and (found := re.match(r"job:\w+:\w+", rule["expr"])):
                assert found[0] in names[:place]


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_alerts_fire_when_they_should_and_only_then(file: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", str(file))


@pytest.mark.parametrize("alert", alerts())
def test_every_alert_is_tested_past_its_threshold_and_in_a_blip(alert: str) -> None:
    of_alert = [case for case in cases() if case.startswith(alert + " ")]
    assert any("fires past its threshold" in case for case in of_alert)
    if "for" in alerts()[alert]:
        assert any("in a blip" in case for case in of_alert)
    if re.search(r"> [\d.]", alerts()[alert]["expr"]):
        assert any("just below its threshold" in case for case in of_alert)


@pytest.mark.parametrize("alert", alerts())
def test_every_alert_says_what_it_is_and_where_to_read_on(alert: str) -> None:
    rule = alerts()[alert]
    annotations = rule["annotations"]
    assert set(annotations) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert annotations["runbook_url"] == f"{RUNBOOKS}#{alert.lower()}"
    headings = re.findall(r"^### (.+)\n\n(.+)\n\n- (.+)\n- (.+)\n- (.+)", document(), re.MULTILINE)
    ((_, what, ask, sign, do),) = [found for found in headings if found[0] == alert]
    assert len(what) > 80
    assert re.match(r"\*\*Ask:\*\* .*`.+`", ask)  # a query, or a command
    assert sign.startswith("**Sign:** ")
    assert do.startswith("**Do:** ")


@pytest.mark.parametrize("alert", alerts())
def test_every_alert_leads_to_a_panel_that_leads_to_its_paragraph(alert: str) -> None:
    base, _, number = alerts()[alert]["annotations"]["dashboard_url"].partition("?viewPanel=")
    assert base == DASHBOARD
    (panel,) = [panel for panel in panels() if str(panel["id"]) == number]
    links = [link["url"] for link in panel["links"]]
    assert f"${{runbooks}}#{alert.lower()}" in links


def test_every_link_of_a_panel_leads_to_a_paragraph() -> None:
    links = [link["url"] for panel in panels() for link in panel["links"]]
    assert sorted(links) == sorted(f"${{runbooks}}#{alert.lower()}" for alert in alerts())


def test_queries_of_the_paragraphs_can_be_asked() -> None:
    text = document().partition("## What to do")[2]
    for ask in re.findall(r"^- \*\*Ask:\*\* (.+)$", text, re.MULTILINE):
        for query in re.findall(r"`((?:\w+ by|\w+\(|job:|tocsin_|process_)[^`]*)`", ask):
            promql_parser.parse(query)


def document() -> str:
    return (ROOT / "docs" / "monitoring.md").read_text()


def test_no_paragraph_is_of_an_alert_that_is_gone() -> None:
    assert set(re.findall(r"^### (Tocsin\w+)$", document(), re.MULTILINE)) == set(alerts())


def test_no_alert_is_tested_that_is_gone() -> None:
    assert {name.split()[0] for name in cases() if name.startswith("Tocsin")} == set(alerts())


@pytest.mark.parametrize(
    ("case", "file", "old", "new"),
    [
        ("TocsinDown", "hubs", "for: 2m", "for: 0m"),
        ("TocsinLimitNear", "clients", "> 0.8", "> 0.79"),
        ("TocsinLimitNear", "clients", "> 0.8", "> 0.81"),
        (
            "TocsinCanaryFailing",
            "delivery",
            "tocsin_canary_interval_seconds + 5",
            "tocsin_canary_interval_seconds + 4",
        ),
        ("a hub", "idle", "tocsin_journal_up == 0", "tocsin_journal_up >= 0"),
    ],
)
def test_tests_find_out_wrong_rules(
    case: str, file: str, old: str, new: str, tmp_path: Path
) -> None:
    """By the cases of which the name begins with `case`, which succeed with the right rules."""
    tests = yaml.safe_load((CONFIG / "tests" / f"{file}.yml").read_text())
    tests["tests"] = [each for each in tests["tests"] if each["name"].startswith(case + " ")]
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "some.yml").write_text(yaml.safe_dump(tests))
    rules = (CONFIG / "rules.yml").read_text()
    assert old in rules
    (tmp_path / "rules.yml").write_text(rules)
    assert "SUCCESS" in promtool("test", "rules", "tests/some.yml", cwd=tmp_path)
    (tmp_path / "rules.yml").write_text(rules.replace(old, new))
    command = ["promtool", "test", "rules", "tests/some.yml"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_hurried_rules_keep_all_but_their_times() -> None:
    rules = {
        "groups": [{"rules": [{"expr": "rate(x_rate5m[5m]) > 5 * (y offset 1h)", "for": "2m"}]}]
    }
    (rule,) = hurried(rules, 60)["groups"][0]["rules"]
    assert rule == {"expr": "rate(x_rate5m[5000ms]) > 5 * (y offset 60000ms)", "for": "2000ms"}
