"""``POST /api/hooks/NAME``: what services send to a webhook, published by a mapping."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

from tocsin.access.limits import PublishLimits
from tocsin.core.hooks import HOOK_NAME, Hook, read_hooked, read_hooks
from tocsin.errors import SettingsError
from tocsin.http.answer import Answer, refusal
from tocsin.http.later import Later
from tocsin.http.operation import Body, Operation, Parameter, Reply
from tocsin.http.request import JSON, Request
from tocsin.http.routes.notify import (
    IDEMPOTENCY_KEY,
    OF_PUBLISHING,
    PublishedBatch,
    PublishRoute,
)
from tocsin.hub.hub import Hub

PREFIX = "/api/hooks/"
SHIPPED = Path(__file__).parent.parent / "hooks.toml"

log = logging.getLogger("tocsin.hooks")


EXAMPLE = (
    '{"alerts": [{"status": "firing", "labels": {"alertname": "DiskFull", "severity": "page"},'
    ' "annotations": {"summary": "Disk 93 % full"}}]}'
)


class HooksRoute(PublishRoute):
    """Publishes what a body comes to by the mapping that its path names, whatever media type it is said to be.

    Args:
        hub: publishes.
        limits: of what is published.
        hooks: the mappings, by name.
    """

    name = "hooks"
    operations = (
        Operation(
            method="POST",
            needs="publish",
            summary="Publish what a service sends to its webhook",
            text="A mapping says what becomes of it. What the mapping doesn't find falls back; only what is no JSON is"
            " refused.",
            parameters=(
                Parameter(
                    name="name",
                    summary="That of the mapping.",
                    example="alertmanager",
                    schema={"type": "string", "pattern": f"^{HOOK_NAME.pattern}$"},
                    place="path",
                    is_required=True,
                ),
                IDEMPOTENCY_KEY,
            ),
            bodies=(
                Body(
                    media_type=JSON,
                    shape={},
                    summary="Whatever the service sends, whatever type it says it is.",
                    example=EXAMPLE,
                ),
            ),
            replies=(
                Reply(
                    summary="The events are published, and in the journal.", shape=PublishedBatch
                ),
            ),
            codes=(
                *OF_PUBLISHING,
                *("not_found", "invalid_json", "too_deep", "invalid_unicode", "invalid_field"),
            ),
        ),
    )

    def __init__(self, hub: Hub, limits: PublishLimits, hooks: Mapping[str, Hook]) -> None:
        super().__init__(hub, limits)
        self._hooks = hooks

    def takes(self, request: Request) -> bool:
        """Everything: services name many types, and what isn't JSON is found out."""
        return True

    def is_batch(self, request: Request, beginning: bytes) -> bool:
        """Always: one body may be many events."""
        return True

    def answer(self, request: Request) -> Answer | Later:
        """Publish, and answer when the journal has committed."""
        began = perf_counter()
        refused = self.refuse(request, len(request.body), request.body)
        if refused:
            return refused
        name = request.path.removeprefix(PREFIX)
        hook = self._hooks.get(name)
        if hook is None:
            return refusal(404, "there is no hook of this name", "not_found")
        settings = self._hub.settings
        hooked = read_hooked(
            hook,
            request.body,
            self._hub.now_iso(),
            max_bytes=settings.max_event_bytes,
            max_events=settings.max_batch_events,
        )
        if hooked.fallbacks or hooked.left_out:
            for field in hooked.fallbacks:
                self._hub.counters.hook_fallbacks[field] += 1
            self._hub.counters.hook_left_out += hooked.left_out
            fell_back = ",".join(hooked.fallbacks)
            extra = {"hook": name, "fell_back": fell_back, "left_out": hooked.left_out}
            log.warning("a hook did not find all that it looks for", extra=extra)
        self.count_batch(hooked.drafts, request)
        return self.publish(request, hooked.drafts, True, began)


def hooks_of(path: str) -> dict[str, Hook]:
    """The mappings that come with Tocsin, and those of the file at `path`; empty is none.

    Raises:
        SettingsError: the file can't be read.
    """
    hooks = read_hooks(SHIPPED.read_bytes())
    if not path:
        return hooks
    try:
        return hooks | read_hooks(Path(path).read_bytes())
    except OSError as error:
        raise SettingsError(f"hooks: {path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"hooks: {path}: {error}") from None
