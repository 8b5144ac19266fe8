"""Counting what the views hold."""

from datetime import datetime
from typing import Final

import duckdb

#: In the order in which they are shown.
_COUNTS: Final = (
    ("events", "SELECT count(*) FROM events WHERE workspace = $workspace"),
    ("dead_letters", "SELECT count(*) FROM dead_letters WHERE workspace = $workspace"),
    ("firings", "SELECT count(*) FROM firings WHERE workspace = $workspace"),
)
_FAILED: Final = "SELECT count(*) FROM actions WHERE workspace = $workspace AND state = 'failed' AND updated >= $since"
_FAILED_BY: Final = (
    "SELECT automation, count(*) FROM actions WHERE workspace = $workspace AND state = 'failed' AND updated >= $since"
    " GROUP BY automation ORDER BY count(*) DESC, automation LIMIT $most"
)
_MOST_NAMED: Final = 5


def counts(con: duckdb.DuckDBPyConnection, workspace: str, since: datetime) -> dict[str, int]:
    """Count events, dead letters, firings, and the actions that failed for good since a moment (in UTC)."""
    found = {name: _one(con, query, workspace=workspace) for name, query in _COUNTS}
    return {**found, "failed_actions": _one(con, _FAILED, workspace=workspace, since=since)}


def failed_by_automation(con: duckdb.DuckDBPyConnection, workspace: str, since: datetime) -> list[tuple[str, int]]:
    """Give the automations whose actions failed for good since a moment (in UTC), those with the most first."""
    parameters = {"workspace": workspace, "since": since, "most": _MOST_NAMED}
    return [(name, count) for name, count in con.execute(_FAILED_BY, parameters).fetchall()]


def _one(con: duckdb.DuckDBPyConnection, query: str, **parameters: object) -> int:
    count: int = con.execute(query, parameters).fetchall()[0][0]
    return count
