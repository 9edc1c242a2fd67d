"""The bare C loop: the least work there is; see apps/cloop.c."""

from __future__ import annotations

from peers.base import APPS, CACHE, Peer, run

SOURCE = APPS / "cloop.c"
BINARY = CACHE / "cloop"


class CLoop(Peer):
    def __init__(self, name: str, title: str, *flags: str) -> None:
        self.name = name
        self.title = title
        self._flags = flags

    def install(self) -> None:
        if not BINARY.exists() or BINARY.stat().st_mtime < SOURCE.stat().st_mtime:
            CACHE.mkdir(parents=True, exist_ok=True)
            run("gcc", "-O2", "-Wall", "-Wextra", "-o", BINARY, SOURCE)

    def version(self) -> str:
        return run("gcc", "--version").splitlines()[0] + " -O2"

    def command(self, port: int) -> list[str]:
        return [str(BINARY), str(port), *self._flags]


CLOOP = CLoop("cloop", "C loop, one send per event")
CLOOP_BATCH = CLoop("cloop-batch", "C loop, batched", "--batch")
