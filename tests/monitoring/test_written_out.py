"""`tocsin monitoring DIR`: what it writes is whole, and leads to the addresses of the site."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.monitoring.test_rules import CONFIG, DASHBOARD, TESTS, promtool
from tocsin.cli import monitoring
from tocsin.cli.main import tocsin

RUNBOOKS = "https://wiki.example.org/tocsin"
GRAFANA = "https://grafana.example.org/d/tocsin"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(tocsin, ["monitoring", *arguments])


def alert_texts(folder: Path) -> list[dict[str, str]]:
    rules = yaml.safe_load((folder / "rules.yml").read_text())
    rows = [rule for group in rules["groups"] for rule in group["rules"]]
    return [rule["annotations"] for rule in rows if "alert" in rule]


def test_what_is_written_out_is_content_with_itself_and_leads_to_the_site(tmp_path: Path) -> None:
    result = run(str(tmp_path / "m"), "--runbooks", RUNBOOKS, "--dashboard", GRAFANA)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "m"
    promtool("check", "config", "prometheus.yml", cwd=folder)
    assert "SUCCESS" in promtool("test", "rules", "tests/hubs.yml", cwd=folder)
    assert all(each["runbook_url"].startswith(RUNBOOKS + "#") for each in alert_texts(folder))
    assert all(each["dashboard_url"].startswith(GRAFANA + "?") for each in alert_texts(folder))
    dashboard = json.loads((folder / "grafana/dashboards/tocsin.json").read_text())
    (base,) = [v for v in dashboard["templating"]["list"] if v["name"] == "runbooks"]
    assert base["query"] == RUNBOOKS
    assert (folder / "grafana/provisioning/dashboards/tocsin.yaml").is_file()
    written = "".join(file.read_text() for file in folder.rglob("*") if file.is_file())
    assert monitoring.RUNBOOKS not in written


def test_rules_and_their_tests_differ_from_the_projects_in_their_addresses_alone(
    tmp_path: Path,
) -> None:
    """So all that test_rules.py finds of the project's holds for what is written out."""
    assert run(str(tmp_path), "--runbooks", RUNBOOKS, "--dashboard", GRAFANA).exit_code == 0
    names = ["rules.yml", *(f"tests/{file.name}" for file in TESTS)]
    assert sorted(p.name for p in (tmp_path / "tests").iterdir()) == [p.name for p in TESTS]
    for name in names:
        written = (tmp_path / name).read_text()
        back = written.replace(RUNBOOKS, monitoring.RUNBOOKS).replace(GRAFANA, DASHBOARD)
        assert back == (CONFIG / name).read_text()


@pytest.mark.soak
def test_all_tests_of_the_rules_that_are_written_out_succeed(tmp_path: Path) -> None:
    assert run(str(tmp_path), "--runbooks", RUNBOOKS, "--dashboard", GRAFANA).exit_code == 0
    tests = [f"tests/{file.name}" for file in TESTS]
    assert promtool("test", "rules", *tests, cwd=tmp_path).count("SUCCESS") == len(TESTS)


def test_alerts_lead_to_the_page_that_was_written_unless_told_otherwise(tmp_path: Path) -> None:
    assert run(str(tmp_path)).exit_code == 0
    (base,) = {each["runbook_url"].partition("#")[0] for each in alert_texts(tmp_path)}
    assert base == (tmp_path / "monitoring.md").as_uri()
    assert (tmp_path / "monitoring.md").is_file()


def test_file_that_somebody_changed_is_not_written_over_unless_forced(tmp_path: Path) -> None:
    assert run(str(tmp_path)).exit_code == 0
    assert run(str(tmp_path)).exit_code == 0  # nothing differs
    (tmp_path / "rules.yml").write_text("groups: []\n")
    refused = run(str(tmp_path))
    assert (refused.exit_code, "rules.yml is there" in refused.output) == (2, True)
    assert (tmp_path / "rules.yml").read_text() == "groups: []\n"
    assert run(str(tmp_path), "--force").exit_code == 0
    assert alert_texts(tmp_path)


@pytest.mark.parametrize(
    "url", ["", "wiki", "https://a b", 'https://a"', "https://a/{{", "https://a#b"]
)
def test_address_that_can_not_stand_in_all_files_is_refused(tmp_path: Path, url: str) -> None:
    for name in ("--runbooks", "--dashboard"):
        result = run(str(tmp_path / "m"), name, url)
        assert (result.exit_code, name in result.output) == (2, True)
    assert not (tmp_path / "m").exists()


def test_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(str(tmp_path / "file" / "m"))
    assert (result.exit_code, "DIR" in result.output) == (2, True)
