"""The recipes of docs/recipes.md, run as they stand there."""

from __future__ import annotations

import random
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until

RECIPES = (Path(__file__).parents[2] / "docs/recipes.md").read_text()
SNIPPETS = re.findall(r"```(\w+)\n(.*?)```", RECIPES, re.DOTALL)
RELOADS = 4


def snippets(kind: str) -> list[str]:
    return [text for its_kind, text in SNIPPETS if its_kind == kind]


def run(script: str, hub: HubProcess) -> str:
    """What a shell prints that runs `script` against `hub`."""
    script = "set -e\n" + script.replace("localhost:3000", f"127.0.0.1:{hub.port}")
    ran = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_every_snippet_is_run_by_a_test() -> None:
    assert [kind for kind, _ in SNIPPETS] == [
        *("sh", "js", "sh", "text"),
        *("python", "js"),
        *("toml", "sh", "text"),
    ]


def test_job_is_followed_to_its_end(start_hub: StartHub, page: Page) -> None:
    hub = start_hub("--retry", "1000")
    job, wait, _ = snippets("sh")
    expected, _ = snippets("text")
    topic, told = run(job + wait, hub).split("\n", 1)
    assert told == expected
    page.goto(hub.url + "/healthz")  # of the hub's origin, and with no script of its own
    shown = page.evaluate(
        f"""(topic) => {{ {snippets("js")[0]}
          return new Promise((resolve) => watchJob(topic, resolve)); }}""",
        topic,
    )
    assert shown == "All files are converted"


def publisher() -> Callable[[str, str, list[str]], None]:
    """`publish_answer`, as the page has it."""
    names: dict[str, Any] = {}
    exec(snippets("python")[0], names)
    publish: Callable[[str, str, list[str]], None] = names["publish_answer"]
    return publish


def test_answer_is_whole_whenever_its_page_is_reloaded(start_hub: StartHub, page: Page) -> None:
    hub = start_hub("--retry", "1000")
    tokens = [f"{number}é " for number in range(400)]
    text = "".join(tokens)
    work = threading.Thread(target=publisher(), args=(hub.url, "answers/1", tokens))
    page.goto(hub.url + "/healthz")
    work.start()
    read = snippets("js")[1]
    for at in sorted(random.Random(13).sample(range(1, 400), RELOADS)):
        seen = page.evaluate(
            f"""(at) => {{ {read}
              return new Promise((resolve) => readAnswer("answers/1", (text) => {{
                if (text.length >= at) resolve(text);
              }})); }}""",
            len("".join(tokens[:at])),
        )
        assert text.startswith(seen)
        page.reload()
    assert (
        page.evaluate(f"""() => {{ {read} return readAnswer("answers/1", () => {{}}); }}""") == text
    )
    work.join()
    # After its end too, and then the browser stays away.
    page.reload()
    assert (
        page.evaluate(f"""() => {{ {read} return readAnswer("answers/1", () => {{}}); }}""") == text
    )


def test_alerts_stay_when_the_history_moves_on_and_the_hub_is_started_anew(
    start_hub: StartHub, tmp_path: Path
) -> None:
    (settings,) = snippets("toml")
    config = tmp_path / "hub.toml"
    config.write_text(settings.replace("/var/lib/tocsin", str(tmp_path)))
    hub = start_hub("--config", str(config), "--history-events", "500")
    publish, expected = snippets("sh")[-1], snippets("text")[-1]
    assert run(publish, hub) == expected
    limit = 'tocsin_history_evicted_total{reason="journal"}'
    wait_until(lambda: hub.metric(limit) >= 500, what="the history to move on")
    asked = publish.splitlines()[-1]
    assert run(asked, hub) == expected
    assert hub.stop() == 0
    again = start_hub("--config", str(config), "--history-events", "500")
    assert run(asked, again) == expected
