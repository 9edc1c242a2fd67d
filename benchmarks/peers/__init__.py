"""The servers that are measured: the hub and its peers, each in a file of its own."""

from __future__ import annotations

from peers.base import Peer
from peers.centrifugo import CENTRIFUGO
from peers.cloop import CLOOP, CLOOP_BATCH
from peers.hub import HUBS
from peers.nats import NATS
from peers.nchan import NCHAN
from peers.node import BETTER_SSE, EXPRESS
from peers.starlette import SSE_STARLETTE
from peers.tornado_loop import TORNADO

ALL: tuple[Peer, ...] = (
    *HUBS,
    NCHAN,
    CENTRIFUGO,
    CLOOP,
    CLOOP_BATCH,
    EXPRESS,
    BETTER_SSE,
    TORNADO,
    SSE_STARLETTE,
    NATS,
)
