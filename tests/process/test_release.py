"""What `make release-check` makes of the last commit, and how people install the wheel (`make soak`)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_process import HubProcess

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of commands: pipx, uv, and Python with what checks a release."""
    folder = tmp_path_factory.mktemp("tools")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*extras["optional-dependencies"]["release"], "pipx", "uv"]
    subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", *wanted], check=True)
    return folder / "bin"


@pytest.fixture(scope="module")
def dist(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "dist"
    command = [tools / "python", ROOT / ".ci/release.py", folder]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert f"{VERSION} is built twice with the same bytes" in ran.stdout
    return folder


def test_release_is_two_packages_a_bill_and_their_hashes(dist: Path) -> None:
    names = {
        f"tocsin-{VERSION}.tar.gz",
        f"tocsin-{VERSION}-py3-none-any.whl",
        f"tocsin-{VERSION}.cdx.json",
    }
    assert {file.name for file in dist.iterdir()} == {*names, "SHA256SUMS"}
    assert (
        set(re.findall(r"^[0-9a-f]{64}  (\S+)$", (dist / "SHA256SUMS").read_text(), re.M)) == names
    )
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=dist, check=True)


def test_bill_names_what_the_hub_runs_with_and_no_place(dist: Path) -> None:
    text = (dist / f"tocsin-{VERSION}.cdx.json").read_text()
    names = {component["name"] for component in json.loads(text)["components"]}
    assert {"tornado", "msgspec", "redis", "PyJWT"} <= names
    assert "file:" not in text
    assert not names & {"pip", "setuptools", "pytest"}


def installers() -> Iterator[str]:
    """The README's commands but pip's, which is test_package.py's."""
    yield from re.findall(r"`((?:pipx|uv tool) install) \.`", (ROOT / "README.md").read_text())


def test_readme_names_both_installers() -> None:
    assert list(installers()) == ["pipx install", "uv tool install"]


@pytest.mark.parametrize("command", installers())
def test_hub_runs_as_it_is_installed(command: str, dist: Path, tools: Path, tmp_path: Path) -> None:
    folders = ("PIPX_HOME", "PIPX_BIN_DIR", "UV_TOOL_DIR", "UV_TOOL_BIN_DIR", "UV_CACHE_DIR")
    env = os.environ | {name: str(tmp_path / name.lower()) for name in folders}
    env |= {"PATH": f"{tools}:{os.environ['PATH']}", "UV_NATIVE_TLS": "true"}
    (wheel,) = dist.glob("*.whl")
    program, *rest = command.split()
    ran = subprocess.run(
        [tools / program, *rest, wheel], env=env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    (installed,) = tmp_path.glob("*_bin_dir/tocsin")
    python = re.search(r"/[^\s\"']*/python[\d.]*", installed.read_text())
    assert python, installed.read_text()
    hub = HubProcess(python=python[0], cwd=str(tmp_path))
    assert hub.publish()["success"]
    assert hub.stop() == 0
    hub.close()
