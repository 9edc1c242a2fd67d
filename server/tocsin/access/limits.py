"""How much a principal and an address may publish, by token buckets. No clock: the time comes in as an argument.

A bucket fills with so many tokens a second, up to those of `BURST_S`. A publish is taken as long as there is one
left, and then takes what it costs, below zero too: so a batch that is larger than any bucket can be published, and
what it was too large by is waited for afterwards.
"""

from __future__ import annotations

from collections import OrderedDict

from tocsin.errors import RateLimited
from tocsin.settings import Settings
from tocsin.settings.addresses import network_of

BURST_S = 10.0
"""Seconds' worth of tokens that a bucket holds: who was silent may send so much at once."""

MAX_BUCKETS = 100_000
"""Principals, or addresses, that are known at once. The one that was silent longest is forgotten first: by then its
bucket is full again, unless there are more publishers than this."""


class TokenBuckets:
    """A bucket for each name that comes up.

    Args:
        rate: tokens a second that each bucket gets.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._full_at: OrderedDict[str, float] = (
            OrderedDict()
        )  # all that there is to know of a bucket
        self._emptiest_full_at = 0.0

    def wait_s(self, name: str, now: float) -> float:
        """How long until the bucket of `name` holds a token; 0 where it does."""
        return max(self._full_at.get(name, now) - now - BURST_S, 0.0)

    def take(self, name: str, tokens: float, now: float) -> None:
        """Take `tokens` out of the bucket of `name`."""
        full_at = max(self._full_at.get(name, now), now)
        self._full_at[name] = full_at + tokens / self._rate
        self._full_at.move_to_end(name)
        # All buckets fill at the same pace: the one that will be full last is the emptiest until another is to be later.
        self._emptiest_full_at = max(self._emptiest_full_at, self._full_at[name])
        if len(self._full_at) > MAX_BUCKETS:
            self._full_at.popitem(last=False)

    def used(self, now: float) -> float:
        """How empty the emptiest bucket is: 0 is full, at 1 its publisher waits."""
        return min(max((self._emptiest_full_at - now) / BURST_S, 0.0), 1.0)

    def __len__(self) -> int:
        return len(self._full_at)


class PublishLimits:
    """What of publishing is limited, for each principal and each address.

    Who is no principal, an empty name, is limited by its address alone; so is by its principal who has no address.
    An address of IPv6 stands for its /64, as one machine has that many.
    """

    def __init__(self, settings: Settings) -> None:
        def limits(what: str, of: str) -> tuple[str, TokenBuckets] | None:
            name = f"publish_{what}_per_{of}"
            rate = float(getattr(settings, name))
            return (name, TokenBuckets(rate)) if rate else None

        self._of_principal = (limits("rate", "principal"), limits("bytes", "principal"))
        self._of_address = (limits("rate", "address"), limits("bytes", "address"))

    @property
    def are_set(self) -> bool:
        """Whether anything is limited."""
        return any((*self._of_principal, *self._of_address))

    def used(self, now: float) -> dict[str, float]:
        """Of each limit that is set, by its setting, how much the one who publishes most uses of theirs: 0 to 1."""
        limits = (*self._of_principal, *self._of_address)
        return {limit[0]: limit[1].used(now) for limit in limits if limit}

    def check(self, principal: str, address: str, now: float) -> None:
        """Judge another publish.

        Raises:
            RateLimited: it is one too many.
        """
        for limit, name in self._limits(principal, address):
            setting, buckets = limit
            wait_s = buckets.wait_s(name, now)
            if wait_s > 0:
                raise RateLimited(setting, wait_s)

    def take(self, principal: str, address: str, events: int, size: int, now: float) -> None:
        """Count `events` that were published in a body of `size` bytes."""
        for limit, name in self._limits(principal, address):
            setting, buckets = limit
            buckets.take(name, events if "_rate_" in setting else size, now)

    def _limits(self, principal: str, address: str) -> list[tuple[tuple[str, TokenBuckets], str]]:
        """The limits that there are, each with whom it is for."""
        of_each = ((self._of_principal, principal), (self._of_address, network_of(address)))
        return [(limit, name) for limits, name in of_each if name for limit in limits if limit]
