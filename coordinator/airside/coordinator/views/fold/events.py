"""The view `events`: every event once, as it stands on the log."""

from collections.abc import Sequence
from typing import Any, Final

import duckdb
import msgspec
import orjson

from airside.coordinator.views import tables
from airside.coordinator.views.fold.base import Entry

_COLUMNS = {
    "position": tables.NUMBER,
    "received": tables.MOMENT,
    "id": tables.TEXT,
    "id_key": tables.KEY,
    "type": tables.TEXT,
    "time": tables.MOMENT,
    "source": tables.TEXT,
    "workspace": tables.TEXT,
    "resource_id": tables.TEXT,
    "resource_kind": tables.TEXT,
    "resource_name": tables.TEXT,
    "labels": tables.TEXT,
    "related": tables.TEXT,
    "payload": tables.TEXT,
    "causes": tables.TEXT,
    "large_payload": tables.TEXT,
    "bytes": tables.NUMBER,
}
#: Payloads of more bytes have a column of their own; see schema.sql.
LARGE_BYTES: Final = 4_096
_encode = msgspec.json.Encoder().encode


class Events:
    """Appends each event of a batch."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def open(self, con: duckdb.DuckDBPyConnection) -> None:
        """Nothing to remember."""

    def fold(self, con: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> None:
        """Add the events' rows."""
        self._rows += map(_row, entries)

    def write(self, con: duckdb.DuckDBPyConnection) -> None:
        """Append the rows."""
        if self._rows:
            tables.run(con, "events", tables.arrow(_COLUMNS, self._rows))

    def keep(self) -> None:
        """Start anew."""
        self._rows.clear()

    def drop(self) -> None:
        """Start anew."""
        self._rows.clear()


def _row(entry: Entry) -> tuple[Any, ...]:
    record, event = entry.record, entry.record.event
    resource = event.resource
    labels = orjson.dumps(resource.labels) if resource.labels else b"{}"
    related = _encode(event.related) if event.related else b"[]"
    payload = bytes(event.payload)
    causes = orjson.dumps(event.causes) if event.causes else b"[]"
    is_large = len(payload) > LARGE_BYTES
    return (
        record.position,
        record.received,
        event.id,
        int.from_bytes(entry.key, "little"),
        event.type,
        event.time,
        event.source,
        event.workspace,
        resource.id,
        resource.kind,
        resource.name,
        labels,
        related,
        None if is_large else payload,
        causes,
        payload if is_large else None,
        len(labels) + len(related) + len(payload) + len(causes),
    )
