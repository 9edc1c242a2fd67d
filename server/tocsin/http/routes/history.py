"""``GET /api/history``: what is kept, as JSON, for pages and scripts that don't stream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic, time
from typing import Any
from weakref import WeakValueDictionary

import msgspec
from msgspec import UNSET, UnsetType

from tocsin.access.principal import EVERYBODY, Principal
from tocsin.core.event import ID_SCHEMA, EventId
from tocsin.core.filters import Filter
from tocsin.core.strict_json import DECODE_ERRORS
from tocsin.errors import InvalidInput, Unavailable
from tocsin.eventlog.resume import Gap, id_ahead, oldest_kept
from tocsin.eventlog.ring import Entry, RingBuffer
from tocsin.http.answer import Answer, of_json
from tocsin.http.byte_budget import ByteBudget
from tocsin.http.credentials import TICKET
from tocsin.http.later import PUT_OFF, Later, PutOff, give_all
from tocsin.http.operation import Operation, Parameter, Reply
from tocsin.http.parameters import (
    LAST,
    OF_ANY_QUERY,
    PER_TOPIC,
    PER_TOPIC_COUNT,
    TOPIC,
    TYPE,
    Parameters,
    WholeNumber,
    names_of,
    not_both,
)
from tocsin.http.request import Request
from tocsin.http.routes.base import Route
from tocsin.hub.ahead import AHEAD_S, LOOK_S
from tocsin.hub.history_pages import PAGE_BYTES, HistoryPages, Page, size
from tocsin.hub.hub import Hub
from tocsin.hub.polls import PollGroup, Polls
from tocsin.hub.readers import Reader

AFTER = "after"
BEFORE = "before"
WAIT = "wait"

LIMIT = WholeNumber.of("limit", "Events a page.", "10", least=1, most=1_000, default=100)
WAIT_S = WholeNumber.of(
    WAIT, "Seconds to wait for events behind `after`, which it needs.", "0", least=0, most=60
)
PARAMETERS = (
    TOPIC,
    TYPE,
    Parameter(
        name=AFTER,
        summary="The id behind which the page begins. Without it, the newest page.",
        example="1732345678901-42",
        schema={"type": "string"},
        codes=(*OF_ANY_QUERY, "conflicting_parameters"),
    ),
    Parameter(
        name=BEFORE,
        summary="The id that the page ends before: to walk back through the history.",
        example="1732345678901-42",
        schema=ID_SCHEMA,
        codes=(*OF_ANY_QUERY, "conflicting_parameters", "invalid_before"),
    ),
    LIMIT,
    PER_TOPIC_COUNT,
    WAIT_S,
)
KNOWN = names_of(PARAMETERS) | {TICKET}

KNOWN_ANSWER_BYTES = 64 * 1024
"""Of an answer that is kept for others who waited for the same."""

_check = msgspec.json.Decoder(msgspec.Raw).decode


class HistoryEvent(msgspec.Struct, omit_defaults=True):
    """An event that is kept.

    Attributes:
        id: its place in the log.
        topic: the first of its topics.
        type: its event type.
        time: when it was accepted, Unix time in seconds.
        data: what streams get as its data: JSON where it is JSON, else a text.
        topics: all of its topics, where there are several.
        final: true where it ended them.
        traceparent: of the POST that published it (W3C Trace Context), where it had one.
    """

    id: str
    topic: str
    type: str
    time: float
    data: Any
    topics: tuple[str, ...] = ()
    final: bool = False
    traceparent: str = ""


class HistoryPage(msgspec.Struct, omit_defaults=True):
    """A page of the history.

    Attributes:
        events: the oldest first.
        gap: what is missing before them; null is nothing.
        oldest: the id of the oldest event kept; null where there is none, or for who may not read every topic.
        head: the id of the newest event; null for who may not read every topic.
        next: as `cursor`; null in the newest page.
        cursor: the id to pass as `after` to get what comes next.
        more: whether others that match are kept, behind these or left out of them, or may be.
        previous: the id to pass as `before` to get what comes before the page. Null in a page before an id is nothing;
            the newest page has it where it ended before it was full.
        ended: true where nothing comes after these and what `more` stands for: all topics that were asked for have ended.
        ignored: parameters that mean nothing here.
    """

    events: list[HistoryEvent]
    gap: Gap | None
    oldest: str | None
    head: str | None
    next: str | None
    cursor: str
    more: bool
    previous: str | UnsetType | None = UNSET
    ended: bool = False
    ignored: tuple[str, ...] = ()


class Poll(Later):
    """An answer that may wait for events."""

    __slots__ = ("_polls", "asked", "group", "until")

    def __init__(self, polls: Polls) -> None:
        super().__init__()
        self._polls = polls
        self.asked: Question
        self.group: PollGroup | None = None
        self.until = 0

    @property
    def reader(self) -> Reader | None:
        """Whose rights end; None where everybody may do everything."""
        principal = self.request.principal
        return None if principal is EVERYBODY else principal

    def leave(self) -> None:
        """The client has left."""
        if self.group:
            self._polls.discard(self)
            self.give(Unavailable("the client left", code="busy"))
        else:
            super().leave()


class Question:
    """What requests wait for: what is behind the page, which was empty. All who wait for the same share one.

    Attributes:
        route: answers it.
        answer: made for one of them, for the others; None before.
        state: of the log when it was made.
    """

    __slots__ = (
        "__weakref__",
        "answer",
        "filter",
        "limit",
        "page",
        "parameters",
        "reads_everything",
        "route",
        "state",
    )

    def __init__(
        self,
        route: HistoryRoute,
        page: Page,
        parameters: Parameters,
        filter: Filter,
        limit: int,
        reads_everything: bool,
    ) -> None:
        self.route = route
        self.page = page
        self.parameters = parameters
        self.filter = filter
        self.limit = limit
        self.reads_everything = reads_everything
        self.answer: Answer | None = None
        self.state: tuple[object, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two questions the same, of this log and of one that comes after it."""
        parameters = self.parameters
        place = self.page.ring, self.page.end, parameters.last(AFTER), self.filter
        return (*place, self.limit, self.reads_everything, parameters.ignored)

    def on_woken(self, polls: Sequence[Poll]) -> None:
        """Answer these, who asked it, now that there may be something."""
        self.route.answer_woken(self, polls)


class HistoryRoute(Route):
    """Pages of the history, oldest event first in each; the newest page if no id is given.

    Args:
        hub: whose history it is.
        answers: bytes of answers under way; no page is made while they are spent.
    """

    name = "history"
    operations = (
        Operation(
            method="GET",
            summary="What is kept, as JSON",
            text=f"A page ends at {PAGE_BYTES} bytes, whatever its `limit`.",
            parameters=PARAMETERS,
            replies=(Reply(summary="A page.", shape=HistoryPage),),
            codes=("journal_down", "restart", "principal", "address"),
        ),
    )
    takes_ticket = True

    def __init__(self, hub: Hub, answers: ByteBudget) -> None:
        self._hub = hub
        self._pages = HistoryPages(hub)
        self._answers = answers
        self._encoding = asyncio.Lock()
        self._questions: WeakValueDictionary[tuple[object, ...], Question] = WeakValueDictionary()

    def answer(self, request: Request) -> Later:
        """One page: `events`, `gap`, `oldest`, `head`, and `more` if the page doesn't hold all that it could.

        `cursor` is the id to ask for what is after. `next` is the same, and null in the newest page. A page before an
        id has `previous`, the id to ask for what is before, or null. `ended` says that nothing comes after these and
        what `more` stands for: all topics that were asked for have ended.

        Raises:
            InvalidInput: a parameter can't be taken.
            Unauthorized, Forbidden: the sender may read nothing of that.
            Unavailable: too many bytes of other answers are still unread; or the journal can't be read now.
        """
        parameters = Parameters.read(request, KNOWN)
        if LAST in parameters.ignored:  # who asks a stream for so many must not get a hundred here
            message = f"{LAST} is a parameter of streams; here the newest so many are limit"
            raise InvalidInput(message, code="unknown_parameter", field=LAST, status=400)
        limit = LIMIT.read(parameters)
        filter = request.principal.readable(parameters.filter)
        if PER_TOPIC in parameters.values:
            PER_TOPIC_COUNT.read(parameters)  # before anything is read
            if AFTER in parameters.values:
                raise not_both(PER_TOPIC, AFTER)
        before = _before_of(parameters)
        wait_s = 0.0
        if WAIT in parameters.values:
            wait_s = WAIT_S.read(parameters)
            if not parameters.last(AFTER):
                message = f"{WAIT} needs {AFTER}: the id behind which events are waited for"
                raise InvalidInput(message, code="invalid_wait", field=WAIT, status=400)
        self._check_room()
        poll = Poll(self._hub.polls) if wait_s else None
        later = poll or Later()
        reading = self._read(parameters, filter, limit, before, request.principal, wait_s, poll)
        later.follow(reading, may_be_left=wait_s > 0)
        return later

    async def _read(
        self,
        parameters: Parameters,
        filter: Filter,
        limit: int,
        before: EventId | None,
        principal: Principal,
        wait_s: float,
        poll: Poll | None,
    ) -> Answer | PutOff:
        after = parameters.last(AFTER)
        reads_everything = principal.reads_everything
        if PER_TOPIC in parameters.values:
            page = await self._pages.recent(filter, PER_TOPIC_COUNT.read(parameters), limit)
        elif before:
            page = await self._pages.before(before, filter, limit)
        elif after:
            await self._until_here(after)
            page = await self._pages.after(after, filter, limit)
            if poll and page.has_nothing and not self._hub.ended_topics.cover(filter):
                self._wait(
                    poll, Question(self, page, parameters, filter, limit, reads_everything), wait_s
                )
                return PUT_OFF
        else:
            page = await self._pages.newest(filter, limit)
        return await self._encode(page, parameters, filter, reads_everything)

    async def _encode(
        self, page: Page, parameters: Parameters, filter: Filter, reads_everything: bool
    ) -> Answer:
        async with self._encoding:
            # A page of 1,000 events takes 4 ms. Many that are asked for at once have a turn of the loop each: who waits
            # for the lock is woken in the next one.
            await asyncio.sleep(0)
            self._check_room()  # the pages before this one, which nobody may have read, count by now
            return self._encoded(page, parameters, filter, reads_everything)

    async def _until_here(self, after: str) -> None:
        """Wait for an id that only another process of the log has yet, for a bounded time; it is no gap."""
        history, ends_at = self._hub.history, monotonic() + AHEAD_S
        while history and history.may_be_ahead and id_ahead(after, self._hub.ring):
            if monotonic() > ends_at:
                return
            await asyncio.sleep(LOOK_S)

    def _wait(self, poll: Poll, question: Question, wait_s: float) -> None:
        """Answer `poll` when there may be something; at the latest when the reader's credentials end.

        Raises:
            Unavailable: too many wait.
        """
        if poll.reader:
            wait_s = max(min(wait_s, poll.reader.expires_at - time()), 0.0)
        poll.asked = self._questions.setdefault(question.key, question)
        self._hub.polls.begin(poll, wait_s, poll.request.peer)
        # A thousand that wait are cold when an event comes: what isn't looked at by then costs to be freed, too.
        poll.request = poll.request.outline()

    def answer_woken(self, question: Question, polls: Sequence[Poll]) -> None:
        """Answer those who asked `question`, now that there may be something behind its page, which was empty."""
        try:
            answer = self._answer_at_once(question)
        except (
            Exception
        ) as error:  # the journal's or a bug: theirs, and not of the others that wait
            for poll in polls:
                poll.give(error)
            return
        if answer:
            give_all(polls, answer)
        else:
            for poll in polls:
                poll.follow(self._answer_after_wait(question), may_be_left=True)

    def _answer_at_once(self, question: Question) -> Answer | None:
        """The same answer for all who asked `question`; None where it has to be waited for, or is too long to be kept.

        Made once for all who waited for the same, as an event for a thousand of them is.
        """
        state = self._state()
        if question.state != state:
            question.answer, question.state = None, state
            page = self._pages.after_at_once(self._place(question), question.filter, question.limit)
            if page and size(page.entries) <= KNOWN_ANSWER_BYTES:
                self._check_room()
                question.answer = self._encoded(
                    page, question.parameters, question.filter, question.reads_everything
                )
        return question.answer

    async def _answer_after_wait(self, question: Question) -> Answer:
        page = await self._pages.after(self._place(question), question.filter, question.limit)
        return await self._encode(
            page, question.parameters, question.filter, question.reads_everything
        )

    def _place(self, question: Question) -> str:
        """The id behind which there was nothing; of an earlier log the one that was asked for."""
        page = question.page
        if self._hub.ring is page.ring:
            return str(page.ring.id_at(page.end))
        return question.parameters.last(AFTER)

    def _state(self) -> tuple[object, ...]:
        """What the answers to all questions depend on."""
        ring = self._hub.ring
        return (ring, ring.head, ring.floor, self._pages.kept(ring).floor)

    def _check_room(self) -> None:
        """Raises Unavailable: too many bytes of answers are unread."""
        if self._answers.is_spent:
            message = f"answers of {self._answers.limit} bytes are unread; try again"
            raise Unavailable(message, code="busy", retry_after_s=2)

    def _encoded(
        self, page: Page, parameters: Parameters, filter: Filter, reads_everything: bool
    ) -> Answer:
        ring = page.ring
        history = None if self._pages.kept(ring) is ring else self._hub.history
        oldest = oldest_kept(ring, history) if reads_everything else None
        answer = HistoryPage(
            events=[_event(ring, entry) for entry in page.entries],
            # Ids of events that may be of foreign topics are told to nobody who mayn't read these.
            gap=page.gap if reads_everything or not page.gap else page.gap.without_counts(),
            oldest=None if oldest is None else str(ring.id_at(oldest)),
            head=str(ring.id_at(ring.head)) if reads_everything else None,
            next=None if page.cursor is None else str(ring.id_at(page.cursor)),
            cursor=str(ring.id_at(page.end)),
            more=page.more,
            previous=self._previous(page),
            ended=self._hub.ended_topics.cover(filter),
            ignored=parameters.ignored,
        )
        return of_json(answer)

    @staticmethod
    def _previous(page: Page) -> str | UnsetType | None:
        """The id to ask before; of a page that wasn't asked for by one it is only said where it has to be."""
        if page.previous is None:
            return None if page.is_before else UNSET
        return str(page.ring.id_at(page.previous))


def _before_of(parameters: Parameters) -> EventId | None:
    """The id that a page is asked for to end before, or None.

    Raises:
        InvalidInput: it is no id, or something else says where the page begins.
    """
    if BEFORE not in parameters.values:
        return None
    for other in (AFTER, WAIT, PER_TOPIC):
        if other in parameters.values:
            raise not_both(BEFORE, other)
    before = EventId.parse(parameters.last(BEFORE))
    if before is None:
        message = f"{BEFORE} must be an event's id, such as 1732345678901-42"
        raise InvalidInput(message, code="invalid_before", field=BEFORE, status=400)
    return before


def _event(ring: RingBuffer, entry: Entry) -> HistoryEvent:
    return HistoryEvent(
        str(ring.id_at(entry.seq)),
        entry.topic,
        entry.type,
        entry.time,
        _as_json(entry.data),
        entry.topics if entry.more_topics else (),
        entry.final,
        entry.traceparent,
    )


def _as_json(data: bytes) -> msgspec.Raw | str:
    """`data` as it is where it is JSON, as all is that was posted; else as a text: who embeds the hub may publish any."""
    try:
        data.decode()
        _check(data)
    except DECODE_ERRORS:
        return data.decode(errors="replace")
    return msgspec.Raw(data)
