"""docs/commands.md: its examples run, and it names every command and option."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click

from tests.cli.commands import environment
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S
from tests.process.test_api_docs import EXAMPLE, shown
from tocsin.cli.main import WithSettings, tocsin

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/commands.md").read_text()


def test_examples_print_what_the_page_says(tmp_path: Path) -> None:
    hub = HubProcess("--canary", "0")
    epoch = hub.get("/api/stats")["head"].partition("-")[0]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        examples = EXAMPLE.findall(PAGE)
        assert len(examples) == PAGE.count("```sh") > 3
        for command, _, expected in examples:
            ran = subprocess.run(
                ["bash", "-ec", command.replace("localhost:3000", f"127.0.0.1:{hub.port}")],
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
                cwd=tmp_path,
                env=environment(TOCSIN_URL=hub.url, PATH=path),
            )
            assert ran.returncode == 0, f"{command}: {ran.stderr}"
            if expected:
                assert shown(ran.stdout, epoch) == expected
        lines = (tmp_path / "orders.ndjson").read_text().splitlines()
        assert [json.loads(line)["type"] for line in lines] == ["order_paid"] * 2
    finally:
        hub.close()


def test_every_command_and_option_is_on_the_page() -> None:
    context = click.Context(tocsin)
    for name in tocsin.list_commands(context):
        command = tocsin.get_command(context, name)
        assert command is not None
        assert f"| `tocsin {name}` |" in PAGE, name
        if isinstance(command, click.Group | WithSettings):
            continue  # other pages have them
        section = PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        common = PAGE.partition("\n## Talk to a hub\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                flag = parameter.opts[-1]
                assert re.search(rf"\| `{flag}[ `]", section + common), f"{name} {flag}"
