"""Programs that run the client, each with one source that a test talks to."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.node import node_program
from tests.patience import PATIENCE_S, wait_until
from tests.tied import TIED

HERE = Path(__file__).parent


def installed(folder: Path) -> Path:
    """The packages of the lock file in `folder`, installed beside it."""
    npm = shutil.which("npm")
    assert npm, "these tests need npm: apt-get install npm"
    wanted, found = folder / "package-lock.json", folder / "node_modules/.package-lock.json"
    if not found.exists() or found.stat().st_mtime < wanted.stat().st_mtime:
        command = [npm, "ci", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=folder, check=True, timeout=PATIENCE_S * 10)
    return folder / "node_modules"


def command_of(runtime: str) -> list[str]:
    """How `runtime` runs a script: `node`, `deno` or `bun`."""
    if runtime == "node":
        return [node_program()]
    modules = installed(HERE / "runtimes")
    if runtime == "deno":
        (program,) = modules.glob("@deno/*/deno")
        return [str(program), "run", "--quiet", "--no-config", "--allow-all"]
    # Its install script, which npm may have been told not to run, moves the program.
    program = next(modules.glob("@oven/bun-*/bin/bun"), modules / "bun/bin/bun.exe")
    return [str(program), "run"]


class Source:
    """A program with one `TocsinSource`.

    Attributes:
        lines: what it has printed, in its order.
    """

    def __init__(self, url: str, runtime: str = "node", **options: Any) -> None:
        self.lines: list[dict[str, Any]] = []
        command = [*TIED, *command_of(runtime), "source.mjs", url, json.dumps(options)]
        self._process = subprocess.Popen(
            command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.lines.append(json.loads(line))

    def say(self, **command: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def events(self, *types: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("type") in types]

    def ids(self) -> list[str]:
        return [line["lastEventId"] for line in self.events("notification", "alert")]

    def messages(self) -> list[str]:
        events = self.events("notification", "alert")
        return [json.loads(line["data"])["message"] for line in events]

    def said(self, what: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("is") == what]

    @property
    def state(self) -> dict[str, Any]:
        return (self.said("state") or [{}])[-1]

    def wait_phase(self, phase: str) -> None:
        wait_until(lambda: self.state.get("phase") == phase, what=f"{phase}: {self.lines[-3:]}")

    def wait_end(self) -> int:
        """Wait until the program has ended by itself, and return its exit code."""
        code = self._process.wait(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        return code

    def close(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()
