"""A bound on bytes held for requests and answers under way, over all connections."""

from __future__ import annotations


class ByteBudget:
    """Counts bytes that are held, against a limit.

    Args:
        limit: bytes at most.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def take(self, count: int) -> bool:
        """Hold `count` bytes more; False, and nothing is held, where the limit doesn't allow it."""
        if self.held + count > self.limit:
            return False
        self.held += count
        return True

    def add(self, count: int) -> None:
        """Hold `count` bytes more, whatever the limit: they are there already."""
        self.held += count

    def give_back(self, count: int) -> None:
        """Hold `count` bytes less."""
        self.held -= count

    @property
    def is_spent(self) -> bool:
        """Whether nothing more should be begun."""
        return self.held >= self.limit

    def __repr__(self) -> str:
        return f"ByteBudget({self.held} of {self.limit})"
