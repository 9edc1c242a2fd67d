"""Over TLS: all that the tests of streams and of slow clients say, and what is TLS' own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.access.keys import KeyFile
from tests.certificates import Certificate, make_certificate
from tests.cli.commands import tocsin
from tests.conftest import StartHub
from tests.http import test_slow_clients, test_stream
from tests.patience import PATIENCE_S, wait_until
from tests.raw import Answer, get, notice, post, raw, read_answer
from tests.serving import StreamClient, Transport, eventually, serving
from tocsin import Draft
from tocsin.http import listener

# These look at the sockets of streams, which a stream over TLS has not, or connect by hand.
PLAIN_ONLY = {
    "test_accepted_sockets_inherit_the_listeners_options",
    "test_slow_client_has_its_time_before_the_kernel_takes_it_for_dead",
    "test_connection_beyond_the_descriptors_is_closed_and_disturbs_nobody",
    "test_many_streams_of_many_filters_each_get_their_own",  # for its time
    "test_client_that_never_reads_adds_a_bounded_piece_of_memory",
}

for _module in (test_stream, test_slow_clients):
    for _name, _test in vars(_module).items():
        if _name.startswith("test_") and _name not in PLAIN_ONLY:
            globals()[_name] = _test
del _test


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def _over_tls(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting = certificate.trusting
    asking: list[asyncio.Future[None]] = []

    def stalled_client(port: int) -> ssl.SSLSocket:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        plain.connect(("127.0.0.1", port))
        # The hub is on this thread's loop, so the handshake can't be waited for here.
        plain.setblocking(False)
        client = trusting.wrap_socket(
            plain, server_hostname="localhost", do_handshake_on_connect=False
        )
        asking.append(asyncio.ensure_future(ask(client)))
        return client

    async def ask(client: ssl.SSLSocket) -> None:
        while True:
            try:
                client.do_handshake()
                break
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                await asyncio.sleep(0.005)
        client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")

    monkeypatch.setattr(Transport, "settings", certificate.settings)
    monkeypatch.setattr(Transport, "ssl", trusting)
    monkeypatch.setattr(test_slow_clients, "stalled_client", stalled_client)


def exchange(port: int, certificate: Certificate, *requests: bytes) -> list[Answer]:
    """The answers to `requests`, over one connection."""
    with connected(port, certificate.trusting) as connection:
        answers = []
        for request in requests:
            connection.sendall(request)
            answers.append(read_answer(connection))
        return answers


@contextmanager
def connected(port: int, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S))
        yield stack.enter_context(context.wrap_socket(plain, server_hostname="localhost"))


def presented(port: int) -> bytes:
    """The certificate that the hub presents now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connected(port, context) as connection:
        return connection.getpeercert(binary_form=True) or b""


def test_greeting_is_https_and_a_connection_takes_several_requests(
    start_hub: StartHub, certificate: Certificate
) -> None:
    hub = start_hub(*certificate.flags)
    assert f"Tocsin listens at https://localhost:{hub.port}\n" in hub.log()
    answers = exchange(hub.port, certificate, post(notice()), get("/healthz"), get("/api/stats"))
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert answers[2].json["published"] == 1


@pytest.mark.parametrize(
    ("public_url", "is_secure"),
    [("", True), ("https://hub.example", True), ("http://hub.example", False)],
)
def test_session_is_sent_by_tls_alone(
    start_hub: StartHub,
    certificate: Certificate,
    tmp_path: Path,
    public_url: str,
    is_secure: bool,
) -> None:
    keys = KeyFile(tmp_path)
    key = keys.add("a", subscribe=["*"])
    flags = ("--keys", keys.path, "--public-url", public_url)
    hub = start_hub(*certificate.flags, *flags)
    asked = raw("POST /api/session HTTP/1.1", "Host: localhost", "Content-Length: 0", key)
    [answer] = exchange(hub.port, certificate, asked)
    assert ("Secure" in answer.headers["set-cookie"].split("; ")) == is_secure


def test_path_beside_it_is_plain(
    start_hub: StartHub, certificate: Certificate, tmp_path: Path
) -> None:
    path = tmp_path / "hub.sock"
    start_hub(*certificate.flags, "--host", "127.0.0.1", "--host", f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(str(path))
        connection.sendall(get("/healthz"))
        assert read_answer(connection).status == 200


async def test_stream_that_is_drained_ends_whole() -> None:
    async with serving(canary=0) as server:
        client = await StreamClient.open(server)
        await server.hub.publish(*[Draft("notification", b'"%d"' % n) for n in range(500)])
        await client.take(501)
        await server.hub.drain()
        (busy,) = await client.read_to_end()
        assert busy.json["reason"] == "draining"


async def test_large_backlog_arrives_in_order() -> None:
    async with serving(canary=0) as server:
        data = b'"' + b"x" * 20_000 + b'"'
        await server.hub.publish(*[Draft("notification", data) for _ in range(200)])
        client = await StreamClient.open(server, "?lastEventId=earliest")
        events = await client.take(201)
        numbers = [int(event.last_event_id.partition("-")[2]) for event in events[1:]]
        assert numbers == list(range(1, 201))


async def test_handshake_that_does_not_come_is_closed_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_S", 0.2)
    async with serving(canary=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await eventually(lambda: server._listener.open == 1)
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        assert server._listener.open == 0
        writer.close()


async def test_plain_request_and_rubbish_are_closed_and_harm_nobody() -> None:
    async with serving(canary=0) as server:
        for sent in (get("/healthz"), b"\x16\x03\x01" + bytes(300), b"\x00"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(sent)
            writer.write_eof()
            with suppress(ConnectionResetError):  # what it sent was not read to the end
                assert b"HTTP" not in await asyncio.wait_for(reader.read(), PATIENCE_S)
            writer.close()
        client = await StreamClient.open(server)
        assert (await client.next()).type == "connection"
        await eventually(lambda: server._listener.open == 0)


async def test_stop_does_not_wait_for_a_handshake() -> None:
    async with serving(canary=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await eventually(lambda: server._listener.open == 1)
        await server.stop()
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
def test_old_versions_are_refused(
    version: ssl.TLSVersion, start_hub: StartHub, certificate: Certificate
) -> None:
    hub = start_hub(*certificate.flags)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{hub.port}"]
    flag = {"TLSv1_1": "-tls1_1", "TLSv1_2": "-tls1_2"}[version.name]

    result = subprocess.run(
        [*command, flag, "-cipher", "DEFAULT@SECLEVEL=0"],
        input="",
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ("Cipher is (NONE)" in result.stdout) is (version is ssl.TLSVersion.TLSv1_1)


def test_hangup_has_the_certificate_read_again_and_a_broken_one_changes_nothing(
    start_hub: StartHub, tmp_path: Path
) -> None:
    first, second = make_certificate(tmp_path, "first"), make_certificate(tmp_path, "second")
    in_use = Certificate(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))

    def use(cert: str, key: str) -> None:
        shutil.copy(cert, in_use.cert)
        shutil.copy(key, in_use.key)

    use(first.cert, first.key)
    hub = start_hub(*in_use.flags)
    before = presented(hub.port)
    with connected(hub.port, first.trusting) as stream:
        stream.sendall(get("/events"))
        assert stream.recv(65_536)
        use(second.cert, second.key)
        hub.signal(signal.SIGHUP)
        wait_until(lambda: presented(hub.port) != before)
        after = presented(hub.port)
        use(first.cert, second.key)  # not its key
        hub.signal(signal.SIGHUP)
        wait_until(lambda: "was not read again" in hub.log())
        assert presented(hub.port) == after
        assert exchange(hub.port, second, post(notice()))[0].json["sentTo"] == 1
        assert b"bonjour" in stream.recv(65_536)  # an open stream goes on


@pytest.mark.parametrize("broken", ["none", "folder", "rubbish", "other", "passphrase"])
def test_certificate_that_cannot_be_used_is_one_line_and_code_2(
    broken: str, certificate: Certificate, tmp_path: Path
) -> None:
    path = tmp_path / "key.pem"
    if broken == "folder":
        path.mkdir()
    elif broken == "rubbish":
        path.write_bytes(os.urandom(100))
    elif broken == "other":
        path = Path(make_certificate(tmp_path, "other").key)
    elif broken == "passphrase":
        command = ["openssl", "ec", "-in", certificate.key, "-aes128", "-passout", "pass:secret"]
        subprocess.run([*command, "-out", str(path)], check=True, capture_output=True)
    result = tocsin("serve", "--port", "0", "--tls-cert", certificate.cert, "--tls-key", str(path))
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "tls_key: " in result.stderr
    assert str(path) in result.stderr


@pytest.mark.parametrize("given", ["cert", "key"])
def test_one_file_without_the_other_is_refused(given: str, certificate: Certificate) -> None:
    flags: dict[str, Any] = {"cert": certificate.flags[:2], "key": certificate.flags[2:]}
    result = tocsin("serve", *flags[given])
    assert result.returncode == 2
    assert result.stderr.startswith(f"tocsin: tls_{'key' if given == 'cert' else 'cert'}: ")
