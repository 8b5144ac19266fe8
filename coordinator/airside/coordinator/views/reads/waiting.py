"""Reads of runs that wait for their time or for an agent."""

import duckdb


def waiting_runs(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, int]]:
    """List the runs of flows that wait, and those that somebody resumed, in all workspaces.

    Each with the position where it was last heard of.
    """
    rows = con.execute(
        "SELECT workspace, id, last_position FROM runs"
        " WHERE source = 'airside' AND kind = 'run' AND state IN ('scheduled', 'late', 'resumed')"
    ).fetchall()
    return [(workspace, run, position) for workspace, run, position in rows]
