"""Addresses of a hub's routes."""

from __future__ import annotations


def address(url: str, path: str) -> str:
    """Where `path` of the hub at `url` is; `url` may end in it.

    Raises:
        ValueError: `url` has a query.
    """
    if "?" in url or "#" in url:
        raise ValueError("url: allowed: the hub's address, without a query")
    return url.rstrip("/").removesuffix(path) + path
