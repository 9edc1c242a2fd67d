"""The package as others get it: packed, typed, and taken up by bundlers."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.client_js.runtimes import installed
from tests.node import node_program

pytestmark = pytest.mark.timeout(600)  # the first one may install packages, over the network

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "client/js"
MOST_BYTES = 12 * 1024

APP = """
import { TocsinSource, PublishError, type SourceOptions } from "tocsin-client";

const options: SourceOptions = { topics: ["a/*"], token: async () => "key", shared: "auto" };
const source = new TocsinSource("https://hub.example/events", options);
source.onmessage = ({ data, lastEventId }) => console.log(data.length, lastEventId.length);
source.addEventListener("tocsin:state", ({ detail }) => {
  const { phase, transport, retryAt } = detail;
  if (phase === "waiting") console.log(transport === "poll", (retryAt ?? 0) - Date.now());
});
source.addEventListener("notification", ({ data }) => console.log(data.length));
source.publish({ type: "a", message: "b" }).catch((error: PublishError) => console.log(error.status));
// @ts-expect-error no such phase
if (source.state.phase === "none") source.close();
// @ts-expect-error a message is needed
void source.publish({ type: "a" });
"""


def test_package_has_the_version_of_the_hub() -> None:
    (version,) = re.findall(
        r'^version = "(.*)"', (HERE.parents[1] / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert json.loads((PACKAGE / "package.json").read_text())["version"] == version


# Some seconds of computing each: `make check` has the types of the modules, and the browser's tests a bundle.
in_soak = pytest.mark.soak


@pytest.fixture(scope="module")
def modules() -> Path:
    """The tools of the tests, and a link to the package."""
    return installed(HERE)


@pytest.fixture(scope="module")
def app(modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has the package from its tarball, as `npm install` would unpack it."""
    folder = tmp_path_factory.mktemp("app")
    copy = folder / "package"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("node_modules", "types"))
    tsc = [node_program(), str(modules / "typescript/bin/tsc")]
    subprocess.run([*tsc, "--project", str(copy)], check=True)
    npm = shutil.which("npm")
    assert npm
    pack = [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder)]
    subprocess.run(pack, cwd=copy, check=True, capture_output=True)
    (tarball,) = folder.glob("*.tgz")
    with tarfile.open(tarball) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (folder / "node_modules").mkdir()
    (folder / "unpacked/package").rename(folder / "node_modules/tocsin-client")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "app.ts").write_text(APP)
    return folder


@in_soak
def test_tarball_holds_modules_and_types_and_no_more(app: Path) -> None:
    unpacked = app / "node_modules/tocsin-client"
    names = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    sources = {f"src/{path.name}" for path in (PACKAGE / "src").iterdir()}
    assert sources | {"package.json", "types/tocsin.d.ts"} <= names
    assert all(name == "package.json" or name.endswith((".js", ".d.ts", ".md")) for name in names)
    assert json.loads((unpacked / "package.json").read_text()).get("dependencies", {}) == {}


@in_soak
def test_types_serve_a_strict_project(app: Path, modules: Path) -> None:
    flags = "--noEmit --strict --target es2022 --module esnext --moduleResolution bundler"
    tsc = [node_program(), str(modules / "typescript/bin/tsc"), *flags.split(), "app.ts"]
    checked = subprocess.run(tsc, cwd=app, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@in_soak
def test_esbuild_bundles_it_small(app: Path, modules: Path) -> None:
    (esbuild,) = modules.glob("@esbuild/*/bin/esbuild")
    flags = ("app.ts", "--bundle", "--minify", "--format=esm", "--outfile=esbuild.js")
    built = subprocess.run([esbuild, *flags], cwd=app, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert "warning" not in built.stderr
    size = len(gzip.compress((app / "esbuild.js").read_bytes()))
    print(f"\nminified by esbuild, in gzip: {size} bytes")
    assert size < MOST_BYTES
