"""What is installed for the tests is installed though another apt is at work, and said beforehand."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "packages.sh"

COMMANDS = {
    "id": "echo 0",
    "dpkg-query": "exit 1",
    "sleep": "echo slept >> calls",
    "apt-get": """
        echo "$@" >> calls
        case "$*" in *update*) ;; *) exit 0 ;; esac
        [ -s turns ] || exit 0
        head -n 1 turns >&2
        sed -i 1d turns
        exit 100
    """,
}
"""Stand-ins; `apt-get update` fails with the first line of the file `turns`, as long as there is one."""

BUSY = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder with the stand-ins, in which the script runs."""
    for name, text in COMMANDS.items():
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\n{text}\n")
        command.chmod(0o755)
    return tmp_path


def run(
    machine: Path, *turns: str, flags: tuple[str, ...] = (), **env: str
) -> subprocess.CompletedProcess[str]:
    (machine / "turns").write_text("".join(f"{turn}\n" for turn in turns))
    path = f"{machine / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", str(SCRIPT), *flags, "chromium-headless-shell"],
        cwd=machine,
        env=os.environ | {"PATH": path} | env,
        capture_output=True,
        text=True,
        check=False,
    )


def calls(machine: Path) -> list[str]:
    return (machine / "calls").read_text().splitlines()


def test_busy_apt_is_waited_for(machine: Path) -> None:
    ran = run(machine, BUSY, BUSY)
    assert (ran.returncode, ran.stderr) == (0, "")
    updates = [call for call in calls(machine) if call.endswith(" update")]
    assert len(updates) == 3
    assert calls(machine).count("slept") == 2
    assert calls(machine)[-1].endswith("--no-install-recommends chromium-headless-shell")
    assert all("DPkg::Lock::Timeout=300" in call for call in calls(machine) if call != "slept")


def test_what_is_done_is_said(machine: Path) -> None:
    packages, lists, installing = run(machine).stdout.splitlines()
    assert packages == "Debian packages to install: chromium-headless-shell"
    assert "300 s more while another apt works" in lists
    assert "300 s more while another apt works" in installing


def test_other_failure_is_shown_at_once(machine: Path) -> None:
    ran = run(machine, "E: no network")
    assert (ran.returncode, ran.stderr) == (1, "E: no network\n")
    assert "slept" not in calls(machine)


def test_nothing_is_said_or_done_where_nothing_is_missing(machine: Path) -> None:
    (machine / "bin" / "dpkg-query").write_text("#!/bin/sh\necho install ok installed\n")
    ran = run(machine)
    assert (ran.returncode, ran.stdout, (machine / "calls").exists()) == (0, "", False)


def test_plan_says_what_would_be_installed_and_does_nothing(machine: Path) -> None:
    ran = run(machine, flags=("--plan",))
    assert ran.stdout == (
        "Debian packages to be installed, in a minute or two: chromium-headless-shell\n"
    )
    assert not (machine / "calls").exists()


@pytest.fixture
def no_debian(machine: Path) -> Path:
    """A machine that has neither apt-get nor dpkg, but what the script is written with."""
    for name in ("apt-get", "dpkg-query", "sleep"):
        (machine / "bin" / name).unlink()
    for name in ("sh", "grep", "node", "npm"):
        found = shutil.which(name)
        assert found
        (machine / "bin" / name).symlink_to(found)
    # The script adds /usr/sbin and /sbin, where no Debian has apt-get.
    return machine


def test_machine_without_apt_is_told_which_programs_to_install(no_debian: Path) -> None:
    ran = run(no_debian, PATH=str(no_debian / "bin"), CHROMIUM="/none")
    assert ran.returncode == 1
    assert "  /none    (Debian's package chromium-headless-shell)\n" in ran.stderr


def test_machine_without_apt_that_has_the_programs_goes_on(no_debian: Path) -> None:
    ran = run(no_debian, PATH=str(no_debian / "bin"), CHROMIUM="/bin/sh")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
