"""The description of the API in words and tables: Markdown, of the few forms that `docs_page` makes a page of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tocsin.core.event import TOPIC_SCHEMA, TYPE_SCHEMA
from tocsin.core.filters import PATTERN_SCHEMA
from tocsin.core.idempotency import KEY_SCHEMA
from tocsin.errors import CODES
from tocsin.http.open_stream import EVENT_STREAM
from tocsin.http.operation import OF_ALL, OF_CREDENTIALS
from tocsin.http.request import NDJSON

Part = dict[str, Any]

TEXTS: tuple[Part, ...] = (TOPIC_SCHEMA, PATTERN_SCHEMA, TYPE_SCHEMA, KEY_SCHEMA)

METHODS = ("get", "post", "delete")
"""HEAD goes with GET and OPTIONS with all: said once, above."""


def as_markdown(document: Part) -> str:
    """Every operation, then the types that they name, then the codes."""
    operations = [
        _operation(path, method, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]
    types = [_type(name, schema) for name, schema in document["components"]["schemas"].items()]
    texts = [f"| {each['title']} | {_values(each)} |" for each in TEXTS]
    codes = [
        f"| `{code}` | {', '.join(map(str, said.statuses))} | {said.means} |"
        for code, said in sorted(CODES.items())
    ]
    return "\n".join(
        [
            "## Reference",
            "",
            "Every GET answers HEAD too, and every path OPTIONS. The same as OpenAPI 3.1: `/openapi.json`, and `tocsin openapi`",
            "without a hub. Any request may also be answered with",
            f"{_listed(OF_ALL)}; and where credentials are looked at, {_listed(OF_CREDENTIALS)}.",
            "",
            *operations,
            "### Types",
            "",
            *_table("text", "what it may be"),
            *texts,
            "",
            *types,
            "### Codes",
            "",
            *_table("code", "status", "what it says"),
            *codes,
            "",
        ]
    )


def _operation(path: str, method: str, operation: Part) -> str:
    lines = [f"### {method.upper()} {path}", "", f"{operation['summary']}."]
    if "description" in operation:
        lines[-1] += " " + operation["description"]
    lines.append("")
    parameters = operation["parameters"]
    if parameters:
        lines += [*_table("parameter", "where", "what", "values", "example")]
        lines += [*map(_parameter, parameters), ""]
    if "requestBody" in operation:
        lines += _table("body", "what", "type", "example")
        lines += [_body(*each) for each in operation["requestBody"]["content"].items()]
        lines.append("")
    answers = {s: each for s, each in operation["responses"].items() if int(s) < 400}
    lines += [*_table("answer", "what", "type"), *[_answer(*each) for each in answers.items()]]
    own = {
        code
        for status, response in operation["responses"].items()
        if status not in answers
        for code in _codes(response)
        if code not in OF_ALL + OF_CREDENTIALS
    }
    if own:
        lines += ["", f"Errors: {_listed(own)}."]
    return "\n".join([*lines, ""])


def _parameter(parameter: Part) -> str:
    schema, example = parameter["schema"], parameter["example"]
    name = f"`{parameter['name']}`"
    if parameter["required"]:
        name += ", required"
    if schema.get("type") == "array":
        name, schema, example = f"{name}, repeatable", schema["items"], example[0]
    what = parameter["description"]
    values = f"{schema['title']}{_default(schema)}" if "title" in schema else _values(schema)
    return f"| {name} | {parameter['in']} | {what} | {values} | `{example}` |"


def _body(media_type: str, content: Part) -> str:
    example = content["examples"]["example"]
    value = example["value"]
    lines = value if media_type == NDJSON else [value]
    texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
    shown = "`, `".join(texts).replace("|", "\\|")
    return f"| `{media_type}` | {example['summary']} | {_shown(content['schema'])} | `{shown}` |"


def _answer(status: str, response: Part) -> str:
    what, shape = response["description"], "-"
    for media_type, content in response.get("content", {}).items():
        shape = _shown(content["schema"])
        if media_type == EVENT_STREAM:
            shape = "events, with data: " + ", ".join(map(_event, content["schema"]["anyOf"]))
    return f"| {status} | {what} | {shape} |"


def _event(schema: Part) -> str:
    return f"`{schema['title']}`: {_shown(schema['properties']['data']['contentSchema'])}"


def _listed(codes: Iterable[str]) -> str:
    """`codes` in order, with their statuses."""
    said = sorted((status, code) for code in codes for status in CODES[code].statuses)
    return ", ".join(f"{status} `{code}`" for status, code in said)


def _codes(response: Part) -> Iterable[str]:
    codes: list[str] = response["content"]["application/json"]["schema"]["properties"]["code"][
        "enum"
    ]
    return codes


def _type(name: str, schema: Part) -> str:
    rows = [
        f"| `{field}` | {_shown(said)} | {said.get('description', '-')} |"
        for field, said in schema["properties"].items()
    ]
    head = _table("field", "type", "what it is")
    return "\n".join([f"#### {name}", "", schema["description"], "", *head, *rows, ""])


def _shown(schema: Part) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_shown(each) for each in schema["anyOf"]))
    if schema.get("type") == "array":
        most = f", {schema['maxItems']} at most" if "maxItems" in schema else ""
        return f"list of {_shown(schema['items'])}{most}"
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    if "maxLength" in schema:
        return f"string, {schema['minLength']} to {schema['maxLength']} characters"
    said = schema.get("title") or schema.get("description" if "properties" in schema else "type")
    return said or "any JSON"


def _values(schema: Part) -> str:
    """What a value may be."""
    said = []
    if "minimum" in schema:
        said.append(f"{schema['minimum']} to {schema['maximum']}")
    if "pattern" in schema:
        said.append(f"`{schema['pattern']}`")
    if "not" in schema:
        said.append("none of " + ", ".join(f"`{each}`" for each in schema["not"]["enum"]))
    if "const" in schema:
        said.append(f"`{schema['const']}`")
    return ("; ".join(said) or "text").replace("|", "\\|") + _default(schema)


def _default(schema: Part) -> str:
    return f"; default `{schema['default']}`" if "default" in schema else ""


def _table(*titles: str) -> list[str]:
    return [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
