"""The page's parser against the browser's own: the same bytes, the same events."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.browser.listener import open_document
from tests.scripted_hub import Answer, Script, ScriptedHub

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "client_js/unit/vectors.json").read_text()
)

# What EventSource dispatches until the stream ends, and what our parser makes of the same bytes.
READ_BOTH = """async ([count, types]) => {
  const { EventStreamParser } = await import("/client/v1/parser.js");
  const { TocsinSource } = await import("/client/v1/tocsin.js");
  const readBy = (make) => new Promise((resolve) => {
    const events = [];
    const source = make();
    for (const type of types) {
      source.addEventListener(type, ({ type, data, lastEventId }) => events.push([type, data, lastEventId]));
    }
    source.onerror = () => (source.close(), resolve(events));
  });
  const native = (url) => readBy(() => new EventSource(url));
  const client = (url) => readBy(() => new TocsinSource(url, { shared: "never" }));
  const ours = async (url) => {
    const events = [];
    const parser = new EventStreamParser({ onEvent: ({ type, data, id }) => events.push([type, data, id]) });
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    for await (const chunk of (await fetch(url)).body) parser.push(decoder.decode(chunk, { stream: true }));
    return events;
  };
  const urls = Array.from({ length: count }, (_, n) => `/vector/${n}`);
  const results = [];
  for (const url of urls) results.push({ native: await native(url), ours: await ours(url), client: await client(url) });
  return results;
}"""


def bytes_of(vector: dict[str, Any]) -> bytes:
    if "hex" in vector:
        return bytes.fromhex(vector["hex"])
    text: str = vector["text"]
    return text.encode()


def test_parser_and_event_source_dispatch_the_same(
    script_hub: Callable[[Script], ScriptedHub], page: Page
) -> None:
    def script(path: str, before: int) -> Answer | None:
        folder, _, number = path.rpartition("/")
        return Answer(bytes_of(VECTORS[int(number)])) if folder == "/vector" else None

    open_document(page, script_hub(script).url)
    types = {event[0] for vector in VECTORS for event in vector["events"]}
    results = page.evaluate(READ_BOTH, [len(VECTORS), sorted(types)])
    for vector, result in zip(VECTORS, results, strict=True):
        assert result["native"] == vector["events"], f"Chromium: {vector['name']}"
        assert result["ours"] == vector["events"], vector["name"]
        assert result["client"] == vector["events"], f"TocsinSource: {vector['name']}"
