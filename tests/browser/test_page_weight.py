"""How much the page is, as served to a browser."""

from __future__ import annotations

from playwright.sync_api import Page, Response

from tests.browser.dashboard import StartHub, open_dashboard

MOST_JS = 60 * 1024
MOST_CSS = 15 * 1024


def test_page_is_light(start_hub: StartHub, page: Page) -> None:
    served: dict[str, int] = {"js": 0, "css": 0}

    def add(response: Response) -> None:
        kind = response.url.rpartition(".")[2]
        if kind in served:
            served[kind] += int(response.headers["content-length"])

    page.on("response", add)
    hub = start_hub()
    open_dashboard(page, hub)
    # The worker's script is not among the page's own responses; what it imports the page has loaded.
    answer = page.request.get(f"{hub.url}/client/v1/worker.js")
    worker = int(answer.headers["content-length"])
    print(f"\nas served {served}, the worker at most {worker} more")
    assert served["js"] + worker <= MOST_JS
    assert served["css"] <= MOST_CSS
