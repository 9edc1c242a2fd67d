"""A subscription of either kind on a thread of its own, and what it has given."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from tests.patience import PATIENCE_S, wait_until
from tocsin.client import ClientError, Event, State, subscribe, subscribe_blocking


class Listener:
    """Reads from when it is made until `stop`.

    Attributes:
        events: in the order in which they came.
        states: all changes.
        error: what ended it, if something did.
        last_event_id: as the subscription has it at its end.
    """

    def __init__(self, url: str, **arguments: Any) -> None:
        self.events: list[Event] = []
        self.states: list[State] = []
        self.error: Exception | None = None
        self.last_event_id = ""
        self._arguments = {"on_state": self.states.append, **arguments}
        self._url = url
        self._prepare()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def ids(self) -> list[str]:
        """Of what was published."""
        return [event.id for event in self.events if event.type not in ("gap", "end", "presence")]

    @property
    def welcomes(self) -> list[dict[str, Any]]:
        return [dict(state.welcome) for state in self.states if state.name == "open"]

    def of(self, type: str) -> list[Any]:
        return [event.json() for event in self.events if event.type == type]

    def wait_for_welcomes(self, count: int = 1) -> None:
        wait_until(lambda: len(self.welcomes) >= count or self.error, what=f"welcome {count}")
        assert not self.error, repr(self.error)

    def wait_for_end(self) -> None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def stop(self) -> None:
        self._end()
        self.wait_for_end()

    def _prepare(self) -> None:
        raise NotImplementedError

    def _read(self) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        try:
            self._read()
        except (ClientError, ValueError) as error:
            self.error = error


class BlockingListener(Listener):
    """`subscribe_blocking`."""

    def _prepare(self) -> None:
        self._subscription = subscribe_blocking(self._url, **self._arguments)

    def _read(self) -> None:
        with self._subscription as subscription:
            try:
                for event in subscription:
                    self.events.append(event)
            finally:
                self.last_event_id = subscription.last_event_id

    def _end(self) -> None:
        self._subscription.close()


class AsyncListener(Listener):
    """`subscribe`, on a loop of its own."""

    def _prepare(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._listen())

    def _read(self) -> None:
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _listen(self) -> None:
        async with subscribe(self._url, **self._arguments) as subscription:
            try:
                async for event in subscription:
                    self.events.append(event)
            finally:
                self.last_event_id = subscription.last_event_id

    def _end(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)


Listen = Callable[..., Listener]
