from __future__ import annotations

from tests.eventlog.test_ring import entry
from tocsin.core.filters import EVERYTHING
from tocsin.core.wire import chunk
from tocsin.hub.counters import Counters
from tocsin.hub.group import PIECE_BYTES, Group, Mark, Piece, Step


def group(*seqs: int, chunked: bool = False, data: bytes = b"{}") -> Group[str]:
    made: Group[str] = Group(EVERYTHING, chunked, cursor=0, counters=Counters())
    made.pending = [entry(seq, data=data) for seq in seqs]
    return made


def made_times(*seqs: int) -> list[float]:
    return [entry(seq).time for seq in seqs]


def test_batch_is_all_that_is_pending_as_one_piece_to_the_head() -> None:
    made = group(1, 2)
    joined = entry(1).block + entry(2).block
    assert made.take_pending(5).steps == [
        Step(Piece(joined, 5, 2, made_times(1, 2)), Mark(0), Mark(5, 2, len(joined)))
    ]
    assert (made.pending, made.mark.cursor) == ([], 5)


def test_chunked_group_gets_one_chunk() -> None:
    (step,) = group(1, chunked=True).take_pending(1).steps
    assert step.piece == Piece(chunk(entry(1).block), 1, 1, made_times(1))


def test_stream_that_joined_since_gets_only_what_is_new_to_it() -> None:
    batch = group(1, 2, 3).take_pending(3)
    assert batch.after(2) == [Piece(entry(3).block, 3, 1, made_times(3))]
    assert batch.after(3) == []
    assert batch.after(2) is batch.after(2)


def test_large_batch_is_cut_into_bounded_pieces() -> None:
    steps = group(*range(1, 11), data=b"x" * 20_000).take_pending(12).steps
    pieces = [step.piece for step in steps]
    assert [step.base for step in steps[1:]] == [step.mark for step in steps[:-1]]
    assert [(piece.cursor, piece.events) for piece in pieces] == [(4, 4), (8, 4), (12, 2)]
    assert all(len(piece.payload) < PIECE_BYTES + 21_000 for piece in pieces)
