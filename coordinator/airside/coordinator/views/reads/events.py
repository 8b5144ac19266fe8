"""Reading events."""

from typing import Any

import duckdb

from airside.coordinator import ids
from airside.coordinator.views.reads.filters import EventFilter, where
from airside.coordinator.views.reads.pages import Page, choose, clamp, iso, page_of, parsed, read_cursor

_COLUMNS = (
    "id, type, epoch_us(time), source, resource_id, resource_kind, resource_name, labels, related,"
    " coalesce(payload, large_payload), causes, workspace, position, epoch_us(received)"
)


def list_events(
    con: duckdb.DuckDBPyConnection,
    wanted: EventFilter,
    *,
    after: int | None = None,
    before: int | None = None,
    cursor: str | None = None,
    limit: int = 50,
    newest_first: bool = True,
) -> Page:
    """List events in the order of the log, as `airside.events.wire.to_dict` shows them.

    `after` and `before` are log positions, neither included; `cursor` continues a list with the same filter and order.
    A page has fewer than `limit` events when they are large. Raises BadCursor.
    """
    limit = clamp(limit)
    conditions = where(wanted)
    if after is not None:
        conditions.add("position > ?", after)
    if before is not None:
        conditions.add("position < ?", before)
    if cursor is not None:
        (place,) = read_cursor(cursor, int)
        conditions.add("position < ?" if newest_first else "position > ?", place)
    order = "DESC" if newest_first else "ASC"
    chosen, more = choose(
        con,
        f"SELECT rowid, bytes FROM events WHERE {conditions} ORDER BY position {order} LIMIT {limit + 1}",  # noqa: S608
        conditions.parameters,
        limit,
    )
    rows = con.execute(f"SELECT {_COLUMNS} FROM events WHERE {chosen} ORDER BY position {order}").fetchall()  # noqa: S608
    return page_of([_event(row) for row in rows], more, "position")


def count_events(con: duckdb.DuckDBPyConnection, wanted: EventFilter) -> int:
    """Count events."""
    conditions = where(wanted)
    query = f"SELECT count(*) FROM events WHERE {conditions}"  # noqa: S608
    count: int = con.execute(query, conditions.parameters).fetchall()[0][0]
    return count


def get_event(con: duckdb.DuckDBPyConnection, workspace: str, event_id: str) -> dict[str, Any] | None:
    """Show one event. Of two with this id, one posted and one written by the plane, it is the plane's own."""
    rows = con.execute(
        f"SELECT {_COLUMNS} FROM events WHERE id_key IN (?, ?) AND id = ? AND workspace = ?"  # noqa: S608
        " ORDER BY id_key = ? DESC LIMIT 1",
        [*_keys(workspace, event_id), event_id, workspace, _keys(workspace, event_id)[0]],
    ).fetchall()
    return _event(rows[0]) if rows else None


def _keys(workspace: str, event_id: str) -> list[int]:
    return [int.from_bytes(ids.key(workspace, event_id, own=own), "little") for own in (True, False)]


def _event(row: tuple[Any, ...]) -> dict[str, Any]:
    (event_id, event_type, time, source, resource, kind, name, labels, related, payload, causes, *place) = row
    workspace, position, received = place
    return {
        "id": event_id,
        "type": event_type,
        "time": iso(time),
        "source": source,
        "resource": {"id": resource, "kind": kind, "name": name, "labels": parsed(labels)},
        "related": parsed(related),
        "payload": parsed(payload),
        "causes": parsed(causes),
        "workspace": workspace,
        "position": position,
        "received": iso(received),
    }
