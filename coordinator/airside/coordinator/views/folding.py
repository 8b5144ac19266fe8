"""Folding whatever the log gives: in pieces that fit into memory, and past entries that cannot be folded.

`Views.apply` is one transaction, all or nothing. Here a batch that fails is tried again with nobody reading, then in
halves, down to the one entry that is at fault. That one becomes a dead letter: it must not keep back what follows.
"""

import logging
from collections.abc import Iterator
from typing import Final

import duckdb
import pyarrow as pa

from airside.coordinator.views.store import Folded, Views
from airside.events import Record
from airside.events.log import Batch, Poison

#: Payload in one transaction: with its copies it stays far below the views' memory limit.
PIECE_BYTES: Final = 16 * 2**20
_ENTRY_BYTES: Final = 1_024  # an entry without its payload, about

#: What an entry can be the reason for. A full disk, a lock or damage is never an entry's fault.
_FAULTS: Final = (
    duckdb.OutOfMemoryException,
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.InvalidInputException,
    duckdb.NotSupportedError,
    pa.ArrowException,
    ArithmeticError,
    ValueError,
    TypeError,
    MemoryError,
    RecursionError,
)
_log = logging.getLogger("airside.views")


def fold(views: Views, batch: Batch) -> Iterator[Folded]:
    """Fold a batch in as many transactions as it takes; gives what each one was, once it is committed.

    Raises what `Views.apply` raises when the log or the file are at fault; what was given before stays folded.
    """
    for piece in cut(batch, PIECE_BYTES):
        try:
            folded = views.apply(piece)
        except _FAULTS as error:
            _log.warning("entries up to %d are folded again, alone: %s", piece.last_position, _first_line(error))
            yield from _alone(views, piece)
        else:
            yield folded


def cut(batch: Batch, max_bytes: int) -> Iterator[Batch]:
    """Cut a batch into pieces of about so many bytes; an entry is never cut."""
    if sum(map(_size, batch.records)) + sum(map(_size, batch.poison)) <= max_bytes:
        yield batch
        return
    piece: list[Record | Poison] = []
    size = 0
    for entry in _ordered(batch):
        if piece and size + _size(entry) > max_bytes:
            yield _batch(piece)
            piece, size = [], 0
        piece.append(entry)
        size += _size(entry)
    if piece:
        yield _batch(piece)


def _alone(views: Views, batch: Batch) -> Iterator[Folded]:
    try:
        with views.alone():
            folded = views.apply(batch)
    except _FAULTS as error:
        entries = _ordered(batch)
        if len(entries) > 1:
            middle = len(entries) // 2
            yield from _alone(views, _batch(entries[:middle]))
            yield from _alone(views, _batch(entries[middle:]))
            return
        reason = f"cannot be folded: {_first_line(error)}"
        with views.alone():
            folded = views.apply(batch, refused={batch.last_position: reason})
    yield folded


def _ordered(batch: Batch) -> list[Record | Poison]:
    return sorted([*batch.records, *batch.poison], key=lambda entry: entry.position)


def _batch(entries: list[Record | Poison]) -> Batch:
    return Batch(
        [entry for entry in entries if isinstance(entry, Record)],
        [entry for entry in entries if isinstance(entry, Poison)],
        entries[-1].position,
        entries[-1].received,
        entries[0].position,
    )


def _size(entry: Record | Poison) -> int:
    data = entry.event.payload if isinstance(entry, Record) else entry.data
    return memoryview(data).nbytes + _ENTRY_BYTES


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
