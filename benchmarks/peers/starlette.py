"""sse-starlette under uvicorn with its C extras (uvloop, httptools), from PyPI."""

from __future__ import annotations

from peers import python
from peers.base import APPS, Peer


class SseStarlette(Peer):
    name = "sse-starlette"
    title = "sse-starlette"

    def install(self) -> None:
        python.install()

    def version(self) -> str:
        packages = ("sse-starlette", "uvicorn", "uvloop")
        return ", ".join(f"{package} {python.version(package)}" for package in packages)

    def command(self, port: int) -> list[str]:
        options = ["--port", str(port), "--backlog", "4096", "--no-access-log", "--app-dir"]
        return [str(python.PYTHON), "-m", "uvicorn", "starlette_app:app", *options, str(APPS)]


SSE_STARLETTE = SseStarlette()
