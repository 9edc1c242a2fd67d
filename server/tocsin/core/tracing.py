"""`traceparent` of W3C Trace Context: what of it is kept. https://www.w3.org/TR/trace-context/, section 3.2."""

from __future__ import annotations

import re

MAX_LENGTH = 256
"""Of a later version, which may have more parts; ours has 55 characters."""

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[!-~]*)?")


def trace_of(traceparent: str) -> str:
    """The id of the trace that `traceparent` names, 32 hexadecimal digits; empty where it is none.

    One that is malformed is ignored, and not refused (section 3.2.2.3).
    """
    if len(traceparent) > MAX_LENGTH:
        return ""
    found = _TRACEPARENT.fullmatch(traceparent)
    if not found:
        return ""
    version, trace, parent, more = found.groups()
    if (
        version == "ff"
        or (version == "00" and more)
        or not (trace.strip("0") and parent.strip("0"))
    ):
        return ""
    return trace
