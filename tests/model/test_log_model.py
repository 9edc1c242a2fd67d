"""The hub against a model of forty lines: whatever happens, in whatever order, nothing is lost silently.

The machine publishes, subscribes, disconnects, evicts and restarts, over real sockets. The model is a list
of all events ever published; what each client must have got follows from it.
"""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast
from unittest import mock
from urllib.parse import urlencode

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from tornado.iostream import IOStream

from tests.accounting import assert_conserved
from tests.http.laters import as_it_comes
from tests.sse import EventStreamParser, ServerSentEvent
from tocsin import Draft, EventId, Filter, Hub, Settings
from tocsin.access.principal import EVERYBODY
from tocsin.errors import TopicEnded
from tocsin.eventlog.recent import Recent
from tocsin.http.byte_budget import ByteBudget
from tocsin.http.request import Request
from tocsin.http.routes.history import HistoryRoute

TOPICS = st.sampled_from(["a", "b", "c", "d", "a b", "c a b"])
"""Of an event, one or several."""
IS_FINAL = st.sampled_from([False] * 11 + [True])
DRAFTS = st.lists(st.tuples(TOPICS, st.sampled_from("tu"), IS_FINAL), min_size=1, max_size=9)
RECENT = (
    st.none()
    | st.builds(Recent, st.integers(1, 4))
    | st.builds(Recent, st.just(0), st.integers(1, 2))
)
FILTERS = st.sampled_from(
    [
        Filter(),
        Filter(["a"]),
        Filter(["b", "c"]),
        Filter(["a*"], ["t"]),
        Filter(["b"], ["t"]),
        Filter(["b", "c"], ["t"]),
        Filter(["a", "b*"]),
    ]
)

Drafts = list[tuple[str, str, bool]]


class Published(NamedTuple):
    """An event of the present epoch; `topics` as in `TOPICS`."""

    id: str
    topics: str
    type: str
    final: bool

    @property
    def ends(self) -> list[str]:
        """What a client is told behind it."""
        return [told_end(topic, self.id) for topic in self.topics.split() if self.final]


@dataclass
class Client:
    """A client that comes back again and again, and what it has seen."""

    filter: Filter
    recent: Recent | None = None
    last_event_id: str = ""
    parser: EventStreamParser = field(default_factory=EventStreamParser)
    end: socket.socket | None = None
    seen: list[ServerSentEvent] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    cursor: int = 0  # where its stream began
    is_over: bool = False  # all its topics have ended, and so has its stream
    saw_end: bool = False


@dataclass
class Poller:
    """A client that asks for pages behind its cursor, and waits where there is nothing."""

    filter: Filter
    cursor: str
    answer: asyncio.Task[dict[str, Any]] | None = None

    @property
    def query(self) -> str:
        topics = [("topic", each) for each in sorted(self.filter.patterns)]
        types = [("type", each) for each in sorted(self.filter.types)]
        return urlencode([*topics, *types, ("after", self.cursor), ("wait", 60), ("limit", 3)])


class HubMachine(RuleBasedStateMachine):
    """One run: a hub, its clients, and all that was published."""

    clients = Bundle("clients")
    pollers = Bundle("pollers")
    keep_newest: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = 1_000.0
        self.log: list[Published] = []  # of the present epoch
        self.ended: dict[str, Published] = {}  # by topic
        self.all: list[Client] = []
        self.polling: list[Poller] = []
        self.start()

    def start(self) -> None:
        self.now += 1
        self.log, self.ended = [], {}
        config = Settings(
            history_events=6, history_age=100.0, max_clients=100, keep_newest=self.keep_newest
        )
        self.hub = Hub(config, clock=lambda: self.now, monotonic=lambda: self.now)
        self.loop.run_until_complete(self.hub.start())
        self.history = HistoryRoute(self.hub, ByteBudget(2**20))

    def run(self, coroutine: Any) -> Any:
        result = self.loop.run_until_complete(coroutine)
        turns = 20  # drains and close callbacks take a few turns of the loop
        while turns or self.hub._fan_out.is_under_way:
            self.loop.run_until_complete(asyncio.sleep(0))
            turns = max(turns - 1, 0)
        return result

    # --- rules --------------------------------------------------------------------------------

    @rule(target=clients, filter=FILTERS, recent=RECENT)
    def make_client(self, filter: Filter, recent: Recent | None) -> Client:
        client = Client(filter, recent)
        self.all.append(client)
        self.subscribe(client)
        return client

    @rule(client=clients)
    def reconnect(self, client: Client) -> None:
        self.leave(client)
        self.subscribe(client)

    @rule(client=clients)
    def leave(self, client: Client) -> None:
        if client.end:
            self.receive(client)
            client.end.close()
            client.end = None
            self.run(asyncio.sleep(0))

    @rule(drafts=DRAFTS)
    def publish(self, drafts: Drafts) -> None:
        self.run(self.append(drafts))

    @rule(
        target=clients,
        filter=FILTERS,
        before=DRAFTS,
        after=DRAFTS,
        turns=st.tuples(st.integers(0, 9), st.integers(0, 3)),
    )
    def make_client_between_two_appends(
        self,
        filter: Filter,
        before: Drafts,
        after: Drafts,
        turns: tuple[int, int],
    ) -> Client:
        client = Client(filter)
        ours, client.end = socket.socketpair()
        client.end.setblocking(False)

        async def before_their_passes_are_done() -> None:
            await self.append(before)
            await self.take_turns(turns[0])
            expected, _ = self.owed(client)
            client.cursor = self.begins_at(client, expected)
            self.expect_opening(client, expected)
            self.hub.subscribe(IOStream(ours), filter, chunked=False)
            self.all.append(client)
            await self.take_turns(turns[1])
            await self.append(after)

        self.run(before_their_passes_are_done())
        self.opening(client)
        return client

    async def take_turns(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)
            assert_conserved(self.hub)

    async def append(self, drafts: Drafts) -> None:
        refused = self.first_refused(drafts)
        if refused:
            with pytest.raises(TopicEnded) as told:
                await self.hub.publish(*[draft(*each) for each in drafts])
            assert (told.value.topic, told.value.place) == refused
            return
        receipts = await self.hub.publish(*[draft(*each) for each in drafts])
        for receipt, (topics, type, final) in zip(receipts, drafts, strict=True):
            event = Published(str(receipt.id), topics, type, final)
            self.log.append(event)
            if final:
                self.ended.update(dict.fromkeys(topics.split(), event))
            matching = [
                client
                for client in self.all
                if client.end and not client.is_over and is_for(client.filter, topics, type)
            ]
            assert receipt.recipients == len(matching)
            for client in matching:
                client.expected += [event.id, *event.ends]
        for client in self.all:
            if client.end and not client.is_over:
                self.expect_over(client)

    def first_refused(self, drafts: Drafts) -> tuple[str, int] | None:
        """The first topic of these that has ended by then, and the place of the event."""
        ended = set(self.ended)
        for place, (topics, _, final) in enumerate(drafts):
            for topic in topics.split():
                if topic in ended:
                    return topic, place
            ended.update(topics.split() if final else ())
        return None

    def is_covered(self, filter: Filter) -> bool:
        """Whether nothing can come for `filter` any more."""
        return bool(filter.patterns) and all(each in self.ended for each in filter.patterns)

    def expect_over(self, client: Client) -> None:
        """Where nothing can come for `client` any more: it is told of what it was not told yet, and its stream ends."""
        if not self.is_covered(client.filter):
            return
        client.is_over = True
        for topic, event in self.named(client):
            end = told_end(topic, event.id)
            if end not in client.expected:
                client.expected.append(end)

    def named(self, client: Client) -> list[tuple[str, Published]]:
        """The topics that `client` names and that have ended, in that order."""
        named = [(each, self.ended[each]) for each in client.filter.exact if each in self.ended]
        return sorted(named, key=lambda each: parse(each[1].id))

    def expect_opening(self, client: Client, kept: list[str]) -> None:
        """Expect what a stream that begins at its cursor, and is owed `kept`, gets at once."""
        client.expected, client.is_over, client.saw_end = [], False, False
        floor = self.hub.ring.floor
        if not any(parse(id).seq <= floor for id in kept):
            client.cursor = max(client.cursor, floor)
        before = [
            (topic, event)
            for topic, event in self.named(client)
            if parse(event.id).seq <= max(client.cursor, floor) and event.id not in kept
        ]
        if self.is_covered(client.filter):  # what won't come any more, though others do that stay
            before = [
                (topic, event)
                for topic, event in before
                if parse(event.id).seq > client.cursor
                and is_for(client.filter, event.topics, event.type)
            ]
        client.expected += [told_end(topic, event.id) for topic, event in before]
        for event in self.log:
            if event.id in kept:
                client.expected += [event.id, *event.ends]
        self.expect_over(client)

    def begins_at(self, client: Client, kept: list[str]) -> int:
        """The cursor of a stream without an id that is owed `kept`."""
        return parse(kept[0]).seq - 1 if kept else self.hub.ring.head

    @rule(target=pollers, filter=FILTERS)
    def make_poller(self, filter: Filter) -> Poller:
        self.polling.append(Poller(filter, str(self.hub.head)))
        return self.polling[-1]

    @rule(poller=pollers)
    def poll(self, poller: Poller) -> None:
        if poller.answer is None:
            poller.answer = self.loop.create_task(self.ask(poller.query))
            self.run(asyncio.sleep(0))

    async def ask(self, query: str) -> dict[str, Any]:
        """The answer of the history, as JSON."""
        request = Request("GET", "/api/history", query, principal=EVERYBODY)
        later = as_it_comes(self.history.answer(request), request)
        answer: Any = await later.result()
        assert answer.status == 200, answer
        return cast(dict[str, Any], json.loads(answer.body))

    @rule(seconds=st.sampled_from([1, 60, 200]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        while self.hub.ring.expire(self.now).is_behind:
            pass

    @rule()
    def restart(self) -> None:
        for client in self.all:
            self.leave(client)
        self.run(self.hub.stop())
        for poller in self.polling:  # those that waited are answered
            assert poller.answer is None or poller.answer.done()
        self.every_poller_has_what_it_must()
        self.start()

    # --- what must hold -----------------------------------------------------------------------

    @invariant()
    def every_open_client_has_exactly_what_it_must(self) -> None:
        for client in self.all:
            if client.end:
                self.receive(client)

    @invariant()
    def every_poller_has_what_it_must(self) -> None:
        for poller in self.polling:
            if poller.answer is None:
                continue
            if poller.answer.done():
                self.take_answer(poller, poller.answer.result())
            else:
                assert self.owed_behind(poller.filter, poller.cursor) == ([], False)
                assert not self.is_covered(poller.filter)

    def take_answer(self, poller: Poller, answer: dict[str, Any]) -> None:
        """Check what a poller was told, and let it go on from there."""
        before, after = parse(poller.cursor), parse(answer["cursor"])
        foreign = before.epoch != after.epoch
        wanted = [
            each.id
            for each in self.log
            if (foreign or parse(each.id) > before)
            and parse(each.id) <= after
            and is_for(poller.filter, each.topics, each.type)
        ]
        got = [event["id"] for event in answer["events"]]
        if answer["gap"] is None:
            assert (got, foreign) == (wanted, False)
        else:
            assert self.owed_behind(poller.filter, poller.cursor)[1]
            assert got == [id for id in wanted if id in got]
            assert set(wanted) & self.kept() <= set(got)
        is_over = self.is_covered(poller.filter) or self.hub.draining
        assert got or answer["gap"] or answer["more"] or is_over
        poller.cursor, poller.answer = answer["cursor"], None

    @invariant()
    def every_recipient_is_accounted_for(self) -> None:
        assert_conserved(self.hub)

    def subscribe(self, client: Client) -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        kept, lost = self.owed(client)
        has_all = (
            self.is_covered(client.filter)
            and self.is_of_this_epoch(client.last_event_id)
            and not kept
            and not lost
        )
        assert self.hub.has_all(client.filter, client.last_event_id) == has_all
        if has_all:  # it is told 204
            ours.close()
            theirs.close()
            return
        client.end, client.parser = theirs, EventStreamParser()

        async def open_stream() -> None:
            self.hub.subscribe(
                IOStream(ours),
                client.filter,
                last_event_id=client.last_event_id,
                chunked=False,
                recent=client.recent,
            )

        self.run(open_stream())
        welcome, gap = self.opening(client)
        client.cursor = parse(client.last_event_id).seq
        self.expect_opening(client, kept)
        assert welcome.json["replayed"] == len(kept)
        assert (gap is not None) == lost, f"told {gap}, lost {lost}"
        if gap and gap.json["reason"] == "evicted" and client.filter.is_everything:
            requested = parse(gap.json["requested"])
            staying = [id for id in self.staying() if parse(id) > requested]
            assert gap.json["missed"] == self.hub.ring.floor - requested.seq - len(staying)

    def owed(self, client: Client) -> tuple[list[str], bool]:
        """The ids a client that subscribes now must get replayed, and whether it has lost some."""
        kept = self.kept()
        wanted = [each.id for each in self.log if is_for(client.filter, each.topics, each.type)]
        if not client.last_event_id:
            if client.recent is None and self.is_covered(client.filter):
                return [id for id in wanted if id in kept], False
            return self.recent(client, kept), False
        if client.recent and not self.is_of_this_epoch(client.last_event_id):
            return self.recent(client, kept), True
        return self.owed_behind(client.filter, client.last_event_id)

    def owed_behind(self, filter: Filter, id: str) -> tuple[list[str], bool]:
        """The ids of what is kept behind this one for who reads `filter`, and whether something is lost."""
        foreign, kept = not self.is_of_this_epoch(id), self.kept()
        since = [
            each.id
            for each in self.log
            if (foreign or parse(each.id) > parse(id)) and is_for(filter, each.topics, each.type)
        ]
        owed = [each for each in since if each in kept]
        return owed, foreign or len(owed) < len(since)

    def is_of_this_epoch(self, id: str) -> bool:
        return bool(id) and parse(id).epoch == self.hub.ring.epoch

    def kept(self) -> set[str]:
        """The ids of what is kept of the log."""
        floor = self.hub.ring.id_at(self.hub.ring.floor)
        return {each.id for each in self.log if parse(each.id) > floor} | self.staying()

    def staying(self) -> set[str]:
        """The ids of what stays of that which left the window: the newest of some topics."""
        floor = self.hub.ring.id_at(self.hub.ring.floor)
        gone = [each for each in self.log if parse(each.id) <= floor]
        staying: set[str] = set()
        for topic, number in (each.split("=") for each in self.keep_newest):
            of_topic = [each.id for each in gone if topic in each.topics.split()]
            staying.update(of_topic[-int(number) :])
        return staying

    def recent(self, client: Client, kept_ids: set[str]) -> list[str]:
        """The ids that a client which has nothing of this log asked to get first."""
        if client.recent is None:
            return []
        kept = [
            (each.id, each.topics.split())
            for each in self.log
            if each.id in kept_ids and is_for(client.filter, each.topics, each.type)
        ]
        if client.recent.last:
            return [id for id, _ in kept[-client.recent.last :]]
        patterns = client.filter.patterns
        newest: set[str] = set()
        for topic in {topic for _, topics in kept for topic in topics}:
            if not patterns or Filter(patterns).matches(topic, ""):
                of_topic = [id for id, topics in kept if topic in topics]
                newest.update(of_topic[-client.recent.per_topic :])
        return [id for id, _ in kept if id in newest]

    def opening(self, client: Client) -> tuple[ServerSentEvent, ServerSentEvent | None]:
        events = self.read(client)
        welcome = events.pop(0)
        assert welcome.type == "connection"
        gap = events.pop(0) if events and events[0].type == "gap" else None
        client.seen = events
        client.last_event_id = welcome.last_event_id
        return welcome, gap

    def receive(self, client: Client) -> None:
        client.seen += self.read(client)
        assert [told(event) for event in client.seen] == client.expected
        assert client.saw_end == client.is_over
        if client.seen:
            client.last_event_id = client.seen[-1].last_event_id

    def read(self, client: Client) -> list[ServerSentEvent]:
        assert client.end
        events: list[ServerSentEvent] = []
        while True:
            try:
                data = client.end.recv(65_536)
            except BlockingIOError:
                return events
            if not data:
                client.saw_end = True
                return events
            events += client.parser.feed(data)

    def teardown(self) -> None:
        for client in self.all:
            if client.end:
                client.end.close()
        self.run(self.hub.stop())
        self.every_poller_has_what_it_must()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


def draft(topics: str, type: str, final: bool) -> Draft:
    topic, *more_topics = topics.split()
    return Draft(type, b"{}", topic, more_topics=tuple(more_topics), final=final)


def told(event: ServerSentEvent) -> str:
    """What `event` says: its id, or that a topic has ended."""
    if event.type != "end":
        return event.last_event_id
    return told_end(event.json["topic"], event.json["id"])


def told_end(topic: str, id: str) -> str:
    return f"end of {topic} by {id}"


def is_for(filter: Filter, topics: str, type: str) -> bool:
    return any(filter.matches(topic, type) for topic in topics.split())


def parse(id: str) -> EventId:
    parsed = EventId.parse(id)
    assert parsed is not None
    return parsed


class SlicedHubMachine(HubMachine):
    """The same with slices of one: every event, group and stream is a turn of the loop of its own.

    So streams come and go between any two of these, as they do between larger slices in life.
    """

    def __init__(self) -> None:
        self.patches: list[Any] = [
            mock.patch("tocsin.hub.fan_out.ROUTED_AT_ONCE", 1),
            mock.patch("tocsin.hub.fan_out.SLICE", 1),
            mock.patch("tocsin.hub.turns.TURN_S", 0.0),
        ]
        for patch in self.patches:
            patch.start()
        super().__init__()

    @rule(client=HubMachine.clients, drafts=DRAFTS, turns=st.integers(0, 12))
    def reconnect_during_a_pass(self, client: Client, drafts: Drafts, turns: int) -> None:
        async def some_turns() -> None:
            await self.append(drafts)
            await self.take_turns(turns)

        self.loop.run_until_complete(some_turns())
        if client.end:  # with some of it, and resumes while the others are still sent to
            seen = self.read(client)
            client.last_event_id = seen[-1].last_event_id if seen else client.last_event_id
            client.end.close()
            client.end = None
        self.subscribe(client)

    def teardown(self) -> None:
        super().teardown()
        for patch in self.patches:
            patch.stop()


class KeepingHubMachine(HubMachine):
    """The same with events that stay when the window moves on."""

    keep_newest = ("a=1", "b=2")


class SlicedKeepingHubMachine(SlicedHubMachine):
    """Both."""

    keep_newest = ("b=3",)


for machine, examples in (
    (HubMachine, 60),
    (SlicedHubMachine, 60),
    (KeepingHubMachine, 30),
    (SlicedKeepingHubMachine, 30),
):
    machine.TestCase.settings = settings(
        max_examples=examples, stateful_step_count=30, deadline=None, derandomize=True
    )
TestHubAgainstTheModel = HubMachine.TestCase
TestSlicedHubAgainstTheModel = SlicedHubMachine.TestCase
TestKeepingHubAgainstTheModel = KeepingHubMachine.TestCase
TestSlicedKeepingHubAgainstTheModel = SlicedKeepingHubMachine.TestCase
