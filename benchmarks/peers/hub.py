"""Tocsin itself, with its default settings: metrics, log, limits and checks are on.

Which Tocsin, a `Build` tells: of any commit, under any interpreter and loop. How it is started, a kind:
as people do, with a switch for its metrics, with its loop's turns timed, or with its log in a file.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from peers.base import CACHE, Peer, run, turns_file
from tocsin.bench import BenchError, Target

CHECKOUT = Path(__file__).parents[2]
WITH_LOOP = CHECKOUT / "benchmarks" / "with_loop.py"
UVLOOP = "uvloop==0.23.0"
UVLOOP_HOME = CACHE / "uvloop"

TOCSIN, SWITCHED, TIMED, SQLITE = KINDS = (
    "tocsin",
    "tocsin-switched",
    "tocsin-timed",
    "tocsin-sqlite",
)

JOURNALS = CACHE / "journals"
"""Where hubs with a journal on the disk keep it."""


@dataclass(frozen=True)
class Build:
    """A hub's code and what runs it.

    Args:
        name: what people call it.
        root: a checkout; its code is imported, whatever is installed.
        python: an interpreter with the hub's dependencies.
        uvloop: whether it runs on uvloop instead of asyncio's loop.
    """

    name: str
    root: Path = CHECKOUT
    python: str = sys.executable
    uvloop: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """Where the interpreter looks first, before what is installed."""
        paths = [self.root / "server", *([UVLOOP_HOME] if self.uvloop else [])]
        return {"PYTHONPATH": ":".join(map(str, paths))}

    def check(self) -> str:
        """Where its code is imported from.

        Raises:
            BenchError: another hub would be measured.
        """
        code = "import tocsin; print(tocsin.__file__)"
        file = run(self.python, "-c", code, environment=self.environment).strip()
        if not Path(file).is_relative_to(self.root / "server"):
            raise BenchError(f"{self.name}: {file} isn't in {self.root}")
        return file


THIS = Build("Tocsin")


def build_of(commit: str) -> Build:
    """The hub of another commit, in a worktree of its own.

    Raises:
        BenchError: there is no such commit.
    """
    short = run("git", "rev-parse", "--short=7", f"{commit}^{{commit}}", cwd=CHECKOUT).strip()
    root = CACHE / "commits" / short
    if not root.exists():
        run("git", "worktree", "prune", cwd=CHECKOUT)
        run("git", "worktree", "add", "--detach", root, short, cwd=CHECKOUT)
    return Build(short, root)


def variant(name: str) -> Build:
    """The hub of this checkout on ``uvloop``, or under another interpreter, such as ``python3.13``.

    Raises:
        BenchError: it can't be had.
    """
    if name == "uvloop":
        if not (UVLOOP_HOME / "uvloop").exists():
            run(sys.executable, "-m", "pip", "install", "--quiet", "--target", UVLOOP_HOME, UVLOOP)
        return Build(name, uvloop=True)
    home = CACHE / name
    if not (home / "installed").exists():
        run(_interpreter(name), "-m", "venv", "--clear", home)
        # The same versions of what the hub needs: it is the interpreter that is measured.
        pinned = home / "constraints.txt"
        frozen = run(sys.executable, "-m", "pip", "freeze", "--exclude-editable")
        pinned.write_text(frozen)
        pip = (home / "bin" / "python", "-m", "pip", "install", "--quiet")
        run(*pip, "--disable-pip-version-check", "-c", pinned, "--editable", CHECKOUT)
        (home / "installed").touch()
    return Build(name, python=str(home / "bin" / "python"))


def _interpreter(name: str) -> str:
    """The path of ``python3.X``: on PATH, or one that pyenv has."""
    if not re.fullmatch(r"python3\.\d+", name):
        raise BenchError(f"variants: uvloop, python3.X; not {name}")
    version = name.removeprefix("python")
    tried = [shutil.which(name) or ""]
    if shutil.which("pyenv"):
        root = Path(run("pyenv", "root").strip()) / "versions"
        tried += [str(each / "bin" / name) for each in sorted(root.glob(version + ".*"))[::-1]]
    for path in tried:
        try:
            return run(path, "-c", "import sys; print(sys.executable)").strip() if path else ""
        except BenchError:  # a shim of an interpreter that isn't chosen
            continue
    raise BenchError(f"{name} isn't installed; tried {tried}")


class Hub(Peer):
    def __init__(self, kind: str, build: Build = THIS) -> None:
        self.name = kind
        self.title = build.name + (", sqlite:" if kind == SQLITE else "")
        self.build = build

    @property
    def log_name(self) -> str:
        return f"{self.name}-{self.build.name}"

    def install(self) -> None:
        self.build.check()

    def version(self) -> str:
        build = self.build
        code = "import sys; print(sys.version.split()[0])"
        return (
            run(build.python, "-m", "tocsin", "--version", environment=build.environment).strip()
            + f", Python {run(build.python, '-c', code).strip()}"
            + (f", {UVLOOP}" if build.uvloop else "")
        )

    def command(self, port: int) -> list[str]:
        program = [self.build.python, *self._program(port), "serve", "--port", str(port)]
        return [*program, *(("--journal", self._new_journal()) if self.name == SQLITE else ())]

    def _new_journal(self) -> str:
        """An empty log on the disk, in place of the last one."""
        folder = JOURNALS / self.log_name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return f"sqlite:{folder / 'journal.db'}"

    def _program(self, port: int) -> list[str]:
        if self.name in (TOCSIN, SQLITE):
            return [str(WITH_LOOP), "uvloop"] if self.build.uvloop else ["-m", "tocsin"]
        if self.build.uvloop:
            raise BenchError(f"{self.name} needs asyncio's loop")
        if self.name == SWITCHED:  # its own: it knows the names of what it switches
            return [str(self.build.root / "benchmarks" / "switched.py")]
        return [str(WITH_LOOP), f"timed:{turns_file(port)}"]

    def environment(self) -> dict[str, str]:
        return self.build.environment

    def topic_target(self, port: int) -> Target:
        return Target(
            "127.0.0.1",
            port,
            events="/events?topic={topic}",
            body='{"type":"bench","message":"{message}","topic":"{topic}"}',
        )


HUBS = tuple(Hub(kind) for kind in KINDS)
