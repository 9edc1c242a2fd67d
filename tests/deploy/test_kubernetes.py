"""config/kubernetes/: of the right form, and with settings, probes and times that fit each other and the image.

There is no cluster where the tests run: what a scheduler and a kubelet do with them was not tried.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.test_compose import IMAGE_SETTINGS
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "config/kubernetes"
HUBS = ("one-hub.yaml", "nodes.yaml")
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
"""The module that holds the schema of a ServiceMonitor."""


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def document(name: str, *kinds: str) -> dict[str, Any]:
    return next(each for each in documents(name) if each["kind"] in kinds)


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = document(name, "StatefulSet", "Deployment")["spec"]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    (only,) = pod(name)["containers"]
    return dict(only)


def settings(name: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(name)["env"] if "value" in each}


@pytest.mark.parametrize("name", HUBS)
def test_settings_are_taken(name: str, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tocsin")
    keys, ticket_key = tmp_path / "keys.toml", tmp_path / "ticket-key"
    subprocess.run([*command, "key", "add", "me", "--keys", keys, "--publish", "*"], check=True)
    ticket_key.write_text("0" * 64)
    env = {variable: value for variable, value in os.environ.items() if "TOCSIN_" not in variable}
    env |= IMAGE_SETTINGS | settings(name)
    env |= {"TOCSIN_KEYS": str(keys), "TOCSIN_TICKET_KEY": f"file:{ticket_key}"}
    ran = subprocess.run(
        [*command, "check-config"],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("name", HUBS)
def test_probes_ask_the_listener_that_the_image_has_for_it(name: str) -> None:
    probes = {
        kind: container(name)[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")
    }
    paths = {kind: probe["httpGet"]["path"] for kind, probe in probes.items()}
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {"metrics"}
    ports = {port["name"]: str(port["containerPort"]) for port in container(name)["ports"]}
    assert IMAGE_SETTINGS["TOCSIN_METRICS_LISTEN"].endswith(f":{ports['metrics']}")
    exposed = re.findall(r"^EXPOSE (.*)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert exposed == [" ".join(ports.values())]


@pytest.mark.parametrize("name", HUBS)
def test_pod_is_given_more_time_than_the_stop_may_take(name: str) -> None:
    env = settings(name)
    stop_s = float(env.get("TOCSIN_DRAIN_DELAY", 0)) + float(env["TOCSIN_DRAIN_TIMEOUT"])
    assert pod(name)["terminationGracePeriodSeconds"] >= stop_s + 10


@pytest.mark.parametrize("name", HUBS)
def test_pod_runs_as_the_user_of_the_image(name: str) -> None:
    context = pod(name)["securityContext"]
    user = re.findall(r"^USER (\d+):(\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert [(str(context["runAsUser"]), str(context["runAsGroup"]))] == user
    assert context["runAsNonRoot"]
    assert container(name)["securityContext"]["readOnlyRootFilesystem"]


@pytest.mark.parametrize("name", HUBS)
def test_service_and_workload_select_the_pods(name: str) -> None:
    labels = document(name, "StatefulSet", "Deployment")["spec"]["template"]["metadata"]["labels"]
    for each in documents(name):
        selector = each["spec"]["selector"]
        assert selector.get("matchLabels", selector) == labels


def test_service_monitor_selects_the_service_and_its_port() -> None:
    monitor = document("service-monitor.yaml", "ServiceMonitor")["spec"]
    for name in HUBS:
        service = document(name, "Service")
        assert monitor["selector"]["matchLabels"] == service["metadata"]["labels"]
        ports = {port["name"] for port in service["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["endpoints"]} <= ports


@pytest.mark.soak  # the validator brings the schemas of every version of Kubernetes: 100 MB
@pytest.mark.timeout(600)
def test_form_is_that_of_kubernetes(tmp_path: Path) -> None:
    install = (sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path))
    subprocess.run([*install, "kubernetes-validate==1.37.0"], check=True, timeout=500)
    validate = (sys.executable, "-m", "kubernetes_validate", "--strict")
    files = [str(FOLDER / name) for name in HUBS]
    ran = subprocess.run(
        [*validate, *files],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (ran.stdout + ran.stderr).count(" passed ") == 5


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_form_of_the_service_monitor_is_the_operators(tmp_path: Path) -> None:
    got = subprocess.run(
        ["go", "mod", "download", "-json", OPERATOR],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=500,
    )
    module = Path(json.loads(got.stdout)["Dir"])
    (file,) = module.glob("example/prometheus-operator-crd/*_servicemonitors.yaml")
    (version,) = yaml.safe_load(file.read_text())["spec"]["versions"]
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(version["schema"]["openAPIV3Schema"]))

    def validate(monitor: Path) -> int:
        command = [sys.executable, "-m", "check_jsonschema", "--schemafile"]
        files = [str(schema), str(monitor)]
        return subprocess.run([*command, *files], capture_output=True, check=False).returncode

    shipped = FOLDER / "service-monitor.yaml"
    assert validate(shipped) == 0
    broken = tmp_path / "broken.yaml"
    broken.write_text(shipped.read_text().replace("endpoints", "endpoint"))
    assert validate(broken) == 1
