"""The command as a process, and a terminal for it."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import Any
from unittest import mock

import pytest

from tests.patience import PATIENCE_S
from tocsin.cli.main import main

COMMAND = (sys.executable, "-m", "tocsin")


def environment(**variables: str) -> dict[str, str]:
    """This one without the hub's variables, and with `variables`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_") and k != "NO_COLOR"}
    return kept | variables


def tocsin(
    *arguments: str, input: str = "", env: dict[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=input,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env=environment(**(env or {})),
        **more,
    )


def refusal(*arguments: str) -> tuple[int | str | None, str, str]:
    """Exit code, output and error of a command line that is refused, within this process: it starts nothing."""
    out, said = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["tocsin", *arguments]),
        mock.patch.dict(os.environ, environment(), clear=True),
        redirect_stdout(out),
        redirect_stderr(said),
        pytest.raises(SystemExit) as raised,
    ):
        main()
    return raised.value.code, out.getvalue(), said.getvalue()


class Running:
    """The command as it runs, with pipes; `stop` kills it."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(**(env or {})),
            # Where the tests run in the background of a shell, SIGINT is ignored, and what they start inherits that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.pid = self._process.pid
        self.lines: list[str] = []
        self.said: list[str] = []
        self._threads = [
            threading.Thread(target=self._read, args=pipe, daemon=True)
            for pipe in ((self._process.stdout, self.lines), (self._process.stderr, self.said))
        ]
        for thread in self._threads:
            thread.start()

    def send(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        code = self._process.wait(PATIENCE_S)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        return code

    def stop(self) -> None:
        self._process.kill()
        self.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe
            with suppress(BrokenPipeError):
                pipe.close()

    def _read(self, pipe: Any, lines: list[str]) -> None:
        for line in pipe:
            lines.append(line.decode().removesuffix("\n"))


def on_a_terminal(*arguments: str, input: str = "", env: dict[str, str] | None = None) -> str:
    """What the command writes to a terminal, on both of its outputs."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=its,
        stderr=its,
        env=environment(**(env or {})),
    )
    os.close(its)
    written = bytearray()

    def read() -> None:
        with suppress(OSError):  # the end of a terminal
            while data := os.read(ours, 65_536):
                written.extend(data)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    try:
        process.communicate(input.encode(), timeout=PATIENCE_S)
        reading.join(PATIENCE_S)
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        os.close(ours)
    return written.decode()
