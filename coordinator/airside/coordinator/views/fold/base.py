"""What every fold is: it takes the entries of a batch one by one and writes the rows that came of them at once."""

from collections.abc import Sequence
from typing import Protocol

import duckdb
import msgspec

from airside.coordinator.views.fold.own import Own
from airside.events import Record
from airside.events.wire import Micros


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event to fold. `own` is its payload's meaning, if it is one that the plane wrote for itself to read."""

    record: Record
    key: bytes
    by_plane: bool
    own: Own | None = None

    @property
    def received(self) -> Micros:
        return self.record.received


class Fold(Protocol):
    """One view's part of a batch. What it returns to memory after a rollback is as if the batch had never come."""

    def open(self, con: duckdb.DuckDBPyConnection) -> None:
        """Read what must be remembered of the rows that are there."""

    def fold(self, con: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> None:
        """Take the entries in their order, reading the rows that they may change.

        Only the database may fail here: what can be wrong with an entry was looked at before.
        """

    def write(self, con: duckdb.DuckDBPyConnection) -> None:
        """Write the rows, inside the batch's transaction."""

    def keep(self) -> None:
        """The transaction was committed."""

    def drop(self) -> None:
        """The transaction was rolled back."""
