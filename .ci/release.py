"""What `make release-check` does: builds what a release consists of from the last commit, and checks it.

Nothing is uploaded. In `dist/` are then the sdist, the wheel, the list of what the wheel runs with (CycloneDX), and the
hashes of the three. Built twice in different folders, sdist and wheel must be the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Build, check and say what came of it; any failure ends with its message and exit code 1."""
    dist = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    heading = changelog_heading(version)
    client = json.loads((ROOT / "client/js/package.json").read_text())["version"]
    if client != version:
        fail(f"client/js/package.json says {client}, and pyproject.toml {version}")
    if output("git", "status", "--porcelain"):
        print("Uncommitted changes are not part of what is built.")
    with tempfile.TemporaryDirectory() as folder:
        first, second = (build(Path(folder) / name) for name in ("one", "other"))
        compare(first, second)
        shutil.rmtree(dist, ignore_errors=True)
        dist.mkdir(parents=True)
        files = [Path(shutil.copy(file, dist)) for file in first]
        files.append(bill_of_materials(dist, version, Path(folder)))
    output(sys.executable, "-m", "twine", "check", "--strict", *map(str, files[:2]))
    sums = "".join(f"{sha256(file)}  {file.name}\n" for file in files)
    (dist / "SHA256SUMS").write_text(sums)
    print(sums, end="")
    print(f"{version} is built twice with the same bytes, and checked; it is in {dist}.")
    if "unreleased" in heading:
        print(f"Still to do: the date in CHANGELOG.md ({heading}), and the tag v{version}.")


def changelog_heading(version: str) -> str:
    """The heading of `version` in CHANGELOG.md, which must be the first one."""
    headings = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    if headings[0].split()[0] != version:
        fail(f"CHANGELOG.md begins with {headings[0]}, and pyproject.toml says {version}")
    return str(headings[0])


def build(folder: Path) -> list[Path]:
    """Sdist and wheel of the last commit, made in `folder`; times in them are the commit's."""
    source = folder / "source"
    source.mkdir(parents=True)
    archive = folder / "source.tar"
    output("git", "archive", "--output", str(archive), "HEAD")
    shutil.unpack_archive(archive, source, filter="data")
    made = folder / "dist"
    env = os.environ | {"SOURCE_DATE_EPOCH": output("git", "log", "-1", "--format=%ct")}
    output(sys.executable, "-m", "build", "--outdir", str(made), str(source), env=env)
    return [next(made.glob("*.tar.gz")), next(made.glob("*.whl"))]


def compare(one: list[Path], other: list[Path]) -> None:
    """See that the files of both builds are the same."""
    for first, second in zip(one, other, strict=True):
        if (first.name, first.read_bytes()) != (second.name, second.read_bytes()):
            fail(f"{first.name} is not the same when it is built again")


def bill_of_materials(dist: Path, version: str, folder: Path) -> Path:
    """Install the wheel with all that it may need, see that it runs, and list what is there then."""
    environment = folder / "environment"
    output(sys.executable, "-m", "venv", str(environment))
    python = str(environment / "bin/python")
    (wheel,) = dist.glob("*.whl")
    output(python, "-m", "pip", "install", "--quiet", f"{wheel}[client,jwt,redis]")
    said = output(python, "-m", "tocsin", "--version")
    if said != f"tocsin {version}":
        fail(f"the wheel says that it is {said!r}")
    output(python, "-m", "pip", "uninstall", "--quiet", "--yes", "pip", "setuptools")
    bill = dist / f"tocsin-{version}.cdx.json"
    flags = ("--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON")
    listed = json.loads(output(sys.executable, "-m", "cyclonedx_py", "environment", *flags, python))
    for component in [*listed["components"], listed["metadata"]["component"]]:
        references = component.get(
            "externalReferences", []
        )  # the wheel's has a path of this machine
        component["externalReferences"] = [
            r for r in references if not r["url"].startswith("file:")
        ]
    bill.write_text(json.dumps(listed, indent=2) + "\n")
    return bill


def sha256(file: Path) -> str:
    """The hash of what `file` holds."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def output(*command: str, env: dict[str, str] | None = None) -> str:
    """What `command` prints; where it fails, that is the end."""
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if ran.returncode:
        fail(f"{' '.join(command)}: {ran.stdout}{ran.stderr}")
    return ran.stdout.strip()


def fail(message: str) -> None:
    """End with `message` and exit code 1."""
    sys.exit(f"release: {message}")


if __name__ == "__main__":
    main()
