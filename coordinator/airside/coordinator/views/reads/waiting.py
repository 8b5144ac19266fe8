"""Reads of runs that wait for their time or for an agent."""

import duckdb


def waiting_runs(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """List the runs of flows that wait, in all workspaces."""
    rows = con.execute(
        "SELECT workspace, id FROM runs WHERE source = 'airside' AND kind = 'run' AND state IN ('scheduled', 'late')"
    ).fetchall()
    return [(workspace, run) for workspace, run in rows]
