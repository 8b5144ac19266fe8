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

    def load(self, con: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> None:
        """Nothing to read: firings never change."""

    def fold(self, entry: Entry) -> None:
        """Add the firing's row, if the entry is one."""
        decided = entry.own
        if not isinstance(decided, FiringDecided):
            return
        self._rows.append(
            (
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
        )

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
