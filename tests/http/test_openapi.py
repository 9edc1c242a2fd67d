"""The description of the API: complete, true of what the hub answers, and the same wherever it is read."""

from __future__ import annotations

import ast
import asyncio
import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from tests.access.keys import KeyFile
from tests.http.laters import as_it_comes
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S
from tests.raw import Answer, exchange, get, raw
from tests.sse import EventStreamParser
from tocsin import Hub, Settings
from tocsin.app import Wiring, openapi
from tocsin.core.event import RESERVED_TYPES
from tocsin.errors import CODES
from tocsin.http.docs_page import as_page
from tocsin.http.openapi import paths_of
from tocsin.http.operation import Operation
from tocsin.http.request import Request
from tocsin.http.routes.base import Route
from tocsin.http.routes.description import DescriptionRoute

PACKAGE = Path(__file__).parents[2] / "server/tocsin"

UNDESCRIBED = {"method_not_allowed"}
"""Codes of no operation: what they refuse is none."""

OF_FILES_OF_THE_OPERATOR = {"access/keys.py", "access/rights.py"}
"""Modules whose errors no request is answered with: they read a file of keys, and the claims of a token."""

Document = dict[str, Any]


def described(**settings: Any) -> Document:
    document: Document = json.loads(openapi(Settings(**settings)))
    return document


DOCUMENT = described()


def operations() -> Iterator[tuple[str, str, Document]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def routes() -> dict[str, Route]:
    edge = Wiring(Hub(Settings())).edge(with_metrics=True)
    return dict(paths_of(edge.routes, edge.prefixes, edge.others))


# --- complete ---------------------------------------------------------------------------------


def test_document_is_openapi() -> None:
    validate(DOCUMENT)


@pytest.mark.parametrize("path", routes())
def test_every_method_of_every_route_is_described(path: str) -> None:
    route = routes()[path]
    assert route.operations, f"{type(route).__name__} says nothing of what it takes and answers"
    assert {method.lower() for method in route.methods} == set(DOCUMENT["paths"][path])


def test_route_that_says_nothing_of_itself_takes_no_method() -> None:
    class Undescribed(Route):
        name = "undescribed"

    assert Undescribed.methods == ("OPTIONS",)


def own_operations() -> Iterator[Operation]:
    for route in routes().values():
        yield from route.operations


def test_every_code_is_that_of_an_operation() -> None:
    named = {c for each in own_operations() for codes in each.all_codes.values() for c in codes}
    assert named | UNDESCRIBED == set(CODES)


def raised(module: Path) -> Iterator[tuple[str, int | None]]:
    """The codes that `module` writes out, each with its status where that is written too."""
    for node in ast.walk(ast.parse(module.read_text())):
        if not isinstance(node, ast.Call):
            continue
        named = {each.arg: each.value for each in node.keywords}
        code, status = named.get("code"), named.get("status")
        if isinstance(node.func, ast.Name) and node.func.id == "refusal" and len(node.args) > 2:
            status, _, code = node.args[:3]
        if isinstance(code, ast.Constant):
            yield code.value, status.value if isinstance(status, ast.Constant) else None  # type: ignore[misc]


def test_every_code_in_the_source_is_declared_with_its_status() -> None:
    found = 0
    for module in PACKAGE.rglob("*.py"):
        if str(module.relative_to(PACKAGE)) in OF_FILES_OF_THE_OPERATOR:
            continue
        for code, status in raised(module):
            found += 1
            assert code in CODES, f"{module.name}: {code} is not in tocsin.errors.CODES"
            assert status is None or status in CODES[code].statuses, f"{module.name}: {code}"
    assert found > 50


def test_every_reserved_type_is_described_with_its_data() -> None:
    of_browsers = {"open", "error"}
    assert set(events_of_a_stream()) - {"any other"} == RESERVED_TYPES - of_browsers


def events_of_a_stream() -> dict[str, Document]:
    """The schemas of events' data, by event type."""
    reply = DOCUMENT["paths"]["/events"]["get"]["responses"]["200"]
    schema = reply["content"]["text/event-stream"]["schema"]
    return {each["title"]: each["properties"]["data"]["contentSchema"] for each in schema["anyOf"]}


def test_limits_are_those_of_the_settings() -> None:
    document = described(max_event_bytes=1_000, max_batch_events=7)
    event = document["components"]["schemas"]["PublishBody"]["properties"]
    taken = document["paths"]["/api/notify"]["post"]["requestBody"]["content"]
    _, batch = taken["application/json"]["schema"]["anyOf"]
    assert event["message"]["maxLength"] == 1_000
    assert batch["maxItems"] == 7


def test_every_field_is_described() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for field, said in schema["properties"].items():
            assert said.get("description"), f"{name}.{field}"


# --- where it is read -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    # An example that comes again is no other content under a known key.
    hub = HubProcess("--canary", "0", "--idempotency-window", "0.00001")
    yield hub
    assert "Traceback" not in hub.log()
    hub.close()


def test_command_prints_what_a_hub_with_these_settings_serves(
    hub: HubProcess, tmp_path: Path
) -> None:
    assert hub.get("/openapi.json") == DOCUMENT
    printed = subprocess.run(
        [sys.executable, "-m", "tocsin", "openapi", "--max-event-bytes", "1000"],
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert json.loads(printed.stdout) == described(max_event_bytes=1_000)


def test_description_is_compressed_and_known_again(hub: HubProcess) -> None:
    answer = exchange(hub.port, get("/openapi.json", "Accept-Encoding: gzip"))
    assert json.loads(gzip.decompress(answer.body)) == DOCUMENT
    tag = answer.headers["etag"]
    again = exchange(
        hub.port, get("/openapi.json", "Accept-Encoding: gzip", f"If-None-Match: {tag}")
    )
    assert (again.status, again.body) == (304, b"")


def test_description_is_for_everybody_and_says_what_credentials_are_taken(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    hub = HubProcess("--canary", "0", "--keys", keys.path, "--anonymous-subscribe", "*")
    document = hub.get("/openapi.json")
    hub.close()
    assert {} in document["paths"]["/api/history"]["get"]["security"]
    assert {} in document["paths"]["/api/session"]["get"]["security"]
    assert {} not in document["paths"]["/api/ticket"]["post"]["security"]
    assert document["paths"]["/api/notify"]["post"]["security"] == [{"bearer": []}, {"cookie": []}]
    assert {"ticket": []} in document["paths"]["/events"]["get"]["security"]
    assert document["paths"]["/api/streams"]["get"]["security"] == [{"bearer": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert {} in DOCUMENT["paths"]["/api/notify"]["post"]["security"]


def test_page_has_every_operation_and_every_link_in_it_leads_somewhere(hub: HubProcess) -> None:
    page = hub.text("/docs")
    assert "<script" not in page
    assert "://" not in page
    for method, path, _ in operations():
        if method not in ("head", "options"):
            assert f">{method.upper()} {path}</h3>" in page
    anchors = set(re.findall(r' id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors
    for target in set(re.findall(r'href="([^#"]+)"', page)):
        assert exchange(hub.port, get("/" + target.removeprefix("./"))).status == 200, target


def test_page_shows_text_of_any_kind_as_text() -> None:
    page = as_page("## A & <b>\n\n<i>one</i> `<two>`\n\n| a |\n| --- |\n| `x\\|y` <u> |\n").decode()
    assert '<h2 id="a-b">A &amp; &lt;b&gt;</h2>' in page
    assert "<p>&lt;i&gt;one&lt;/i&gt; <code>&lt;two&gt;</code></p>" in page
    assert "<td><code>x|y</code> &lt;u&gt;</td>" in page


# --- true -------------------------------------------------------------------------------------

EXAMPLES = [
    (method, path, parameter)
    for method, path, operation in operations()
    if method in ("get", "post")
    for parameter in operation.get("parameters", [])
]
NEEDED = {"wait": {"after": "1-1"}}
"""What a parameter means nothing without."""


@pytest.mark.parametrize(
    ("method", "path", "parameter"),
    EXAMPLES,
    ids=lambda each: str(getattr(each, "get", str)("name")),
)
def test_example_of_every_parameter_is_taken(
    hub: HubProcess, method: str, path: str, parameter: Document
) -> None:
    operation = DOCUMENT["paths"][path][method]
    query, headers, body = {}, {}, b""
    for each in operation["parameters"]:
        value = each["example"][0] if isinstance(each["example"], list) else each["example"]
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", quote(value))
        elif each["name"] == parameter["name"] and each["in"] == "query":
            query = {each["name"]: value, **NEEDED.get(each["name"], {})}
        elif each["name"] == parameter["name"] or _is_binary(parameter, each):
            headers[each["name"]] = value
    if "requestBody" in operation:
        headers["Content-Type"] = "application/json"
        content = operation["requestBody"]["content"]["application/json"]
        body = json.dumps(content["examples"]["example"]["value"]).encode()
    answer = ask(hub, method, path, query, headers, body)
    assert answer.status == 200, answer.body
    if parameter["in"] == "query":
        assert b'"ignored"' not in answer.body


def _is_binary(parameter: Document, other: Document) -> bool:
    """Whether `other` is needed with `parameter`: the attributes of a CloudEvent go together."""
    return bool(parameter["name"].startswith("ce-") and other["name"].startswith("ce-"))


BODIES = [
    (path, media_type, content)
    for method, path, operation in operations()
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items()
]


@pytest.mark.parametrize(("path", "media_type", "content"), BODIES, ids=lambda each: str(each)[:40])
def test_example_of_every_body_is_taken(
    hub: HubProcess, path: str, media_type: str, content: Document
) -> None:
    value = content["examples"]["example"]["value"]
    if not isinstance(value, str):
        validator(content["schema"]).validate(value)
        is_lines = media_type == "application/x-ndjson"
        value = "\n".join(map(json.dumps, value)) if is_lines else json.dumps(value)
    for parameter in DOCUMENT["paths"][path]["post"]["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
    answer = ask(hub, "post", path, {}, {"Content-Type": media_type}, value.encode())
    assert answer.status == 200, answer.body
    check(answer, "post", path)


def test_events_of_a_stream_have_the_data_that_is_described(hub: HubProcess) -> None:
    hub.publish()
    answer = ask(hub, "get", "/events", {"last_event_id": ["1-1", "earliest"], "presence": "1"})
    events = EventStreamParser().feed(answer.body)
    described = events_of_a_stream()
    assert {"connection", "notification"} <= {event.type for event in events}
    for event in events:
        schema = described.get(event.type, described["any other"])
        validator(schema).validate(json.loads(event.data))


def validator(schema: Document) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def check(answer: Answer, method: str, path: str) -> None:
    """Hold `answer` against what is described."""
    item = next(
        item
        for template, item in DOCUMENT["paths"].items()
        if template == path or ("{" in template and path.startswith(template.partition("{")[0]))
    )
    response = item[method]["responses"][str(answer.status)]
    for content in response.get("content", {}).values():
        if answer.headers["content-type"].startswith("application/json"):
            validator(content["schema"]).validate(json.loads(answer.body))


def ask(
    hub: HubProcess,
    method: str,
    path: str,
    query: dict[str, Any],
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """The answer; of a stream, what it begins with."""
    target = path + ("?" + urlencode(query, doseq=True) if query else "")
    lines = [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += [f"Content-Length: {len(body)}"] if body or method == "post" else []
    version = "1.0" if path == "/events" else "1.1"  # a body that isn't chunked
    first = f"{method.upper()} {target} HTTP/{version}"
    request = raw(first, "Host: localhost", "Connection: close", *lines, body=body)
    return exchange(hub.port, request)


async def test_description_that_many_ask_for_at_once_is_made_once() -> None:
    made: list[bytes] = []

    def make() -> bytes:
        made.append(b"{}")
        return made[-1]

    route = DescriptionRoute(make)
    laters = [route.answer(Request("GET", "/openapi.json")) for _ in range(20)]
    answers = await asyncio.gather(*map(result_of, laters))
    assert all(answer.body for answer in answers)
    assert made == [b"{}"]


async def result_of(later: Any) -> Any:
    return await as_it_comes(later, Request("GET", "/openapi.json")).result()
