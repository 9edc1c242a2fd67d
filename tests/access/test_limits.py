"""Token buckets, at times that the test says."""

from __future__ import annotations

import pytest

from tocsin import Settings
from tocsin.access import limits
from tocsin.access.limits import PublishLimits, TokenBuckets
from tocsin.errors import RateLimited


def test_bucket_holds_ten_seconds_and_fills_at_its_rate() -> None:
    buckets = TokenBuckets(2.0)
    for _ in range(20):
        assert buckets.wait_s("a", 100.0) == 0
        buckets.take("a", 1, 100.0)
    assert buckets.wait_s("a", 100.0) == 0  # empty, and not below
    buckets.take("a", 1, 100.0)
    assert buckets.wait_s("a", 100.0) == 0.5
    assert buckets.wait_s("a", 100.5) == 0
    assert buckets.wait_s("b", 100.0) == 0


def test_what_is_larger_than_a_bucket_is_taken_and_waited_for_afterwards() -> None:
    buckets = TokenBuckets(2.0)
    buckets.take("a", 1_000, 100.0)
    assert buckets.wait_s("a", 100.0) == 490.0
    assert buckets.wait_s("a", 590.0) == 0


def test_silent_bucket_holds_no_more_than_it_can() -> None:
    buckets = TokenBuckets(2.0)
    buckets.take("a", 1, 0.0)
    buckets.take("a", 22, 1_000_000.0)
    assert buckets.wait_s("a", 1_000_000.0) == 1.0


def test_number_of_buckets_is_bounded_and_the_longest_silent_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MAX_BUCKETS", 3)
    buckets = TokenBuckets(1.0)
    for name in ("a", "b", "c", "a", "d"):
        buckets.take(name, 100, 0.0)
    assert len(buckets) == 3
    assert buckets.wait_s("b", 0.0) == 0
    assert buckets.wait_s("a", 0.0) == 190


def test_each_limit_names_its_setting_and_counts_what_is_its() -> None:
    rates = {"publish_rate_per_address": 1.0, "publish_bytes_per_principal": 100.0}
    both = PublishLimits(Settings(**rates))  # type: ignore[arg-type]
    both.take("key:a", "192.0.2.1", 12, 1, 0.0)
    both.check("key:a", "192.0.2.2", 0.0)
    with pytest.raises(RateLimited) as raised:
        both.check("key:a", "192.0.2.1", 0.0)
    assert (raised.value.limit, raised.value.retry_after_s) == ("publish_rate_per_address", 2)
    both.take("key:a", "192.0.2.2", 0, 1_200, 0.0)
    with pytest.raises(RateLimited, match="publish_bytes_per_principal"):
        both.check("key:a", "192.0.2.3", 0.0)
    both.check("key:b", "192.0.2.3", 0.0)


def test_who_is_nobody_or_nowhere_is_not_limited_as_one() -> None:
    settings = Settings(publish_rate_per_address=1.0, publish_rate_per_principal=1.0)
    limits = PublishLimits(settings)
    limits.take("", "", 1_000, 0, 0.0)
    limits.check("", "", 0.0)
    assert PublishLimits(settings).are_set
    assert not PublishLimits(Settings()).are_set


def test_addresses_of_one_network_of_ipv6_are_one() -> None:
    limits = PublishLimits(Settings(publish_rate_per_address=1.0))
    limits.take("", "2001:db8:1:2::1", 100, 0, 0.0)
    with pytest.raises(RateLimited):
        limits.check("", "2001:db8:1:2:ffff::9", 0.0)
    limits.check("", "2001:db8:1:3::1", 0.0)
