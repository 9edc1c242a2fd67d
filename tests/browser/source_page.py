"""A page that has a `TocsinSource`, and a record of what it was told."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.patience import wait_until

OPEN = """async ([module, url, options, policy]) => {
  const { TocsinSource } = await import(module);
  const record = globalThis.record = { events: [], states: [], opened: 0, errors: 0 };
  const types = globalThis.trustedTypes;
  if (policy) options.trustedTypes = types.createPolicy(policy, { createScriptURL: (address) => address });
  const source = globalThis.source = new TocsinSource(url, options);
  for (const type of ["connection", "gap", "notification"]) {
    source.addEventListener(type, ({ data, lastEventId }) => record.events.push({ type, data, lastEventId }));
  }
  source.onopen = () => (record.opened += 1);
  source.onerror = () => (record.errors += 1);
  source.addEventListener("tocsin:state", ({ detail }) => record.states.push(detail));
}"""


class SourcePage:
    """One tab, whose document is loaded already.

    Args:
        page: the tab.
        module: the client's address.
        url: the stream's.
        policy: the name of a policy for Trusted Types that the page makes and hands over.
        options: the source's.
    """

    def __init__(self, page: Page, module: str, url: str, policy: str = "", **options: Any) -> None:
        self.page = page
        self._arguments = [module, url, options, policy]
        if module:
            self.open()

    @classmethod
    def of_app(cls, page: Page, url: str) -> SourcePage:
        """The page at `url`, which makes the source and the record itself."""
        page.goto(url)
        return cls(page, "", "")

    def open(self) -> None:
        """Make the source, and begin a new record."""
        self.page.evaluate(OPEN, self._arguments)

    def reload(self) -> None:
        """Load the page anew, which does the same again."""
        self.page.reload()
        self.open()

    def get(self, what: str) -> Any:
        return self.page.evaluate(f"() => {what}")

    @property
    def state(self) -> dict[str, Any]:
        """The last that it was told, empty at first."""
        state: dict[str, Any] = self.get("record.states.at(-1) ?? {}")
        return state

    def ids(self) -> list[str]:
        """Of the published events, in their order."""
        script = "record.events.filter(({ type }) => type === 'notification')"
        ids: list[str] = self.get(f"{script}.map(({{ lastEventId }}) => lastEventId)")
        return ids

    def wait_phase(self, phase: str) -> None:
        wait_until(lambda: self.state.get("phase") == phase, what=f"{phase}, but {self.state}")

    def wait_ids(self, *ids: str) -> None:
        """Wait until it was told these, and check that there were no others."""
        wait_until(lambda: set(ids) <= set(self.ids()), what=f"events {ids}")
        assert self.ids() == list(ids)
