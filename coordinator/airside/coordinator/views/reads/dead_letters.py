"""Reading what could not be folded."""

from base64 import b64encode
from typing import Any

import duckdb

from airside.coordinator.views.reads.filters import Where
from airside.coordinator.views.reads.pages import Page, choose, clamp, iso, page_of, read_cursor


def list_dead_letters(
    con: duckdb.DuckDBPyConnection, workspace: str, *, cursor: str | None = None, limit: int = 50
) -> Page:
    """List dead letters, the newest first; `data` is base64. Raises BadCursor."""
    limit = clamp(limit)
    conditions = Where()
    conditions.add("workspace = ?", workspace)
    if cursor is not None:
        (place,) = read_cursor(cursor, int)
        conditions.add("position < ?", place)
    chosen, more = choose(
        con,
        "SELECT rowid, octet_length(data) FROM dead_letters"  # noqa: S608
        f" WHERE {conditions} ORDER BY position DESC LIMIT {limit + 1}",
        conditions.parameters,
        limit,
    )
    rows = con.execute(
        "SELECT position, epoch_us(received), subject, reason, data FROM dead_letters"  # noqa: S608
        f" WHERE {chosen} ORDER BY position DESC"
    ).fetchall()
    return page_of([_dead_letter(row) for row in rows], more, "position")


def _dead_letter(row: tuple[Any, ...]) -> dict[str, Any]:
    position, received, subject, reason, data = row
    return {
        "position": position,
        "received": iso(received),
        "subject": subject,
        "reason": reason,
        "data": b64encode(data).decode(),
    }
