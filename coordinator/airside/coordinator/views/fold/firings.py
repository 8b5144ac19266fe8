"""The view `firings`: what the rules decided. A firing never changes; what resolved it is another firing."""

from collections.abc import Sequence
from typing import Any, Final

import duckdb

from airside.coordinator.views import tables
from airside.coordinator.views.fold.base import Entry
from airside.coordinator.views.fold.own import FiringDecided

_COLUMNS: Final = {
    "workspace": tables.TEXT,
    "id": tables.TEXT,
    "automation": tables.TEXT,
    "revision": tables.NUMBER,
    "outcome": tables.TEXT,
    "key": tables.TEXT,
    "window": tables.TEXT,
    "position": tables.NUMBER,
    "log_position": tables.NUMBER,
    "time": tables.MOMENT,
    "decided": tables.MOMENT,
    "reason": tables.TEXT,
    "clause": tables.TEXT,
    "severity": tables.TEXT,
    "event_count": tables.NUMBER,
    "events": tables.TEXT,
    "actions": tables.TEXT,
    "late_by": tables.REAL,
    "resolves": tables.TEXT,
}


class Firings:
    """Appends each firing of a batch."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def open(self, con: duckdb.DuckDBPyConnection) -> None:
        """Nothing to remember."""

    def fold(self, con: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> None:
        """Add the rows of those entries that are firings."""
        self._rows += [_row(entry, entry.own) for entry in entries if isinstance(entry.own, FiringDecided)]

    def write(self, con: duckdb.DuckDBPyConnection) -> None:
        """Append the rows."""
        if self._rows:
            tables.run(con, "firings", tables.arrow(_COLUMNS, self._rows))

    def keep(self) -> None:
        """Start anew."""
        self._rows.clear()

    def drop(self) -> None:
        """Start anew."""
        self._rows.clear()


def _row(entry: Entry, decided: FiringDecided) -> tuple[Any, ...]:
    return (
        entry.record.event.workspace,
        entry.record.event.id,
        decided.automation,
        decided.revision,
        decided.outcome,
        bytes(decided.key),
        bytes(decided.window),
        decided.position,
        entry.record.position,
        decided.time,
        decided.decided,
        decided.reason,
        bytes(decided.clause),
        decided.severity,
        decided.event_count,
        bytes(decided.events),
        bytes(decided.actions),
        decided.late_by,
        decided.resolves,
    )
