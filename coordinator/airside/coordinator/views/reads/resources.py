"""Reading resources."""

from collections.abc import Mapping
from typing import Any

import duckdb

from airside.coordinator.views.reads.filters import Where
from airside.coordinator.views.reads.pages import Page, clamp, iso, page, parsed, read_cursor

_COLUMNS = (
    "id, kind, name, labels, state, epoch_us(first_seen), epoch_us(last_seen), last_position, last_type,"
    " last_event_id, last_by_type"
)


def list_resources(
    con: duckdb.DuckDBPyConnection,
    workspace: str,
    *,
    resource: str | None = None,
    kind: str | None = None,
    state: str | None = None,
    labels: Mapping[str, str] | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """List resources, the ones seen last first. `resource` is a glob on the id. Raises BadCursor."""
    limit = clamp(limit)
    conditions = Where()
    conditions.add("workspace = ?", workspace)
    conditions.text("id", resource)
    for column, value in (("kind", kind), ("state", state)):
        if value is not None:
            conditions.add(f"{column} = ?", value)
    conditions.labels(labels or {})
    if cursor is not None:
        position, name = read_cursor(cursor, int, str)
        conditions.add("(last_position < ? OR (last_position = ? AND id > ?))", position, position, name)
    rows = con.execute(
        f"SELECT {_COLUMNS} FROM resources WHERE {conditions}"  # noqa: S608
        f" ORDER BY last_position DESC, id LIMIT {limit + 1}",
        conditions.parameters,
    ).fetchall()
    return page([_resource(row) for row in rows], limit, "last_position", "id")


def get_resource(con: duckdb.DuckDBPyConnection, workspace: str, resource_id: str) -> dict[str, Any] | None:
    """Show one resource."""
    rows = con.execute(
        f"SELECT {_COLUMNS} FROM resources WHERE workspace = ? AND id = ?",  # noqa: S608
        [workspace, resource_id],
    ).fetchall()
    return _resource(rows[0]) if rows else None


def _resource(row: tuple[Any, ...]) -> dict[str, Any]:
    (name, kind, title, labels, state, first_seen, last_seen, position, last_type, last_event, by_type) = row
    return {
        "id": name,
        "kind": kind,
        "name": title,
        "labels": parsed(labels),
        "state": state,
        "first_seen": iso(first_seen),
        "last_seen": iso(last_seen),
        "last_position": position,
        "last_type": last_type,
        "last_event_id": last_event,
        "last_by_type": parsed(by_type),
    }
