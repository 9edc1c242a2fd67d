"""Key sets at an address: fetched while the loop goes on, seldom, and never believed when they are broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.access.keys import token
from tests.access.test_tokens import PRIVATE, key_set
from tocsin.access import key_sets
from tocsin.access.authentication import Authentication, digest_of_bearer
from tocsin.errors import SettingsError, Unauthorized, Unavailable
from tocsin.settings import Settings


class Issuer:
    """Serves a key set, and counts who asks."""

    def __init__(self) -> None:
        self.content = key_set(one="RS256")
        self.status = 200
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.url = ""


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    issuer = Issuer()

    class Handler(RequestHandler):
        async def get(self) -> None:
            issuer.asked += 1
            await issuer.may_answer.wait()
            self.set_status(issuer.status)
            if issuer.status == 302:
                self.set_header("Location", issuer.url + "/moved")
            self.finish(issuer.content)

    sock, port = bind_unused_port()
    server = HTTPServer(Application([(r"/.*", Handler)], log_function=lambda _: None))
    server.add_sockets([sock])
    issuer.url = f"http://127.0.0.1:{port}/keys"
    try:
        yield issuer
    finally:
        issuer.may_answer.set()
        server.stop()
        await server.close_all_connections()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of key sets; to be set."""
    now = [1_000.0]
    monkeypatch.setattr("tocsin.access.authentication.time.monotonic", lambda: now[0])
    return now


def bearer(kid: str, algorithm: str = "RS256") -> str:
    return "Bearer " + token(key=PRIVATE[algorithm], algorithm=algorithm, kid=kid)


async def principal_of(authentication: Authentication, credentials: str) -> str:
    principal = authentication.of_bearer(credentials)
    return (principal or await authentication.learn(credentials)).name


async def test_first_token_waits_for_the_set_and_all_wait_for_one_fetch() -> None:
    async with issuing() as issuer:
        issuer.may_answer.clear()
        authentication = Authentication(Settings(jwt_jwks=issuer.url))
        waiting = [
            asyncio.ensure_future(principal_of(authentication, bearer("one"))) for _ in range(5)
        ]
        while not issuer.asked:
            await asyncio.sleep(0.01)  # the loop goes on
        issuer.may_answer.set()
        assert await asyncio.gather(*waiting) == ["jwt:alice"] * 5
        assert issuer.asked == 1


async def test_key_that_is_new_is_learnt_of_and_unknown_ones_do_not_have_the_set_fetched_without_end(
    now: list[float],
) -> None:
    async with issuing() as issuer:
        authentication = Authentication(Settings(jwt_jwks=issuer.url))
        await principal_of(authentication, bearer("one"))
        issuer.content = key_set(one="RS256", two="ES256")
        with pytest.raises(Unauthorized):  # just asked
            await principal_of(authentication, bearer("two", "ES256"))
        now[0] += key_sets.LEAST_S
        assert await principal_of(authentication, bearer("two", "ES256")) == "jwt:alice"
        for number in range(5):
            with pytest.raises(Unauthorized):
                await principal_of(authentication, bearer(f"invented-{number}"))
        assert issuer.asked == 2


async def test_key_that_left_the_set_is_no_good_from_the_next_fetch_on(now: list[float]) -> None:
    async with issuing() as issuer:
        authentication = Authentication(Settings(jwt_jwks=issuer.url, jwt_jwks_refresh=20))
        credentials = bearer("one")
        await principal_of(authentication, credentials)
        issuer.content = key_set(two="ES256")
        now[0] += 21
        assert await principal_of(authentication, bearer("two", "ES256"))
        with pytest.raises(Unauthorized):
            await principal_of(authentication, credentials)


async def test_known_tokens_alone_have_the_set_fetched_again(now: list[float]) -> None:
    async with issuing() as issuer:
        authentication = Authentication(Settings(jwt_jwks=issuer.url, jwt_jwks_refresh=20))
        credentials = bearer("one")
        digest = digest_of_bearer(credentials)
        await principal_of(authentication, credentials)
        issuer.content = key_set(two="ES256")
        now[0] += 21
        assert authentication.of_digest(digest)  # the fetch goes on meanwhile
        assert authentication._key_set
        await authentication._key_set.learn()
        assert issuer.asked == 2
        assert authentication.of_digest(digest) is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"keys": []}', b"x" * 2_000_000])
async def test_broken_set_leaves_the_keys_as_they_are(content: bytes, now: list[float]) -> None:
    async with issuing() as issuer:
        authentication = Authentication(Settings(jwt_jwks=issuer.url))
        credentials = bearer("one")
        await principal_of(authentication, credentials)
        issuer.content = content
        await authentication.reload()
        assert issuer.asked == 2
        assert await principal_of(authentication, credentials) == "jwt:alice"


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_set_that_was_never_there_is_the_hubs_trouble_and_not_the_tokens(status: int) -> None:
    async with issuing() as issuer:
        issuer.status = status
        authentication = Authentication(Settings(jwt_jwks=issuer.url))
        for _ in range(3):
            with pytest.raises(Unavailable):
                await principal_of(authentication, bearer("one"))
        assert issuer.asked == 1  # and no redirect is followed


async def test_set_in_a_file_is_read_at_the_start_and_on_reload(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_bytes(key_set(one="RS256"))
    authentication = Authentication(Settings(jwt_jwks=str(path)))
    assert await principal_of(authentication, bearer("one"))
    path.write_bytes(key_set(two="ES256"))
    await authentication.reload()
    assert await principal_of(authentication, bearer("two", "ES256"))
    path.write_bytes(b"{")
    await authentication.reload()
    assert await principal_of(authentication, bearer("two", "ES256"))


def test_file_that_is_no_set_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_bytes(b"{")
    with pytest.raises(SettingsError, match="jwt_jwks"):
        Authentication(Settings(jwt_jwks=str(path)))
