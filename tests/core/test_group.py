from __future__ import annotations

from tests.core.test_ring import entry
from tocsin.filters import EVERYTHING
from tocsin.group import PIECE_BYTES, Group, Piece
from tocsin.tally import Tally
from tocsin.wire import chunk


def group(*seqs: int, chunked: bool = False, data: bytes = b"{}") -> Group[str]:
    made: Group[str] = Group(EVERYTHING, chunked, cursor=0, tally=Tally())
    made.pending = [entry(seq, data=data) for seq in seqs]
    return made


def test_batch_is_all_that_is_pending_as_one_piece_to_the_head() -> None:
    made = group(1, 2)
    joined = entry(1).block + entry(2).block
    assert made.take_pending(head=5).pieces() == [Piece(joined, 5, 2)]
    assert (made.pending, made.cursor) == ([], 5)


def test_chunked_group_gets_one_chunk() -> None:
    assert group(1, chunked=True).take_pending(1).pieces() == [Piece(chunk(entry(1).block), 1, 1)]


def test_stream_that_joined_since_gets_only_what_is_new_to_it() -> None:
    batch = group(1, 2, 3).take_pending(head=3)
    assert batch.after(2) == [Piece(entry(3).block, 3, 1)]
    assert batch.after(3) == []
    assert batch.after(2) is batch.after(2)


def test_large_batch_is_cut_into_bounded_pieces() -> None:
    pieces = group(*range(1, 11), data=b"x" * 20_000).take_pending(head=12).pieces()
    assert [(piece.cursor, piece.events) for piece in pieces] == [(4, 4), (8, 4), (12, 2)]
    assert all(len(piece.payload) < PIECE_BYTES + 21_000 for piece in pieces)
