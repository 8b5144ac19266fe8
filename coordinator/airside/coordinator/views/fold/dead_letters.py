"""The view `dead_letters`: entries of the log that could not be folded, with the reason."""

from typing import Any, Final

import duckdb
import msgspec

from airside.coordinator.views import tables
from airside.events import Record, model, wire
from airside.events.log import Poison
from airside.events.wire import Micros

MAX_DATA_BYTES: Final = 65_536

_COLUMNS: Final = {
    "workspace": tables.TEXT,
    "position": tables.NUMBER,
    "received": tables.MOMENT,
    "subject": tables.TEXT,
    "reason": tables.TEXT,
    "data": tables.BYTES,
}


class DeadLetter(msgspec.Struct, frozen=True):
    """One entry that could not be folded. `data` is its body, cut after 64 KB."""

    workspace: str
    position: int
    received: Micros
    subject: str
    reason: str
    data: bytes


def from_poison(poison: Poison) -> DeadLetter:
    """Keep what is no event."""
    return DeadLetter(
        _workspace(poison.subject),
        poison.position,
        poison.received,
        poison.subject,
        poison.reason,
        poison.data[:MAX_DATA_BYTES],
    )


def from_record(record: Record, reason: str) -> DeadLetter:
    """Keep an event that cannot be folded."""
    return DeadLetter(
        _workspace(record.subject),
        record.position,
        record.received,
        record.subject,
        reason,
        wire.encode(record.event)[:MAX_DATA_BYTES],
    )


def write(con: duckdb.DuckDBPyConnection, letters: list[DeadLetter]) -> None:
    """Append the rows, inside the batch's transaction."""
    rows: list[tuple[Any, ...]] = [
        (letter.workspace, letter.position, letter.received, letter.subject, letter.reason, letter.data)
        for letter in letters
    ]
    if rows:
        tables.run(con, "dead_letters", tables.arrow(_COLUMNS, rows))


def _workspace(subject: str) -> str:
    """Whose it is by its subject; what is nobody's goes where people look first."""
    token = subject.split(".", 2)[1] if "." in subject else ""
    return token if model.is_workspace(token) else model.DEFAULT_WORKSPACE
