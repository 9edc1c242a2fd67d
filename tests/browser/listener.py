"""A page that only listens: the link that the dashboard uses, and a record of all that it hands over."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from playwright.sync_api import Error, Page

from tests.patience import PATIENCE_S, wait_until
from tocsin.http.routes.pages import PAGE_FIELDS

# A document without a script of its own, under the dashboard's own policies.
DOCUMENT = "<!doctype html><title>Listener</title><link rel=icon href=/favicon.svg>"

RECORD = """async () => {
  const { openLink } = await import("/client/v1/tocsin.js");
  const record = { events: [], news: [], batches: [], states: [], dropped: 0, totals: null, state: null };
  globalThis.record = record;
  const url = new URL("/events?presence=1", location.href).href;
  globalThis.link = openLink({
    url,
    onBatch({ events, history, dropped, totals }) {
      record.batches.push({ at: performance.now(), size: events.length, history });
      record.events.push(...events);
      record.news.push(...events.slice(history));
      record.dropped += dropped;
      record.totals = totals;
    },
    onState(state) {
      record.state = state;
      record.states.push(state);
    },
  });
  link.connect();
}"""

# A page's published events are those with an ID of their own, apart from the hub's welcome.
PUBLISHED = "(event) => event.ownId && event.type !== 'connection'"


def open_document(page: Page, hub_url: str, **policies: str) -> None:
    """Go to the empty document, at `/listener`; `policies` take the place of the dashboard's."""
    headers = dict(PAGE_FIELDS) | policies
    page.route(
        "**/listener",
        lambda route: route.fulfill(body=DOCUMENT, content_type="text/html", headers=headers),
    )
    page.goto(hub_url + "/listener")


class Listener:
    """One tab."""

    def __init__(self, page: Page, hub_url: str, **policies: str) -> None:
        self.page = page
        open_document(page, hub_url, **policies)
        self.record()

    def record(self) -> None:
        """Open the link, and begin a new record."""
        self.page.evaluate(RECORD)

    def reload(self) -> None:
        """Load the page anew, as its reader would; the record begins anew too."""
        self.page.reload()
        self.record()

    def close(self) -> None:
        self.page.close()

    def crash(self) -> None:
        """End the tab's process: no handler of the page runs any more."""
        with pytest.raises(Error):
            self.page.goto("chrome://crash", timeout=PATIENCE_S * 1_000)

    def ids(self, of: str = "events") -> list[str]:
        """The ids of the published events it was handed, in their order; `of="news"`: without history."""
        found: list[str] = self.page.evaluate(
            f"() => record.{of}.filter({PUBLISHED}).map(({{ id }}) => id)"
        )
        return found

    def count(self) -> int:
        number: int = self.page.evaluate(f"() => record.events.filter({PUBLISHED}).length")
        return number

    def data(self, type: str, of: str = "events") -> list[Any]:
        """What the events of a type hold, in their order."""
        found: list[Any] = self.page.evaluate(
            f"(type) => record.{of}.filter((event) => event.type === type)"
            ".map(({ data }) => JSON.parse(data))",
            type,
        )
        return found

    def get(self, what: str) -> Any:
        """Something of the record: `state`, `totals`, `batches`, `dropped`."""
        return self.page.evaluate(f"() => record.{what}")

    def call(self, method: str) -> None:
        self.page.evaluate(f"() => link.{method}()")

    @property
    def phase(self) -> str:
        state = self.get("state")
        return state["phase"] if state else "none"

    def wait_phase(self, phase: str) -> None:
        wait_until(
            lambda: self.phase == phase, what=f"phase {phase}, but before it {self.get('state')}"
        )

    def passed(self, phase: str) -> list[str]:
        """The phases up to the first `phase`, without repeats in a row; none if it hasn't come."""
        phases = [state["phase"] for state in self.get("states")]
        told = [name for name, _ in groupby(phases)]
        return told[: told.index(phase) + 1] if phase in told else []

    def wait_for(self, *ids: str) -> None:
        """Wait until it has been handed these."""
        wait_until(lambda: set(ids) <= set(self.ids()), what=f"events {ids}")
