"""The documents against the code: every setting, metric and route is there, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from tornado.routing import PathMatches

from tocsin import Hub, routes
from tocsin.cli import reference
from tocsin.ops.metrics.document import rewrite
from tocsin.settings import FIELDS, describe, is_switch

ROOT = Path(__file__).parents[2]


def rows(document: str) -> list[str]:
    """The rows of the document's table, without its head."""
    text = (ROOT / "docs" / document).read_text()
    return [line for line in text.splitlines() if line.startswith("| `")]


def test_every_setting_is_documented_as_it_is() -> None:
    expected = []
    for name, field in FIELDS.items():
        default = field.default
        shown = ", ".join(default) if isinstance(default, tuple) else default
        shown = str(shown).lower() if is_switch(name) else shown
        flag = "--" + name.replace("_", "-")
        variable = f"TOCSIN_{name.upper()}"
        expected.append(f"| `{flag}` | `{variable}` | `{name}` | {shown} | {describe(name)} |")
    assert rows("settings.md") == expected


OTHERS_FLAGS = {"--config", "--now", "--deploy-hook", "--env", "--signal", "--time"}
"""The file of all settings; flags of systemctl, certbot and docker."""


def test_flags_of_the_guides_are_settings() -> None:
    settings = {"--" + name.replace("_", "-") for name in FIELDS}
    for guide in ("deployment.md", "settings.md"):
        text = re.sub(
            r"^```sh\n.*?^```", "", (ROOT / "docs" / guide).read_text(), flags=re.M | re.S
        )
        assert set(re.findall(r"--[a-z][a-z-]+", text)) <= settings | OTHERS_FLAGS, guide


def test_table_of_metrics_is_that_of_the_catalogue() -> None:
    document = (ROOT / "docs/metrics.md").read_text()
    assert rewrite(document) == document, "run `make docs`"


def test_reference_of_the_api_is_made_of_its_description() -> None:
    document = (ROOT / "docs/api.md").read_text()
    assert reference.rewrite(document) == document, "run `make docs`"


def test_every_route_is_documented() -> None:
    page = (ROOT / "docs/api.md").read_text()
    documented = set(re.findall(r"^\| `(?:GET|POST) (\S+)`", page, re.MULTILINE))
    matchers = [rule.matcher for rule in routes(Hub())]
    served = {
        m.regex.pattern.rstrip("$").replace("\\", "")
        for m in matchers
        if isinstance(m, PathMatches)
    }
    names = {"/api/topics/.*": "/api/topics/TOPIC", "/api/hooks/.*": "/api/hooks/NAME"}
    expected = {"/" if path.startswith("/[") else names.get(path, path) for path in served}
    assert documented == expected


def test_links_of_the_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_limits_are_said_to_be_each_process_where_several_are_described() -> None:
    assert "Limits hold in each." in describe("processes")
    settings, deployment = (ROOT / "docs/settings.md", ROOT / "docs/deployment.md")
    _, _, of_limits = settings.read_text().partition("## Limits of a principal and an address\n")
    assert "Each process counts for itself" in of_limits.partition("\n## ")[0]
    assert "(deployment.md#several-processes)" in of_limits.partition("\n## ")[0]
    _, _, of_processes = deployment.read_text().partition("## Several processes\n")
    assert "Limits are each worker's" in of_processes.partition("\n## ")[0]
