from __future__ import annotations

import math
from base64 import urlsafe_b64encode

import pytest

from tocsin.access.keys import Key, KeyTable
from tocsin.access.principal import Principal
from tocsin.access.rights import Patterns
from tocsin.access.tickets import MAX_LIFE_S, Tickets
from tocsin.errors import InvalidInput, Unauthorized

NOW = 1_000_000.0
ALICE = Principal(
    name="jwt:alice",
    publish=Patterns(["p"]),
    subscribe=Patterns(["s/*"]),
    is_admin=True,
    expires_at=NOW + 60,
)
KEY = Key(
    name="ci",
    digests=(b"1" * 32,),
    publish=Patterns(["p"]),
    subscribe=Patterns(["s"]),
    is_admin=True,
)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tickets(clock: Clock) -> Tickets:
    return Tickets(b"k" * 32, clock)


def test_ticket_is_for_reading_alone_and_a_session_for_both(tickets: Tickets) -> None:
    ticket, _ = tickets.issue("ticket", ALICE)
    session, _ = tickets.issue("session", ALICE)
    reader = tickets.read("ticket", ticket, KeyTable())
    writer = tickets.read("session", session, KeyTable())
    assert (reader.name, reader.subscribe, reader.publish) == (
        "jwt:alice",
        Patterns(["s/*"]),
        Patterns(),
    )
    assert writer.publish == Patterns(["p"])


def test_neither_is_an_operators(tickets: Tickets) -> None:
    table = KeyTable([KEY])
    for principal in (ALICE, table.find(b"1" * 32)):
        assert principal
        assert principal.is_admin
        for use in ("ticket", "session"):
            text, _ = tickets.issue(use, principal)
            assert not tickets.read(use, text, table).is_admin


def test_it_lasts_as_long_as_the_token_and_a_day_at_most(tickets: Tickets, clock: Clock) -> None:
    _, end = tickets.issue("ticket", ALICE)
    assert end == NOW + 60
    text, end = tickets.issue("ticket", Principal(name="jwt:bob", expires_at=math.inf))
    assert end == NOW + MAX_LIFE_S
    clock.now = end
    with pytest.raises(Unauthorized) as refused:
        tickets.read("ticket", text, KeyTable())
    assert refused.value.reason == "expired"


def test_ticket_of_a_key_has_the_rights_that_the_key_has_now(tickets: Tickets) -> None:
    table = KeyTable([KEY])
    key = table.find(b"1" * 32)
    assert key
    text, _ = tickets.issue("ticket", key)
    changed = KeyTable([Key(name="ci", digests=KEY.digests, subscribe=Patterns(["other"]))])
    assert tickets.read("ticket", text, changed).subscribe == Patterns(["other"])
    with pytest.raises(Unauthorized, match="revoked"):
        tickets.read("ticket", text, KeyTable())
    with pytest.raises(Unauthorized, match="revoked"):
        tickets.read("ticket", text, KeyTable([Key(name="ci", digests=(b"2" * 32,))]))


def test_ticket_got_by_a_session_lasts_as_long_as_that(tickets: Tickets) -> None:
    session, end = tickets.issue("session", ALICE)
    principal = tickets.read("session", session, KeyTable())
    _, ticket_end = tickets.issue("ticket", principal)
    assert ticket_end == end


def test_what_was_given_out_for_one_use_is_no_good_for_the_other(tickets: Tickets) -> None:
    ticket, _ = tickets.issue("ticket", ALICE)
    session, _ = tickets.issue("session", ALICE)
    with pytest.raises(Unauthorized):
        tickets.read("session", ticket, KeyTable())
    with pytest.raises(Unauthorized):
        tickets.read("ticket", session, KeyTable())


def forgeries(text: str) -> list[str]:
    said, _, signature = text.partition(".")
    other = urlsafe_b64encode(b'["ticket","jwt:root",9e9,"",["*"],[],[]]').rstrip(b"=").decode()
    return [
        "",
        ".",
        text + "x",
        text[1:],
        said,
        f"{said}.",
        f"{other}.{signature}",
        "é.é",
        f"{said}=.{signature}",
    ]


def test_forged_ticket_is_refused(tickets: Tickets) -> None:
    text, _ = tickets.issue("ticket", ALICE)
    for forged in forgeries(text):
        with pytest.raises(Unauthorized) as refused:
            tickets.read("ticket", forged, KeyTable())
        assert refused.value.reason == "invalid"
    with pytest.raises(Unauthorized):
        Tickets(b"o" * 32, lambda: NOW).read("ticket", text, KeyTable())


def test_rights_too_many_for_an_address_are_refused_in_words(tickets: Tickets) -> None:
    many = Patterns([f"{n:03d}{'x' * 100}" for n in range(100)])
    with pytest.raises(InvalidInput, match="too many"):
        tickets.issue("ticket", Principal(name="jwt:a", subscribe=many))
