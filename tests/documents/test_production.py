"""docs/production.md from top to bottom: its commands and settings, with the places of a test instead of the machine's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.documents.blocks import block, blocks
from tests.hub_process import HubProcess, free_ports
from tests.patience import PATIENCE_S
from tests.proxy_process import Nginx

PAGE = "docs/production.md"
NOT_RUN = {
    "apt-get": "it changes the machine; the tests' packages are there",
    "python3 -m venv": "tests/process/test_package.py installs the package",
    "/opt/tocsin/bin/pip": "the same",
    "cp config/systemd/": "it changes the machine; tests/process/test_systemd.py holds the units",
    "systemctl": "there is no systemd",
    "cp config/proxies/": "Nginx, below, starts with this file",
    "nginx -t": "the same",
    "tocsin serve": "tests/process/test_processes.py does",
}
"""Commands by how they begin, and why they aren't run."""


class Machine:
    """A folder that stands for the root of a machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("opt/tocsin", "etc", "var/lib/tocsin", "var/backups"):
            (root / folder).mkdir(parents=True)
        (root / "opt/tocsin/bin").symlink_to(Path(sys.executable).parent)
        self.variables: dict[str, str] = {}
        self.ran: set[str] = set()

    def place(self, text: str) -> str:
        """`text` with this machine's places."""
        return re.sub(r"(?<![\w.])/(opt|etc|var)/", rf"{self.root}/\1/", text)

    def run(self, command: str) -> str:
        """Run a line of the page; what it prints."""
        self.ran.add(command)
        local = self.place(command).replace("https://hub.example", self.variables.get("HUB", ""))
        ran = subprocess.run(
            ["bash", "-c", local],
            env=os.environ | self.variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ran.returncode in (0, 28), f"{local}: {ran.stderr}"  # 28: curl's --max-time
        return ran.stdout.strip()

    def start(self) -> HubProcess:
        """The hub with the settings in its file; the ports are the test's."""
        lines = (self.root / "etc/tocsin/tocsin.env").read_text().splitlines()
        env = dict(line.split("=", 1) for line in lines)
        metrics = f"127.0.0.1:{free_ports(1)[0]}"
        return HubProcess("--metrics-listen", metrics, env=env)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def commands(beginning: str) -> list[str]:
    return block(PAGE, beginning, "sh").shell_lines()


def test_page_works_from_top_to_bottom(machine: Machine) -> None:
    make_folder, add_shop, add_operator, let_read = commands("install --directory")
    machine.run(make_folder)
    machine.variables["SECRET"] = machine.run(add_shop)
    operator = machine.run(add_operator)
    machine.run(let_read)
    settings = machine.place(block(PAGE, "TOCSIN_KEYS", "ini").text)
    (machine.root / "etc/tocsin/tocsin.env").write_text(settings)
    for command in commands("echo"):
        machine.run(command)
    assert (machine.root / "etc/tocsin/keys.toml").stat().st_mode & 0o777 == 0o644

    with closing(machine.start()) as hub, closing(Nginx(hub.port)) as nginx:
        machine.variables["HUB"] = nginx.url
        ready, publish, listen = commands("curl -s https://hub.example/readyz")
        assert '"ready"' in machine.run(ready)
        assert '"success":true' in machine.run(publish)
        heard = machine.run(listen)
        assert heard.index("event: connection") < heard.index("It works")
        (backup,) = commands("/opt/tocsin/bin/tocsin journal backup")
        machine.run(backup)
        machine.variables["SECRET"] = operator
        machine.run(publish)
        assert hub.stop() == 0

    # Back to the backup, as the page tells.
    (copy,) = (machine.root / "var/backups").iterdir()
    folder = machine.root / "var/lib/tocsin"
    shutil.copyfile(copy, folder / "journal.db")
    for other in set(folder.iterdir()) - {folder / "journal.db"}:
        other.unlink()
    with closing(machine.start()) as hub, closing(Nginx(hub.port)) as nginx:
        machine.variables["HUB"] = nginx.url
        assert machine.run(listen.replace("last=1", "last=9")).count("It works") == 1
        assert hub.stop() == 0

    left = {
        line for each in blocks(PAGE) if each.language == "sh" for line in each.shell_lines()
    } - machine.ran
    assert [line for line in sorted(left) if not line.startswith(tuple(NOT_RUN))] == []
