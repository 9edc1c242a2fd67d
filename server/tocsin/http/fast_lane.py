"""The fast lane: connections whose requests are plain are read and answered here, without Tornado.

Tornado reads a request through futures, timeouts and a parser that can resume anywhere, and answers it through a
handler made for it: three quarters of what it costs to open a stream or to take an event. A `FastConnection` reads
its socket itself, waits for the rest where a request comes in parts (as most Python clients send it, head and body
apart), asks the `Edge`, and sends what it is given. What is odd in HTTP (`http1.read_head` says what) is handed to
Tornado with the bytes that were read, and the connection is Tornado's from there on.
"""

from __future__ import annotations

import asyncio
import logging
import re
import select
import socket
import time
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, Protocol, cast

import msgspec

from tocsin.access.authentication import digest_of_bearer
from tocsin.http.answer import Answer, ClosingStream, refusal
from tocsin.http.edge import Edge
from tocsin.http.http1 import (
    END_OF_HEAD,
    METHODS,
    Form,
    Head,
    encode_answer,
    encode_for_each,
    read_head,
    with_header,
)
from tocsin.http.later import Later
from tocsin.http.listening import received
from tocsin.http.open_stream import OpenStream
from tocsin.http.patience import (
    BEGINNING_BYTES,
    LEAVING_BYTES,
    LEAVING_S,
    answer_time_s,
    body_time_s,
)
from tocsin.http.request import Request
from tocsin.http.routes.base import Result, closing
from tocsin.hub.loop_lag import LoopLag
from tocsin.sockets import Sockets

log = logging.getLogger("tocsin.http")

READ_BYTES = 64 * 1024

MAX_KNOWN_HEADS = 256

OWN_HEAD_BYTES = 2 * 1024
"""Of a head with a token that its connection remembers, and the token's digest: more than half of what rights cost a POST."""


GONE = -1
"""Instead of how many bytes a socket took: its other end is closed."""

TOKEN_LINE = re.compile(rb"\r\n([Aa]uthorization:) ?(Bearer [A-Za-z0-9._~+/-]+=*)(?=\r\n|\Z)")
"""The usual line with a token; the last line of a head has no line break at its end."""

NO_HEAD = Head("GET", "", "", "HTTP/1.1", {}, "", 0, False)
"""Of a request that never had a whole one."""


class State(Enum):
    """What a connection is doing."""

    WAITING = auto()  # for a request
    READING = auto()  # a request that came in part
    ANSWERING = auto()  # what it is answered isn't known yet
    WRITING = auto()  # an answer that the socket didn't take whole
    LEAVING = auto()  # answered for the last time; what still comes is thrown away
    OVER = auto()  # closed, a stream's, or Tornado's


ANSWERED_FIRST = frozenset({State.ANSWERING, State.WRITING})
"""While a connection is in one of these, its next request waits."""


class Owner(Protocol):
    """Who accepted a connection, and bounds what it may do."""

    edge: Edge
    sockets: Sockets
    max_header_bytes: int
    is_stopping: bool
    loop_lag: LoopLag

    def on_over(self, connection: FastConnection) -> None:
        """The connection is closed, a stream's, or Tornado's."""

    def hand_over(self, sock: socket.socket, address: tuple[Any, ...], data: bytes) -> None:
        """Let Tornado serve the connection, of which `data` was read."""


class FastConnection:
    """One connection, until it is closed, a stream's, or handed over.

    Args:
        owner: the listener.
        sock: non-blocking; nothing was read from it yet.
        address: of the other end.
        is_internal: whether the other end is the hub itself.

    Attributes:
        state: only `_move` changes it.
        since: when it began, by the loop's clock.
        is_new: whether nothing was answered yet.
    """

    __slots__ = (
        "_address",
        "_admitted",
        "_counted",
        "_head",
        "_held",
        "_is_internal",
        "_is_watched",
        "_keeps_alive",
        "_later",
        "_looked",
        "_loop",
        "_own_head",
        "_owner",
        "_peer",
        "_pending",
        "_received",
        "_sockets",
        "_taken",
        "_thrown_away",
        "is_new",
        "since",
        "socket",
        "state",
    )

    def __init__(
        self,
        owner: Owner,
        sock: socket.socket,
        address: tuple[Any, ...],
        *,
        is_internal: bool = False,
    ) -> None:
        self._owner = owner
        self.socket = sock
        self._sockets = owner.sockets
        self._address = address
        self._peer = str(address[0]) if address else ""
        self._is_internal = is_internal
        self._loop = asyncio.get_running_loop()
        self._held: bytes | bytearray = b""  # read, and not yet taken
        self._received = 0.0  # Unix time at which the system had it, where the loop was late
        self._looked = 0  # bytes of it in which the end of the head isn't
        # The last one that has a token: as it came, with the blank line at its end, and what it says.
        self._own_head: tuple[bytes, Head] | None = None
        self._head: Head | None = None  # of the request whose body is waited for
        self._admitted = False  # whether that body may come in
        self._counted = 0  # bytes of `_held` that count in the budget of bodies
        self._keeps_alive = True
        self._pending = memoryview(b"")  # of an answer
        self._taken = 0  # bytes of it that the socket took since it first fell short
        self._thrown_away = 0
        self._is_watched = False
        self.is_new = True
        self._later: Later | None = None  # whose answer need not be made if the client leaves
        self.state = State.WAITING
        self.since = self._loop.time()

    # --- reading ------------------------------------------------------------------------------

    def on_ready(self, events: int = select.EPOLLIN) -> None:
        """The socket can be read, or takes bytes: read what lies there and serve it, or write on."""
        if self.state is State.WRITING:
            self._write_on()
            return
        if (
            self.state is State.ANSWERING
        ):  # the next request before the answer to this one: it can wait
            if self._later and self._has_left():
                self.close()
            else:
                self._unwatch()
            return
        try:
            if self._owner.loop_lag.is_late:
                data, self._received = received(self.socket, READ_BYTES)
            else:
                data, self._received = self.socket.recv(READ_BYTES), 0.0
        except BlockingIOError:
            self._watch()
            return
        except OSError:
            data = b""
        try:
            if not data:
                self.close()
            elif self.state is State.LEAVING:
                self._throw_away(len(data))
            else:
                self._held = data if not self._held else self._joined(data)
                self._serve()
        except Exception:  # the edge of a connection: a bug must not leave its client waiting
            log.exception("uncaught exception in a connection")
            self.close()

    def fail(self) -> None:
        """A bug: a client must not be left waiting."""
        self.close()

    def _joined(self, data: bytes) -> bytearray:
        """What is held with `data` behind it; grown in place, as a large body comes in many parts."""
        held = self._held if isinstance(self._held, bytearray) else bytearray(self._held)
        held += data
        return held

    def _throw_away(self, count: int) -> None:
        self._thrown_away += count
        if self._thrown_away > LEAVING_BYTES:
            self.close()

    # --- one request --------------------------------------------------------------------------

    def _serve(self) -> None:
        """Take the request that is held first, if it is whole; the next one has another turn of the loop."""
        if self._head is None and self._serve_known():
            return
        head = self._head or self._take_head()
        if head is None:
            return
        held, size = self._held, head.body_bytes
        if len(held) < size:
            if self._admitted or self._admit(head, held):
                self._wait_for_body(len(held))
            return
        self._held = held[size:]
        self._forget_request()
        self._answer(self._request(head, bytes(held[:size])))

    def _serve_known(self) -> bool:
        """Take a whole request whose head is known, as a publisher's is: the same, without what can't be then.

        A fifth of what the hub itself does for a POST. A head with a token is known to the connection that bore it
        alone; who sent it, and what they may do now, is asked of each request all the same.
        """
        held, own = self._held, self._own_head
        if not isinstance(held, bytes):
            return False
        if own and held.startswith(own[0]):
            body_at, head = len(own[0]), own[1]
        else:
            end = held.find(END_OF_HEAD)
            known = _known_heads.get(held[:end]) if end >= 0 else None
            if known is None:
                return False
            body_at, head = end + len(END_OF_HEAD), known
        end = body_at + head.body_bytes
        if len(held) < end:
            return False
        self._held = held[end:]
        self._keeps_alive = head.keeps_alive
        self._looked = 0
        self._answer(self._request(head, held[body_at:end]))
        return True

    def _serve_next(self) -> None:
        """Take the request that came in behind the last one."""
        if self.state is not State.WAITING or not self._held:
            return
        try:
            self._serve()
        except Exception:  # as in `on_ready`
            log.exception("uncaught exception in a connection")
            self.close()

    def _take_head(self) -> Head | None:
        """The head of the request that is held, cut off `_held`; None where it isn't whole, or isn't plain."""
        held, limit, own = self._held, self._owner.max_header_bytes, self._own_head
        if own and held.startswith(own[0]):  # its body comes apart
            return self._begin(own[1], len(own[0]))
        end = held.find(END_OF_HEAD, max(self._looked - len(END_OF_HEAD), 0))
        self._looked = len(held)
        if end > limit or (end < 0 and len(held) > limit):
            self._refuse_head(limit)
            return None
        if end < 0 and b"\n\n" not in held:
            self._wait_for_rest()
            return None
        head = (
            known_head(bytes(held[:end])) if end >= 0 else None
        )  # else its lines end in obsolete ways
        if head is None:
            self._hand_over()
            return None
        end += len(END_OF_HEAD)
        if end <= OWN_HEAD_BYTES and head.method == "POST" and "authorization" in head.headers:
            digest = digest_of_bearer(head.headers["authorization"])
            head = msgspec.structs.replace(head, digest=digest)
            self._own_head = bytes(held[:end]), head
        return self._begin(head, end)

    def _begin(self, head: Head, size: int) -> Head:
        """Cut `head`, the first `size` bytes, off what is held, and take it as that of the request to be read."""
        self._head = head
        self._keeps_alive = head.keeps_alive
        self._held = self._held[size:]
        return head

    def _admit(self, head: Head, held: bytes | bytearray) -> bool:
        """Ask whether the body may come in; asked again until its beginning is there."""
        beginning = bytes(held[:BEGINNING_BYTES])
        request = self._request(head, b"")
        refused = self._owner.edge.refuse(request, head.body_bytes, beginning)
        if refused is None:
            self._admitted = len(beginning) == BEGINNING_BYTES
            return True
        self._send(request, refused, time.perf_counter())
        return False

    def _wait_for_rest(self) -> None:
        """Wait for more of a request: by then it counts as being read, and has its time."""
        if self.state is not State.READING:
            self._move(State.READING)
        self._watch()

    def _wait_for_body(self, held_bytes: int) -> None:
        """The same for a body, whose bytes count in the budget of all bodies."""
        if not self._owner.edge.bodies.take(held_bytes - self._counted):
            message = f"bodies of {self._owner.edge.bodies.limit} bytes are coming in already"
            self._refuse_bytes(refusal(503, message, "busy", headers=(("Retry-After", "1"),)))
            return
        self._counted = held_bytes
        self._wait_for_rest()

    def _request(self, head: Head, body: bytes) -> Request:
        edge = self._owner.edge
        return Request(
            head.method,
            head.path,
            head.query,
            head.headers,
            body,
            edge.client(self._peer, head.headers) if edge.has_proxies else self._peer,
            head.media_type,
            head.version,
            self._is_internal,
            received=self._received,
            digest=head.digest,
        )

    def _forget_request(self) -> None:
        self._head = None
        self._admitted = False
        self._looked = 0
        if self._counted:
            self._owner.edge.bodies.give_back(self._counted)
            self._counted = 0

    def _refuse_head(self, limit: int) -> None:
        message = f"the head of the request is larger than max_header_bytes, {limit} bytes"
        self._refuse_bytes(refusal(431, message, "headers_too_large", limit=limit))

    def _refuse_bytes(self, answer: Answer) -> None:
        """Refuse the request that is being read, for what its bytes do and not for what it says."""
        request = self._request(self._head or NO_HEAD, b"")
        self._send(request, closing(answer), time.perf_counter())

    def overdue(self, now: float) -> bool:
        """Whether the state has lasted longer than it may."""
        lasted = now - self.since
        if self.state is State.READING:
            return lasted > body_time_s(len(self._held))
        return lasted > (LEAVING_S if self.state is State.LEAVING else answer_time_s(self._taken))

    def give_up(self) -> None:
        """End what is overdue: a request that doesn't come in, an answer that isn't taken."""
        if self.state is State.READING and (self._head or self._held.startswith(METHODS)):
            self._refuse_bytes(refusal(408, "the request did not come in in time", "timeout"))
        else:
            self.close()

    # --- one answer ---------------------------------------------------------------------------

    def _answer(self, request: Request) -> None:
        began = time.perf_counter()
        result = self._owner.edge.answer(request)
        if isinstance(result, Later):  # asked first: so most POSTs are answered
            self.state = State.ANSWERING
            result.taker, result.began = self, began
            if result.may_be_left:
                self._later = result
                self._watch()
        elif isinstance(result, Answer):
            self._send(request, result, began)
        else:
            self._give(result)

    def _has_left(self) -> bool:
        """Whether the client closed its connection, or its half of it."""
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def on_answer(self, later: Later, result: Result) -> None:
        """Send what `later` has come to, unless the client left."""
        if self.state is State.OVER:
            return
        self._later = None
        try:
            if isinstance(result, Answer):
                self._send(later.request, result, later.began)
            else:
                self._give(result)
        except Exception:  # as in `on_ready`; and of others that are answered with it
            log.exception("uncaught exception in a connection")
            self.close()

    @staticmethod
    def send_all(laters: Sequence[Later], answer: Answer) -> None:
        """Send `answer` to the connections of all of `laters`, whose clients didn't leave.

        As the fan-out does: no connection is looked at between two system calls, after which it would be cold.
        """
        laters = [each for each in laters if _connection_of(each).state is not State.OVER]
        if not laters:
            return
        connections = list(map(_connection_of, laters))
        sockets = [connection.socket for connection in connections]
        forms = [
            connection._form(later.request, answer)
            for connection, later in zip(connections, laters, strict=True)
        ]
        encoded = encode_for_each(answer, int(time.time()), forms)
        counts = list(map(sent_of, sockets, encoded))
        for connection, data, sent in zip(connections, encoded, counts, strict=True):
            connection._later = None
            try:
                connection._on_sent(data, sent)
            except Exception:  # as in `on_ready`; and of others that are answered with it
                log.exception("uncaught exception in a connection")
                connection.close()
        connections[0]._owner.edge.note_all(laters, answer.status, "fast", answer.body)

    def _give(self, result: OpenStream | ClosingStream) -> None:
        if isinstance(result, OpenStream):
            self._open(result)
        else:
            self._write_last(result)

    def _send(self, request: Request, answer: Answer, began: float) -> None:
        data = encode_answer(answer, int(time.time()), *self._form(request, answer))
        self._write(data)
        duration_s = time.perf_counter() - began
        self._owner.edge.note(request, answer.status, duration_s, "fast", answer.body)

    def _form(self, request: Request, answer: Answer) -> Form:
        """What the bytes of `answer` to `request` depend on: its fields of every answer, HEAD, and what comes behind."""
        if answer.closes or self._owner.is_stopping:
            self._keeps_alive = False
        fields = self._owner.edge.of_every_answer(request)
        return fields, request.method == "HEAD", self._keeps_alive

    def _open(self, opening: OpenStream) -> None:
        self._unwatch()
        opened = opening.open(self.socket)
        if isinstance(opened, ClosingStream):
            self._write_last(opened)
            return
        self._end()
        if self._held:  # whoever has a stream has nothing more to say
            opened.close("client")

    def _write_last(self, stream: ClosingStream) -> None:
        self._keeps_alive = False
        self._write(stream.head + stream.body)

    def _write(self, data: bytes) -> None:
        self._on_sent(data, sent_of(self.socket, data))

    def _on_sent(self, data: bytes, sent: int) -> None:
        """Go on where the socket took `sent` bytes of `data`."""
        if sent == len(data):
            self._on_written()
            return
        if sent == GONE:
            self.close()
            return
        self._pending = memoryview(data)[sent:]
        self._taken = 0
        self._owner.edge.answers.add(len(self._pending))
        self._move(State.WRITING)
        self._watch()
        # Not of the next request, which can wait until this answer is out.
        self._sockets.expect(self, select.EPOLLOUT)

    def _write_on(self) -> None:
        try:
            sent = self.socket.send(self._pending)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._owner.edge.answers.give_back(sent)
        self._pending = self._pending[sent:]
        self._taken += sent
        if not self._pending:
            self._sockets.expect(self, select.EPOLLIN)
            self._on_written()

    def _on_written(self) -> None:
        """The answer is out: take the next request, or leave."""
        self.is_new = False
        if not self._keeps_alive:
            self._leave()
            return
        self._move(State.WAITING)
        if self._held:  # first: who sends ahead of the answers must not have it all held here
            self._unwatch()
            self._loop.call_soon(self._serve_next)
        elif not self._is_watched:
            self._watch()

    # --- the end ------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Send nothing more, and read to the end what still comes; closing at once could reset the answer away."""
        self._forget_request()
        self._held = b""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._move(State.LEAVING)
        self._watch()

    def close(self) -> None:
        """Close, whatever is under way."""
        if self.state is State.OVER:
            return
        self._let_go()
        self.socket.close()

    def _hand_over(self) -> None:
        data = bytes(self._held)
        self._let_go()
        self._owner.hand_over(self.socket, self._address, data)

    def _let_go(self) -> None:
        """Hold nothing any more: no place in a budget, no callback, no token."""
        self._own_head = None
        self._unwatch()
        if self._pending:
            self._owner.edge.answers.give_back(len(self._pending))
            self._pending = memoryview(b"")
        self._forget_request()
        self._held = b""
        self._end()
        later, self._later = self._later, None
        if later:
            later.leave()

    def _end(self) -> None:
        self._move(State.OVER)
        self._owner.on_over(self)

    def _move(self, state: State) -> None:
        self.state = state
        self.since = time.monotonic()  # the loop's clock

    def _watch(self) -> None:
        if not self._is_watched:
            self._is_watched = True
            self._sockets.watch(self)

    def _unwatch(self) -> None:
        if self._is_watched:
            self._is_watched = False
            self._sockets.forget(self)

    def __repr__(self) -> str:
        return f"FastConnection({self.state.name.lower()}, held={len(self._held)})"


def _connection_of(later: Later) -> FastConnection:
    return cast(FastConnection, later.taker)


def sent_of(sock: socket.socket, data: bytes) -> int:
    """How many bytes of `data` the socket takes now; `GONE` where nobody is there any more."""
    try:
        return sock.send(data)
    except BlockingIOError:
        return 0
    except OSError:
        return GONE


_known_heads: dict[bytes, Head] = {}


def known_head(head: bytes) -> Head | None:
    """`read_head`, remembered for publishers, who send the same head again and again: a fiftieth of its cost.

    What says who sent it is never kept: no credentials lie in a table that all connections share. A head with a token
    is known by what is left without it, and has the token put back into a copy: a third of its cost.
    """
    known = _known_heads.get(head)
    if known is not None:
        return known
    token = TOKEN_LINE.search(head)
    if token is None:
        return _remembered(head)
    rest = head[: token.start()] + head[token.end() :]
    known = _known_heads.get(rest)
    if known is None:
        if token[1].lower() in rest.lower():  # two such lines are no business of this
            return read_head(head)
        known = _remembered(rest)
    # Of a head that is odd without the token, so it is with it.
    return known and with_header(known, "authorization", token[2].decode())


def _remembered(head: bytes) -> Head | None:
    known = read_head(head)
    if known and known.method == "POST" and known.is_repeated:
        if len(_known_heads) >= MAX_KNOWN_HEADS:
            _known_heads.clear()
        _known_heads[head] = known
    return known
