"""The package as a stranger gets it: built, installed elsewhere, and served from there."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_process import HubProcess
from tocsin.http.routes.client import ENTRY, dense, joined
from tocsin.http.routes.page_script import SCRIPT, join
from tocsin.http.routes.pages import without_comments

pytestmark = pytest.mark.timeout(600)  # the first test builds and installs, over the network

ROOT = Path(__file__).parents[2]
FRONTEND = {
    str(p.relative_to(ROOT / "frontend")) for p in (ROOT / "frontend").rglob("*") if p.is_file()
} | {f"client/v1/{p.name}" for p in (ROOT / "client/js/src").iterdir()}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel, built from the sdist, and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that runs from the wheel, in an environment and a folder of its own."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = str(folder / "venv/bin/python")
    wheel = next(dist.glob("*.whl"))
    command = [python, "-m", "pip", "install", "--quiet", str(wheel)]
    subprocess.run(command, check=True, cwd=folder, timeout=300)
    hub = HubProcess(python=python, cwd=str(folder))
    yield hub
    hub.close()


def fetch(hub: HubProcess, path: str) -> tuple[str, bytes]:
    with urllib.request.urlopen(f"{hub.url}/{path}", timeout=10) as response:
        return response.headers.get_content_type(), response.read()


def test_wheel_holds_the_package_the_front_end_and_the_types_marker(dist: Path) -> None:
    names = set(zipfile.ZipFile(next(dist.glob("*.whl"))).namelist())
    assert {"tocsin/py.typed", "tocsin/hub/hub.py"} <= names
    assert {f"tocsin/frontend/{name}" for name in FRONTEND} <= names
    assert {
        "tocsin/monitoring/prometheus/rules.yml",
        "tocsin/monitoring/grafana/dashboards/tocsin.json",
        "tocsin/monitoring/monitoring.md",
    } <= names
    assert all(name.startswith(("tocsin/", "tocsin-")) for name in names)


def test_sdist_holds_what_it_is_built_from(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "server/tocsin/hub/hub.py"} <= names
    assert {f"frontend/{name}" for name in FRONTEND} <= names


def test_monitoring_is_written_out_from_the_installed_wheel(
    installed: HubProcess, tmp_path: Path
) -> None:
    assert installed.python
    command = [installed.python, "-m", "tocsin", "monitoring", str(tmp_path / "m")]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=60)
    assert (tmp_path / "m" / "rules.yml").is_file()
    assert (tmp_path / "m" / "grafana" / "dashboards" / "tocsin.json").is_file()


def test_page_and_all_it_names_come_from_the_installed_wheel(installed: HubProcess) -> None:
    kinds = {
        ".css": "text/css",
        ".js": "text/javascript",
        ".svg": "image/svg+xml",
        ".html": "text/html",
    }
    kind, page = fetch(installed, "")
    assert kind == "text/html"
    named = set(re.findall(r'(?:src|href)="\.?/?([\w/.-]+)"', page.decode()))
    assert named
    assert named <= FRONTEND
    for name in FRONTEND:
        kind, content = fetch(installed, name)
        expected = (ROOT / "frontend" / name).read_bytes()
        if f"/{name}" == ENTRY:  # the hub joins it from the other modules
            expected = dense(without_comments(joined(ROOT / "frontend" / name)))
        elif f"/{name}" == SCRIPT:  # and so is the page's script
            expected = dense(without_comments(join(ROOT / "frontend" / name)))
        elif name.endswith(".js"):
            expected = without_comments(expected)
        assert (kind, content) == (kinds[Path(name).suffix], expected)


def test_editable_install_serves_the_live_folder() -> None:
    from tocsin.http.routes.pages import FRONTEND as SERVED

    assert SERVED == ROOT / "frontend"
