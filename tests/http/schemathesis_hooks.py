"""What schemathesis is told of the hub: it imports this file by the variable SCHEMATHESIS_HOOKS."""

from __future__ import annotations

import json
from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

OF_THE_WHOLE = {
    *("conflicting_parameters", "invalid_wait", "topic_mismatch", "invalid_key"),
    *("missing_field", "too_large", "too_many_topics", "repeated_topic"),
}
"""Codes of what JSON Schema has no word for: values that exclude or need each other, and what all of them come to."""

OTHER_LANE = {"Upgrade": "something-else"}
"""Not plain HTTP, and ignored by everybody: Tornado reads the request."""


@schemathesis.serializer("application/x-ndjson")
def lines(context: Any, value: Any) -> bytes:
    """A line for each element of a list."""
    if not isinstance(value, list):
        return json.dumps(value).encode()
    return b"".join(json.dumps(each).encode() + b"\n" for each in value)


def code_of(response: Any) -> str:
    """The code of an error; empty where the answer has none."""
    if response.status_code < 400 or not response.content:
        return ""
    code: str = response.json()["code"]
    return code


@schemathesis.check
def valid_is_taken(ctx: Any, response: Any, case: Any) -> None:
    """As `positive_data_acceptance`, but for what parameters mean together."""
    is_head = case.method == "HEAD" and response.status_code == 400
    if not is_head and code_of(response) not in OF_THE_WHOLE:
        positive_data_acceptance(ctx, response, case)


@schemathesis.check
def invalid_is_refused(ctx: Any, response: Any, case: Any) -> None:
    """As `negative_data_rejection`, but for attributes in the head of what is no CloudEvent in binary form."""
    headers = {name.lower() for name in case.headers or {}}
    is_binary = "ce-specversion" in headers and case.media_type != "application/cloudevents+json"
    has_attributes = any(name.startswith("ce-") for name in headers)
    if response.status_code < 400 and (is_binary or not has_attributes):
        negative_data_rejection(ctx, response, case)


@schemathesis.check
def lanes_answer_alike(ctx: Any, response: Any, case: Any) -> None:
    """The other lane says the same of the same request, unless that changes what there is."""
    if case.method == "DELETE":
        return
    other = case.call(headers=OTHER_LANE)
    if code_of(other) == "topic_ended":  # by the first of the two, it may be
        return
    found = (other.status_code, code_of(other))
    assert found == (response.status_code, code_of(response)), f"by the other lane: {found}"
