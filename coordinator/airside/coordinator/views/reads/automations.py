"""Reading automations, their firings and the firings' actions."""

from datetime import datetime
from typing import Any

import duckdb

from airside.coordinator.views.reads.filters import Where
from airside.coordinator.views.reads.pages import Page, choose, clamp, iso, page_of, parsed, read_cursor
from airside.events import vocabulary

_FIRING = (
    'id, automation, revision, outcome, key, "window", position, log_position, epoch_us(time), epoch_us(decided),'
    " reason, clause, severity, event_count, events, actions, late_by, resolves,"
    " (SELECT arg_min(r.id, r.log_position) FROM firings AS r"
    " WHERE r.resolves = firings.id AND r.workspace = firings.workspace)"
)
_ACTION = "id, firing, automation, kind, index, state, attempts, result, error, epoch_us(updated), last_position"
_AUTOMATION = (
    "id, revision, enabled, severity, description, document, epoch_us(created), epoch_us(updated),"
    " epoch_us(last_triggered), firings, deleted"
)


def list_automations(con: duckdb.DuckDBPyConnection, workspace: str, *, deleted: bool = False) -> list[dict[str, Any]]:
    """List automations by name, with those that were deleted if asked for."""
    rows = con.execute(
        f"SELECT {_AUTOMATION} FROM automations WHERE workspace = ? AND (NOT deleted OR ?) ORDER BY id",  # noqa: S608
        [workspace, deleted],
    ).fetchall()
    return [_automation(row) for row in rows]


def get_automation(con: duckdb.DuckDBPyConnection, workspace: str, name: str) -> dict[str, Any] | None:
    """Show one automation, also a deleted one."""
    rows = con.execute(
        f"SELECT {_AUTOMATION} FROM automations WHERE workspace = ? AND id = ?",  # noqa: S608
        [workspace, name],
    ).fetchall()
    return _automation(rows[0]) if rows else None


def list_firings(
    con: duckdb.DuckDBPyConnection,
    workspace: str,
    automation: str | None = None,
    *,
    outcome: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """List firings, the newest first: all, or those of one automation. Raises BadCursor."""
    limit = clamp(limit)
    conditions = Where()
    conditions.add("workspace = ?", workspace)
    for column, value in (("automation", automation), ("outcome", outcome)):
        if value is not None:
            conditions.add(f"{column} = ?", value)
    if cursor is not None:
        (place,) = read_cursor(cursor, int)
        conditions.add("log_position < ?", place)
    chosen, more = choose(
        con,
        f"SELECT rowid, strlen(events) + strlen(key) + strlen(actions) FROM firings WHERE {conditions}"  # noqa: S608
        f" ORDER BY log_position DESC LIMIT {limit + 1}",
        conditions.parameters,
        limit,
    )
    rows = con.execute(
        f"SELECT {_FIRING} FROM firings WHERE {chosen} ORDER BY log_position DESC"  # noqa: S608
    ).fetchall()
    return page_of([_firing(row) for row in rows], more, "log_position")


def get_firing(con: duckdb.DuckDBPyConnection, workspace: str, firing: str) -> dict[str, Any] | None:
    """Show one firing."""
    rows = con.execute(
        f"SELECT {_FIRING} FROM firings WHERE workspace = ? AND id = ?",  # noqa: S608
        [workspace, firing],
    ).fetchall()
    return _firing(rows[0]) if rows else None


def get_revision(con: duckdb.DuckDBPyConnection, workspace: str, name: str, revision: int) -> dict[str, Any] | None:
    """Show the document of a revision of an automation, as it was written."""
    rows = con.execute(
        "SELECT coalesce(payload, large_payload) FROM events"
        " WHERE workspace = ? AND resource_id = ? AND type IN (?, ?) ORDER BY position DESC",
        [workspace, f"automation://{name}", vocabulary.AUTOMATION_CREATED, vocabulary.AUTOMATION_UPDATED],
    ).fetchall()
    payloads = (parsed(payload) for (payload,) in rows)
    return next((payload["document"] for payload in payloads if payload.get("revision") == revision), None)


def edges(
    con: duckdb.DuckDBPyConnection, workspace: str, start: datetime, end: datetime
) -> tuple[int | None, int | None]:
    """Give the positions of the first event received at a moment or later, and the last received at another or before.

    Both moments in UTC.
    """
    first = con.execute(
        "SELECT min(position) FROM events WHERE workspace = ? AND received >= ?", [workspace, start]
    ).fetchall()
    last = con.execute(
        "SELECT max(position) FROM events WHERE workspace = ? AND received <= ?", [workspace, end]
    ).fetchall()
    return first[0][0], last[0][0]


def list_actions(con: duckdb.DuckDBPyConnection, workspace: str, firing: str) -> list[dict[str, Any]]:
    """List a firing's actions in their order."""
    rows = con.execute(
        f"SELECT {_ACTION} FROM actions WHERE workspace = ? AND firing = ? ORDER BY index",  # noqa: S608
        [workspace, firing],
    ).fetchall()
    return [_action(row) for row in rows]


def _automation(row: tuple[Any, ...]) -> dict[str, Any]:
    (name, revision, enabled, severity, description, document, *times, firings, deleted) = row
    created, updated, last_triggered = times
    return {
        "name": name,
        "revision": revision,
        "enabled": enabled,
        "severity": severity,
        "description": description,
        "document": parsed(document),
        "created": iso(created),
        "updated": iso(updated),
        "last_triggered": iso(last_triggered),
        "firings": firings,
        "deleted": deleted,
    }


def _firing(row: tuple[Any, ...]) -> dict[str, Any]:
    (name, automation, revision, outcome, key, window, position, log_position, time, decided, *rest) = row
    reason, clause, severity, event_count, events, actions, late_by, resolves, resolved_by = rest
    return {
        "id": name,
        "automation": automation,
        "revision": revision,
        "outcome": outcome,
        "key": parsed(key),
        "window": parsed(window),
        "position": position,
        "log_position": log_position,
        "time": iso(time),
        "decided": iso(decided),
        "reason": reason,
        "clause": parsed(clause),
        "severity": severity,
        "event_count": event_count,
        "events": parsed(events),
        "actions": parsed(actions),
        "late_by": late_by,
        "resolves": resolves,
        "resolved_by": resolved_by,
    }


def _action(row: tuple[Any, ...]) -> dict[str, Any]:
    (name, firing, automation, kind, index, state, attempts, result, error, updated, position) = row
    return {
        "id": name,
        "firing": firing,
        "automation": automation,
        "kind": kind,
        "index": index,
        "state": state,
        "attempts": attempts,
        "result": parsed(result),
        "error": error,
        "updated": iso(updated),
        "position": position,
    }
