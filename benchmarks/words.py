"""Texts that differ as much as those of real events: what is compressed must not be `xxxx`."""

from __future__ import annotations

import random

WORDS = (
    *("order", "customer", "shipped", "paid", "refused", "address", "price", "stock", "sensor"),
    *("pressure", "valve", "opened", "closed", "user", "signed", "in", "out", "build", "deployed"),
    *("failed", "retried", "after", "minutes", "warehouse", "north", "south", "total", "page"),
)


def sentence(dice: random.Random) -> str:
    """Some 60 characters: five words, a number and an identifier."""
    words = " ".join(dice.choices(WORDS, k=5))
    return f"{words} {dice.randrange(10**6)} {dice.getrandbits(64):016x}"
