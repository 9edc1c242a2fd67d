"""The description of the API as OpenAPI 3.1, made from what routes declare and from the types that they read and write.

Schemas are those that msgspec has of a type. What they say of a field stands in the type's docstring, and a limit
that a setting has is named by it there, and is the number of this hub here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_type_hints

import msgspec

from tocsin.core.event import TYPE_SCHEMA
from tocsin.errors import CODES
from tocsin.http.credentials import SESSION_COOKIE, TICKET
from tocsin.http.operation import Body, Failure, Operation, Parameter, Reply, phrase
from tocsin.http.request import JSON, NDJSON
from tocsin.http.routes.base import Route
from tocsin.settings import Settings
from tocsin.version import VERSION

Document = dict[str, Any]

REFERENCE = "#/components/schemas/{name}"

SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key or a JSON Web Token, in `Authorization`.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "A session, as `POST /api/session` opens one; for the hub's own pages.",
    },
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": TICKET,
        "description": "A ticket, as `POST /api/ticket` gives one; for where no header can be sent.",
    },
}

ABOUT = (
    "A hub for real-time notifications over Server-Sent Events. An error is JSON with `error` (text), `code` (a word)"
    " and, where one is at fault, `field`; nothing was published then. Other paths are answered with 404 `not_found`,"
    " other methods with 405 `method_not_allowed`. Parameters that mean nothing here are ignored; those that look like a"
    " slip are refused."
)

LATER = {"Retry-After": "seconds after which another try makes sense"}
HEADERS_OF_ERRORS = {
    401: {"WWW-Authenticate": "what credentials are taken"},
    **dict.fromkeys((429, 503, 507), LATER),
}

LIMITS = frozenset({"maxLength", "maxItems"})
"""Keywords whose value may be the name of a setting."""

_ATTRIBUTE = re.compile(r" {8}(\w+): ((?:.|\n {12})+)")


def paths_of(
    routes: Mapping[str, Route], prefixes: Mapping[str, Route], others: Route | None
) -> Mapping[str, Route]:
    """Routes by their paths, as OpenAPI spells these; `others` is that of `/`."""
    behind = {f"{prefix}{{{_rest(route)}}}": route for prefix, route in prefixes.items()}
    return {**({"/": others} if others else {}), **routes, **behind}


def _rest(route: Route) -> str:
    """What the rest of the path of `route` is called."""
    (operation,) = route.operations
    return next(each.name for each in operation.parameters if each.place == "path")


def describe(paths: Mapping[str, Route], settings: Settings) -> Document:
    """The whole description of a hub with `settings`, whose routes are `paths`."""
    shapes = _Shapes(_shapes_of(paths.values()))
    described = {
        path: {
            method: operation
            for each in route.operations
            for method, operation in _methods(route, each, shapes, settings)
        }
        | {"options": _preflight(route)}
        for path, route in paths.items()
    }
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tocsin",
            "version": VERSION,
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": settings.public_url or "/"}],
        "paths": described,
        "components": {"schemas": shapes.components, "securitySchemes": SECURITY_SCHEMES},
    }
    resolved: Document = _resolved(document, settings)
    return resolved


def _methods(
    route: Route, operation: Operation, shapes: _Shapes, settings: Settings
) -> Iterable[tuple[str, Document]]:
    """The operation itself, and HEAD beside a GET."""
    described = _operation(route, operation, shapes, settings)
    yield operation.method.lower(), described
    if operation.method == "GET":
        heads = {
            status: {name: part for name, part in response.items() if name != "content"}
            for status, response in described["responses"].items()
        }
        yield (
            "head",
            described
            | {
                "operationId": f"head_{route.name}",
                "summary": f"{operation.summary}: the head of the answer alone",
                "responses": heads,
            },
        )


def _operation(route: Route, operation: Operation, shapes: _Shapes, settings: Settings) -> Document:
    replies = {str(each.status): _reply(each, shapes) for each in operation.replies}
    errors = {str(s): _errors(s, codes, shapes) for s, codes in operation.all_codes.items()}
    described: Document = {
        "operationId": f"{operation.method.lower()}_{route.name}",
        "summary": operation.summary,
        "tags": [route.name],
        "parameters": [_parameter(each) for each in operation.parameters],
        "responses": replies | errors,
        "security": _security(route, operation, settings),
    }
    if operation.text:
        described["description"] = operation.text
    if operation.bodies:
        content = {each.media_type: _body(each, shapes) for each in operation.bodies}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _security(route: Route, operation: Operation, settings: Settings) -> list[Document]:
    """What credentials are taken: one of these; an empty one is none."""
    if operation.is_open:
        return []
    for_everybody = {
        "publish": bool(settings.anonymous_publish),
        "subscribe": bool(settings.anonymous_subscribe),
        "": True,
    }
    is_for_all = not settings.has_authentication or for_everybody.get(operation.needs, False)
    taken: list[Document] = [{}] if is_for_all else []
    taken.append({"bearer": []})
    if operation.needs != "admin":
        taken.append({"cookie": []})
    if route.takes_ticket and operation.method == "GET":
        taken.append({"ticket": []})
    return taken


def _preflight(route: Route) -> Document:
    allow = {"Allow": {"description": "the methods", "schema": {"type": "string"}}}
    # Whatever stands there: nobody looks at it.
    rest = [
        _parameter(each) | {"schema": {"type": "string"}}
        for each in route.operations[0].parameters
        if each.place == "path"
    ]
    return {
        "operationId": f"options_{route.name}",
        "summary": "The methods that are possible here; for pages of other origins, what they may send",
        "tags": [route.name],
        "parameters": rest,
        "responses": {"204": {"description": ", ".join(route.methods), "headers": allow}},
        "security": [],
    }


def _parameter(parameter: Parameter) -> Document:
    described: Document = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.summary,
        "required": parameter.is_required,
        "schema": parameter.schema,
        "example": _example(parameter),
    }
    if parameter.is_repeatable:
        described |= {"schema": {"type": "array", "items": parameter.schema}, "explode": True}
    return described


def _example(parameter: Parameter) -> object:
    example: object = parameter.example
    if parameter.schema.get("type") == "integer":
        example = int(parameter.example)
    return [example] if parameter.is_repeatable else example


def _body(body: Body, shapes: _Shapes) -> Document:
    example: object = body.example
    if body.media_type == NDJSON:  # as a list, for want of a word for lines
        example = msgspec.json.Decoder().decode_lines(body.example)
    elif body.media_type.endswith("json"):
        example = msgspec.json.decode(body.example)
    return {
        "schema": shapes.schema(body.shape),
        "examples": {"example": {"summary": body.summary, "value": example}},
    }


def _reply(reply: Reply, shapes: _Shapes) -> Document:
    described: Document = {"description": reply.summary, **_headers(reply.headers)}
    if reply.shape is not None:
        schema = shapes.schema(reply.shape)
        if (
            reply.events
        ):  # OpenAPI 3.1 has no word for the items of a stream: this is the schema of each
            schema = {**schema, "anyOf": [_event(*each, shapes) for each in reply.events.items()]}
        described["content"] = {reply.media_type: {"schema": schema}}
    return described


def _event(type: str, shape: Any, shapes: _Shapes) -> Document:
    """An event of a stream, whose data is JSON of this shape; of any type but the hub's own where `type` is empty."""
    data = {
        "type": "string",
        "contentMediaType": JSON,
        "contentSchema": shapes.schema(shape),
    }
    return {
        "title": type or "any other",
        "required": ["event", "data"],
        "properties": {"event": {"const": type} if type else TYPE_SCHEMA, "data": data},
    }


def _errors(status: int, codes: Iterable[str], shapes: _Shapes) -> Document:
    lines = [f"- `{code}`: {CODES[code].means}" for code in codes]
    schema = {
        "allOf": [shapes.schema(Failure)],
        "properties": {"code": {"enum": list(codes)}},
    }
    return {
        "description": "\n".join([phrase(status), "", *lines]),
        "content": {JSON: {"schema": schema}},
        **_headers(HEADERS_OF_ERRORS.get(status, {})),
    }


def _headers(headers: Mapping[str, str]) -> Document:
    """Optional ones: a Unix time or a realm is nobody's to rely on."""
    described = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
    }
    return {"headers": described} if described else {}


# --- shapes -----------------------------------------------------------------------------------


def _shapes_of(routes: Iterable[Route]) -> Iterable[Any]:
    """All that are read or written."""
    yield Failure
    for route in routes:
        for operation in route.operations:
            yield from (body.shape for body in operation.bodies)
            for reply in operation.replies:
                yield from (reply.shape, *reply.events.values())


class _Shapes:
    """Schemas of types, and the components that these refer to. What is a schema already stays as it is."""

    def __init__(self, shapes: Iterable[Any]) -> None:
        # By their spelling: a type may hold a dictionary, and so have no hash.
        types = {repr(each): each for each in _flat(shapes) if not _is_schema(each)}
        schemas, components = msgspec.json.schema_components(types.values(), ref_template=REFERENCE)
        self._schemas = dict(zip(types, schemas, strict=True))
        structs: dict[str, type[msgspec.Struct]] = {}
        for each in types.values():
            _collect_structs(each, structs)
        self.components = {
            name: _documented(schema, structs[name]) for name, schema in components.items()
        }

    def schema(self, shape: Any) -> Any:
        """The schema of `shape`; one of several where it is a tuple."""
        if isinstance(shape, tuple):
            return {"anyOf": [self.schema(each) for each in shape]}
        return shape if _is_schema(shape) else self._schemas[repr(shape)]


def _flat(shapes: Iterable[Any]) -> Iterable[Any]:
    for each in shapes:
        yield from each if isinstance(each, tuple) else (each,)


def _is_schema(shape: Any) -> bool:
    return shape is None or isinstance(shape, Mapping)


def _collect_structs(shape: Any, found: dict[str, type[msgspec.Struct]]) -> None:
    """Put the structs in `shape` into `found`, by name."""
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        found[shape.__name__] = shape
        for hint in get_type_hints(shape).values():
            _collect_structs(hint, found)
    for part in get_args(shape):
        _collect_structs(part, found)


def _documented(schema: Document, struct: type[msgspec.Struct]) -> Document:
    """`schema` with what the docstrings of `struct` say, and without defaults that mean "none"."""
    attributes: dict[str, str] = {}
    for each in reversed(struct.__mro__):
        attributes |= dict(_ATTRIBUTE.findall(each.__doc__ or ""))
    summary = (struct.__doc__ or "").partition("\n\n")[0]
    properties = {}
    for field in msgspec.structs.fields(struct):
        name = field.encode_name
        described = {k: v for k, v in schema["properties"][name].items() if k != "default"}
        text = attributes.get(field.name)
        properties[name] = described | ({"description": _markdown(text)} if text else {})
    return schema | {"description": _markdown(summary), "properties": properties}


def _markdown(text: str) -> str:
    """A docstring's text as Markdown, on one line."""
    return " ".join(text.split()).replace("``", "`").replace("None", "null")


def _resolved(value: Any, settings: Settings) -> Any:
    """`value` with the limits that settings have, as numbers."""
    if isinstance(value, Mapping):
        return {
            name: getattr(settings, part)
            if name in LIMITS and isinstance(part, str)
            else _resolved(part, settings)
            for name, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [_resolved(part, settings) for part in value]
    return value
