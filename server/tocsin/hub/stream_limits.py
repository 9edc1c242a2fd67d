"""How many streams a principal and an address may have open at once."""

from __future__ import annotations

from collections import Counter

from tocsin.settings import Settings
from tocsin.settings.addresses import network_of


class StreamLimits:
    """Counts the open streams of each principal and each address, where that is limited; else nothing is kept.

    Who is no principal, an empty name, is counted by its address alone. An address of IPv6 stands for its /64, as one
    machine has that many.
    """

    def __init__(self, settings: Settings) -> None:
        self._per_principal = settings.max_clients_per_principal
        self._per_address = settings.max_clients_per_address
        self._of_principals: Counter[str] = Counter()
        self._of_addresses: Counter[str] = Counter()
        self._owners: dict[int, tuple[str, str]] = {}  # by the client's number

    @property
    def are_set(self) -> bool:
        """Whether anything is limited."""
        return bool(self._per_principal or self._per_address)

    def refuses(self, principal: str, address: str) -> str:
        """Why one more stream isn't opened for these: ``principal``, ``address``; or empty."""
        most = self._per_principal
        if most and principal and self._of_principals[principal] >= most:
            return "principal"
        most = self._per_address
        if most and address and self._of_addresses[network_of(address)] >= most:
            return "address"
        return ""

    @property
    def used(self) -> dict[str, float]:
        """Of each limit, by its setting, what share the one who has most uses of theirs; 0 where there is no limit."""
        return {
            "max_clients_per_principal": _share(self._of_principals, "", self._per_principal),
            "max_clients_per_address": _share(self._of_addresses, "", self._per_address),
        }

    def add(self, number: int, principal: str, address: str) -> None:
        """Count a stream that was opened, the client's number being `number`."""
        if not self.are_set:
            return
        network = network_of(address)
        self._owners[number] = principal, network
        self._of_principals[principal] += 1
        self._of_addresses[network] += 1

    def remove(self, number: int) -> None:
        """Count no more a stream that closed."""
        owner = self._owners.pop(number, None) if self._owners else None
        if owner is None:
            return
        for counts, name in zip((self._of_principals, self._of_addresses), owner, strict=True):
            counts[name] -= 1
            if not counts[name]:
                del counts[name]


def _share(counts: Counter[str], nobody: str, limit: int) -> float:
    """What share of `limit` the one who has most has; `nobody` doesn't count."""
    if not limit:
        return 0.0
    return max([count for name, count in counts.items() if name != nobody], default=0) / limit
