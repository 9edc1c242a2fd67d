"""compose.yaml: of the right form, with settings that the hub takes, and with proxies and Prometheus that would start.

No image can be pulled where the tests run, so that the services aren't started from it; the image is tried in
`test_image.py`, nginx, Redis and Prometheus in their own folders.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
HUBS = [name for name, service in SERVICES.items() if service["image"] == "tocsin"]
IMAGE_SETTINGS = dict(
    re.findall(r"(TOCSIN_\w+)=(\S+)", (ROOT / "Dockerfile").read_text().partition("\nENV ")[2])
)


def run(*command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=env
    )


def script_of(service: str, *replacements: tuple[str, str]) -> str:
    """The shell script that the service starts with, but for its last line, with paths of this machine."""
    given = SERVICES[service]
    script = str((given.get("entrypoint") or given["command"])[-1])
    for old, new in replacements:
        script = script.replace(old, new)
    return re.sub(r"^exec .*", "", script, flags=re.MULTILINE)


def test_form_is_that_of_the_compose_specification() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    ran = run(sys.executable, "-m", "check_jsonschema", *schema, str(COMPOSE))
    assert ran.returncode == 0, ran.stdout


def test_default_is_one_hub_and_the_profile_has_the_others() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["hub"]
    nodes = {name for name, service in SERVICES.items() if service.get("profiles") == ["nodes"]}
    assert nodes == {"hub-1", "hub-2", "redis", "nginx", "prometheus", "grafana"}


@pytest.mark.parametrize("name", HUBS)
def test_settings_of_a_hub_are_taken(name: str, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tocsin")
    keys = str(tmp_path / "keys.toml")
    assert run(*command, "key", "add", "me", "--keys", keys, "--publish", "*").returncode == 0
    given = {
        variable: re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", value)
        for variable, value in SERVICES[name]["environment"].items()
    }
    env = {variable: value for variable, value in os.environ.items() if "TOCSIN_" not in variable}
    env |= IMAGE_SETTINGS | given | {"TOCSIN_KEYS": keys}
    ran = run(*command, "check-config", env=env)
    assert ran.returncode == 0, ran.stderr
    assert 'host = ["0.0.0.0"]' in ran.stdout


def test_ports_are_those_of_this_machine_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_files_that_are_mounted_are_there() -> None:
    mounted = [each for service in SERVICES.values() for each in service.get("volumes", [])]
    sources = [each.partition(":")[0] for each in mounted if each.startswith("./")]
    assert sources
    assert all((ROOT / source).exists() for source in sources)


def test_nginx_is_given_the_shipped_file_with_both_hubs(tmp_path: Path) -> None:
    site = tmp_path / "default.conf"
    shipped = ("/tocsin.conf", str(ROOT / "config/proxies/nginx.conf"))
    script = script_of("nginx", shipped, ("/etc/nginx/conf.d/default.conf", str(site)))
    assert run("sh", "-ec", script).returncode == 0
    assert "server hub-1:3000; server hub-2:3000;" in site.read_text()
    # Their names mean something in the network of the containers only.
    site.write_text(site.read_text().replace("hub-1", "127.0.0.1").replace("hub-2", "127.0.0.2"))
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ include {site}; }}"
    )
    tested = run("nginx", "-t", "-p", str(tmp_path), "-c", str(whole))
    assert tested.returncode == 0, tested.stderr


def test_prometheus_is_given_the_shipped_files_with_both_hubs(tmp_path: Path) -> None:
    shipped = ("/tocsin/", f"{ROOT}/config/prometheus/")
    # The script's own folder first: the checkout may lie in it.
    script = script_of("prometheus", ("/tmp/", f"{tmp_path}/"), shipped)
    assert run("sh", "-ec", script).returncode == 0
    (tmp_path / "prometheus.yml").rename(tmp_path / "made.yml")
    made = yaml.safe_load((tmp_path / "made.yml").read_text())
    (targets,) = made["scrape_configs"][0]["static_configs"]
    assert targets == {"targets": ["hub-1:9300", "hub-2:9300"]}
    tested = run("promtool", "check", "config", str(tmp_path / "made.yml"))
    assert tested.returncode == 0, tested.stdout + tested.stderr
