"""A real Firefox, driven over WebDriver BiDi (W3C): just enough to open a page and run a script in it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.browser.foreign_page import EVIL
from tests.patience import PATIENCE_S
from tests.tied import TIED

# Not /usr/bin/firefox-esr, a shell script: a signal to it wouldn't reach the browser.
FIREFOX = os.environ.get("FIREFOX", "/usr/lib/firefox-esr/firefox-esr")
LISTENS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")

PREFERENCES: dict[str, object] = {
    "network.dns.localDomains": EVIL,  # resolved to 127.0.0.1
    "network.proxy.type": 0,
    # Nothing goes to anybody's servers.
    "app.update.disabledForTesting": True,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "devtools.jsonview.enabled": False,  # it puts a page of its own around an answer in JSON
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/",
    "toolkit.telemetry.enabled": False,
}


class Firefox:
    """One tab of a Firefox that `firefox` has started."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._tab = ""

    async def begin(self) -> None:
        """Open a session, and know its tab."""
        await self._command("session.new", {"capabilities": {}})
        tree = await self._command("browsingContext.getTree", {})
        self._tab = tree["contexts"][0]["context"]

    async def goto(self, url: str) -> None:
        """Load the page at `url`."""
        where = {"context": self._tab, "url": url, "wait": "complete"}
        await self._command("browsingContext.navigate", where)

    async def evaluate(self, function: str, argument: str) -> Any:
        """What `function`, JavaScript's, comes to with `argument`, when what it promises has come."""
        told = await self._command(
            "script.callFunction",
            {
                "functionDeclaration": f"async (it) => JSON.stringify(await ({function})(it))",
                "arguments": [{"type": "string", "value": argument}],
                "awaitPromise": True,
                "target": {"context": self._tab},
            },
        )
        assert told["type"] == "success", told
        return json.loads(told["result"]["value"])

    async def _command(self, method: str, parameters: Mapping[str, object]) -> Any:
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters}
        await self._socket.write_message(json.dumps(command))
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self._socket.read_message()
                assert message is not None, f"{method}: Firefox ended"
                told = json.loads(message)
                if told.get("id") == number:  # else it is an event, or of another command
                    assert told["type"] == "success", told
                    return told["result"]


@asynccontextmanager
async def firefox() -> AsyncIterator[Firefox]:
    """A Firefox with a profile of its own; it ends with the block."""
    profile = Path(tempfile.mkdtemp(prefix="tocsin-firefox-"))
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines))
    command = [*TIED, FIREFOX, "--headless", "--no-remote", "--profile", str(profile)]
    with (profile / "log").open("w+") as log:
        process = subprocess.Popen(
            [*command, "--remote-debugging-port", "0", "about:blank"],
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(profile)},
        )
        try:
            address = await _address(process, profile / "log")
            socket = await websocket_connect(f"{address}/session")
            browser = Firefox(socket)
            try:
                await browser.begin()
                yield browser
            finally:
                socket.close()
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
            shutil.rmtree(profile, ignore_errors=True)  # a child of it may still be writing


async def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, once it says so."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := LISTENS.search(log.read_text())):
            assert process.poll() is None, f"Firefox didn't start: {log.read_text()}"
            await asyncio.sleep(0.05)
    return found[1]
