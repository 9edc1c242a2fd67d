"""Whose request it is, behind proxies that are trusted, and behind those that aren't."""

from __future__ import annotations

import pytest

from tocsin.access.trusted_proxies import TrustedProxies

PROXIES = TrustedProxies(("10.0.0.0/8", "2001:db8::/32", "unix"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),  # nobody trusts it
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.9, 198.51.100.1", "198.51.100.1"),  # the left one is made up
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),  # a client of the inner network
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db9::1]:4711", "2001:db9::1"),
        ("10.0.0.1", "2001:DB9:0::1", "2001:db9::1"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8::5", "198.51.100.1", "198.51.100.1"),
        ("unix", "198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", ""),  # the hub itself
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "1" * 5_000, "10.0.0.1"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
        ("10.0.0.1", "unix", "10.0.0.1"),
    ],
)
def test_client_is_the_first_from_the_right_that_is_no_trusted_proxy(
    peer: str, forwarded_for: str, client: str
) -> None:
    headers = {"x-forwarded-for": forwarded_for} if forwarded_for else {}
    assert PROXIES.client(peer, headers) == client


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("for=198.51.100.1", "198.51.100.1"),
        ('For="198.51.100.1:4711";proto=http;by=10.0.0.1', "198.51.100.1"),
        ('proto=https; for="[2001:db9::1]:4711"', "2001:db9::1"),
        ("for=198.51.100.9, for=198.51.100.1, for=10.0.0.2", "198.51.100.1"),
        ('by="a,b;for=198.51.100.9", for=198.51.100.1', "198.51.100.1"),
        ("for=_hidden", "10.0.0.1"),
        ("for=198.51.100.1, for=unknown", "10.0.0.1"),
        ("proto=http", "10.0.0.1"),
        ("xfor=198.51.100.1", "10.0.0.1"),
        (
            'for=198.51.100.9;x=", for="[2001:db9::1]"',
            "10.0.0.1",
        ),  # a quote that swallows the proxy's
        ('for="\\", for=198.51.100.1', "198.51.100.1"),
    ],
)
def test_header_forwarded_is_read_in_the_same_way(forwarded: str, client: str) -> None:
    assert PROXIES.client("10.0.0.1", {"forwarded": forwarded}) == client


def test_two_headers_that_tell_of_two_clients_count_for_nothing() -> None:
    for forwarded in ("for=198.51.100.9", "for=unknown", 'for="'):
        headers = {"x-forwarded-for": "198.51.100.1", "forwarded": forwarded}
        assert PROXIES.client("10.0.0.1", headers) == "10.0.0.1"
    agreeing = {"x-forwarded-for": "198.51.100.1", "forwarded": "for=198.51.100.1"}
    assert PROXIES.client("10.0.0.1", agreeing) == "198.51.100.1"


def test_unix_peers_are_trusted_only_where_that_is_said() -> None:
    proxies = TrustedProxies(("10.0.0.1",))
    assert proxies.client("unix", {"x-forwarded-for": "198.51.100.1"}) == "unix"
    assert proxies.client("10.0.0.1", {"x-forwarded-for": "198.51.100.1"}) == "198.51.100.1"
    assert proxies.client("10.0.0.2", {"x-forwarded-for": "198.51.100.1"}) == "10.0.0.2"
