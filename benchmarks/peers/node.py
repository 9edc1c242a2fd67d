"""Express, as in the workshop that the hub grew out of, and better-sse: on Node, from npm."""

from __future__ import annotations

import json
import shutil

from peers.base import APPS, CACHE, Peer, run

PACKAGE = APPS / "package.json"
HOME = CACHE / "node"


class NodePeer(Peer):
    def __init__(self, name: str, title: str, package: str, script: str) -> None:
        self.name = name
        self.title = title
        self._package = package
        self._script = APPS / script

    def install(self) -> None:
        installed = HOME / PACKAGE.name
        if not installed.exists() or installed.read_bytes() != PACKAGE.read_bytes():
            HOME.mkdir(parents=True, exist_ok=True)
            shutil.copy(PACKAGE, HOME / "wanted.json")
            (HOME / "wanted.json").rename(installed)
            run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", cwd=HOME)

    def version(self) -> str:
        manifest = HOME / "node_modules" / self._package / "package.json"
        version = json.loads(manifest.read_text())["version"]
        return f"{self._package} {version}, Node {run('node', '--version').strip()}"

    def command(self, port: int) -> list[str]:
        return ["node", str(self._script), str(port)]

    def environment(self) -> dict[str, str]:
        return {"NODE_PATH": str(HOME / "node_modules"), "NODE_ENV": "production"}


EXPRESS = NodePeer("express", "Express", "express", "express.js")
BETTER_SSE = NodePeer("better-sse", "better-sse", "better-sse", "better_sse.js")
