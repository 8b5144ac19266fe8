"""Reading runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import duckdb
import orjson

from airside.coordinator.views.reads.events import list_events
from airside.coordinator.views.reads.filters import EventFilter, Where
from airside.coordinator.views.reads.pages import MAX_LIMIT, Page, clamp, iso, page, parsed, read_cursor
from airside.events import run_facts, run_states, vocabulary, wire
from airside.events.run_states import State
from airside.events.wire import Micros

MAX_SHOWN: Final = 200  # events and children that come with one run
_AFTERMATH: Final = 1_000  # positions after a run's last word in which what follows from it is looked for

_COLUMNS: Final = (
    "id, source, kind, job, job_name, name, url, parent, state, epoch_us(started), epoch_us(ended), duration, attempt,"
    " labels, epoch_us(first_seen), epoch_us(last_seen), first_position, last_position"
)
_WHEN: Final = "coalesce(started, first_seen)"


def list_runs(
    con: duckdb.DuckDBPyConnection,
    workspace: str,
    *,
    states: Sequence[str] = (),
    source: str | None = None,
    kind: str | None = None,
    job: str | None = None,
    parent: str | None = None,
    labels: Mapping[str, str] | None = None,
    since: Micros | None = None,
    until: Micros | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """List runs, the newest first: in the order in which they were first heard of. Raises BadCursor.

    `job` is a glob on the job's id or its name. `since` (included) and `until` (not included) are about when a run
    started, or if nobody said so, was first heard of.
    """
    limit = clamp(limit)
    conditions = Where()
    conditions.add("workspace = ?", workspace)
    if states:
        conditions.add("list_contains(?::VARCHAR[], state)", list(states))
    for column, value in (("source", source), ("kind", kind), ("parent", parent)):
        if value is not None:
            conditions.add(f"{column} = ?", value)
    if job is not None:
        either = [Where(), Where()]
        for where, column in zip(either, ("coalesce(job, '')", "coalesce(job_name, '')"), strict=True):
            where.text(column, job)
        conditions.add(f"({either[0]} OR {either[1]})", *either[0].parameters, *either[1].parameters)
    conditions.labels(labels or {})
    if since is not None:
        conditions.add(f"{_WHEN} >= make_timestamptz(?)", since)
    if until is not None:
        conditions.add(f"{_WHEN} < make_timestamptz(?)", until)
    if cursor is not None:
        position, name = read_cursor(cursor, int, str)
        conditions.add("(first_position < ? OR (first_position = ? AND id > ?))", position, position, name)
    rows = con.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE {conditions}"  # noqa: S608
        f" ORDER BY first_position DESC, id LIMIT {limit + 1}",
        conditions.parameters,
    ).fetchall()
    return page(_with_times(con, [_run(row) for row in rows]), limit, "first_position", "id")


def _with_times(con: duckdb.DuckDBPyConnection, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say with each run of a deployment when it was to start (`scheduled_for`): its first event tells."""
    wanted = [run["first_position"] for run in runs if run["source"] == "airside" and run["kind"] == "run"]
    rows = con.execute(
        "SELECT position, json_extract_string(coalesce(payload, large_payload), '$.scheduled_for') FROM events"
        " WHERE position IN (SELECT unnest(?::BIGINT[])) AND type = 'flow_run.scheduled'",
        [wanted],
    ).fetchall()
    times = dict(rows)
    return [run | {"scheduled_for": times.get(run["first_position"])} for run in runs]


def get_run(con: duckdb.DuckDBPyConnection, workspace: str, run_id: str) -> dict[str, Any] | None:
    """Show one run with its first events (`events`) and what ran inside it (`children`), both oldest first.

    `run_id` is the whole id, or what stands behind its last `/` where that names one run only. `code_version` and
    `agent` (`{id, name}`) are what its events said last of its code and of who claimed it.
    """
    rows = _found(con, workspace, "id = ?", run_id)
    if not rows and "/" not in run_id:
        rows = _found(con, workspace, "ends_with(id, ?)", f"/{run_id}")
    if len(rows) != 1:
        return None
    (run,) = _with_times(con, [_run(rows[0])])
    run_id = run["id"]
    children = con.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE workspace = ? AND parent = ?"  # noqa: S608
        f" ORDER BY first_position, id LIMIT {MAX_SHOWN}",
        [workspace, run_id],
    ).fetchall()
    events = _events(con, workspace, run)
    agent, code = (_said(events, run_id, key) for key in ("agent", "code_version"))
    origin = {"code_version": code, "agent": None if agent is None else _agent(con, workspace, agent)}
    return run | origin | {"children": [_run(row) for row in children], "events": events[:MAX_SHOWN]}


def _said(events: Sequence[Mapping[str, Any]], run_id: str, key: str) -> str | None:
    """Give the text that the events about a run said last of something."""
    payloads = (event["payload"] for event in reversed(events) if event["resource"]["id"] == run_id)
    return next((payload[key] for payload in payloads if isinstance(payload.get(key), str)), None)


def _agent(con: duckdb.DuckDBPyConnection, workspace: str, agent: str) -> dict[str, Any]:
    """Name an agent as it called itself; one that is not known any more has its id alone."""
    wanted = [workspace, f"agent://{agent}"]
    row = con.execute("SELECT name FROM resources WHERE workspace = ? AND id = ?", wanted).fetchone()
    return {"id": agent, "name": row[0] if row else None}


def _found(con: duckdb.DuckDBPyConnection, workspace: str, condition: str, value: str) -> list[tuple[Any, ...]]:
    return con.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE workspace = ? AND {condition} LIMIT 2",  # noqa: S608
        [workspace, value],
    ).fetchall()


def _events(con: duckdb.DuckDBPyConnection, workspace: str, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Find the events about this run, and those that happened in it and are about no run of their own.

    Heartbeats are left out: of a long run there are thousands, and each says no more than that it lives.
    """
    wanted = [EventFilter(workspace, resource=run["id"]), EventFilter(workspace, related=run["id"])]
    if run["parent"] and run["job"]:  # a part of a run: its events name the job and the whole
        wanted.append(EventFilter(workspace, resource=run["job"], related=run["parent"]))
    first, last = run["first_position"] - 1, run["last_position"] + _AFTERMATH
    found: dict[int, dict[str, Any]] = {}
    for each in wanted:
        each = replace(each, without_type=vocabulary.RESOURCE_HEARTBEAT)  # noqa: PLW2901
        listed = list_events(con, each, after=first, before=last, limit=MAX_LIMIT, newest_first=False)
        for event in listed.items:
            if run_facts.run_of(wire.decode(orjson.dumps(event))) in (None, run["id"]):
                found[event["position"]] = event
    return [found[position] for position in sorted(found)]


def _run(row: tuple[Any, ...]) -> dict[str, Any]:
    (name, source, kind, job, job_name, title, url, parent, state, *rest) = row
    started, ended, duration, attempt, labels, *seen = rest
    first_seen, last_seen, first_position, last_position = seen
    return {
        "id": name,
        "source": source,
        "kind": kind,
        "job": job,
        "job_name": job_name,
        "name": title,
        "url": url,
        "parent": parent,
        "state": state,
        "started": iso(started),
        "ended": iso(ended),
        "duration": duration,
        "attempt": attempt,
        "labels": parsed(labels),
        "first_seen": iso(first_seen),
        "last_seen": iso(last_seen),
        "first_position": first_position,
        "last_position": last_position,
    }


def lost_tasks(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """List (workspace, flow run, task run) of the tasks that have not ended although their flow run has crashed."""
    return con.execute(
        "SELECT t.workspace, f.id, t.id FROM runs t JOIN runs f ON f.workspace = t.workspace AND f.id = t.parent"
        " WHERE f.source = 'airside' AND f.kind = 'run' AND f.state = ? AND t.source = 'airside' AND t.kind = 'task'"
        " AND NOT list_contains(?::VARCHAR[], t.state)",
        [str(State.CRASHED), [str(state) for state in run_states.TERMINAL]],
    ).fetchall()


def beating_runs(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, int, dict[str, Any]]]:
    """List the runs of flows that have a process and send heartbeats, in all workspaces.

    Each with the position where it was last heard of, and the payload of its last heartbeat, or of the change to
    `running` that announced them.
    """
    rows = con.execute(
        "SELECT r.workspace, r.id, greatest(r.last_position, max(e.position)), arg_max(e.payload, e.position)"
        " FROM runs r JOIN events e ON e.workspace = r.workspace AND e.resource_id = r.id"
        " AND (e.type = ? OR (e.type = ? AND contains(e.payload, 'heartbeat_seconds')))"
        " WHERE r.source = 'airside' AND r.kind = 'run' AND list_contains(?::VARCHAR[], r.state)"
        " GROUP BY r.workspace, r.id, r.last_position",
        [vocabulary.RESOURCE_HEARTBEAT, "flow_run.running", [str(state) for state in run_states.ALIVE]],
    ).fetchall()
    return [(workspace, run, position, parsed(payload) or {}) for workspace, run, position, payload in rows]
