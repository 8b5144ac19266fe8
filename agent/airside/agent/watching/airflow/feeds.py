"""Rows of one kind since a moment, page by page, into events.

A scan reads what changed since `since`, in an order in which nothing is passed over while rows are added. The next
scan begins where this one began, by Airflow's own clock, less an overlap: a row may become visible later than its time
says. What the scan before saw is known and left out.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from airside.agent.watching.airflow.rest import Rest
from airside.agent.watching.watcher import Cursor
from airside.events import airflow, wire

PAGE_ROWS: Final = 100
OVERLAP: Final = timedelta(seconds=60)
#: Events that are remembered as seen, of one feed; more than these are sent again, and count once.
MAX_SEEN: Final = 5_000

Row: TypeAlias = Mapping[str, Any]
Translate: TypeAlias = Callable[[Rest, str, list[dict[str, Any]]], Awaitable[list[wire.WireEvent]]]

_TASK_WORDS: Final = tuple(airflow.TASK_STATES)


@dataclass(frozen=True, slots=True)
class Feed:
    """One list of the REST API. `since` is the parameter for a moment; None reads the whole list each time."""

    name: str
    path: str
    rows: str
    since: str | None
    parameters: Mapping[str, Any]
    translate: Translate


async def _log(rest: Rest, instance: str, rows: list[dict[str, Any]]) -> list[wire.WireEvent]:
    return [event for row in rows if (event := airflow.log_row(instance, row))]


async def _dag_runs(rest: Rest, instance: str, rows: list[dict[str, Any]]) -> list[wire.WireEvent]:
    return [event for row in rows for event in airflow.dag_run_row(instance, row)]


async def _tasks(rest: Rest, instance: str, rows: list[dict[str, Any]]) -> list[wire.WireEvent]:
    return [event for row in rows for event in airflow.task_events(instance, row)]


async def _assets(rest: Rest, instance: str, rows: list[dict[str, Any]]) -> list[wire.WireEvent]:
    found: list[wire.WireEvent] = []
    for row in rows:
        found += airflow.asset_events(instance, row, await _try_of(rest, row))
    return found


async def _import_errors(rest: Rest, instance: str, rows: list[dict[str, Any]]) -> list[wire.WireEvent]:
    return [airflow.import_error_event(instance, row) for row in rows]


async def _try_of(rest: Rest, row: Row) -> int | None:
    """Find which try of its task wrote an asset, as the listener knows it."""
    if not row.get("source_run_id"):
        return None
    asked = {
        "dag_id": row.get("source_dag_id"),
        "task_id": row.get("source_task_id"),
        "run_id": row.get("source_run_id"),
        "map_index": row.get("source_map_index", -1),
        "included_events": ["success"],
        "order_by": "id",
        "limit": PAGE_ROWS,
    }
    return airflow.try_of(row, await rest.rows("/api/v2/eventLogs", "event_logs", asked))


#: In the order in which they are read: a run's start is told before its tasks.
FEEDS: Final = (
    Feed("dag_runs", "/api/v2/dags/~/dagRuns", "dag_runs", "updated_at_gte", {"order_by": "id"}, _dag_runs),
    Feed(
        "log",
        "/api/v2/eventLogs",
        "event_logs",
        "after",
        {"order_by": "id", "included_events": _TASK_WORDS},
        _log,
    ),
    # The log has every try; this has what no hook and no line of the log tells: upstream_failed, removed, killed.
    Feed(
        "tasks",
        "/api/v2/dags/~/dagRuns/~/taskInstances",
        "task_instances",
        "updated_at_gte",
        {"order_by": "id", "state": ("upstream_failed", "removed", "skipped", "failed")},
        _tasks,
    ),
    Feed("assets", "/api/v2/assets/events", "asset_events", "timestamp_gte", {"order_by": "timestamp"}, _assets),
    Feed("import_errors", "/api/v2/importErrors", "import_errors", None, {"order_by": "id"}, _import_errors),
)


async def page(feed: Feed, rest: Rest, instance: str, cursor: Cursor) -> tuple[list[wire.WireEvent], Cursor, bool]:
    """Read the next page of a feed: its new events, the next cursor, and whether the scan goes on.

    The cursor is {since, offset, began, seen, before}: `seen` of this scan, `before` of the last one.
    """
    offset = int(cursor.get("offset", 0))
    asked = {**feed.parameters, "limit": PAGE_ROWS, "offset": offset}
    if feed.since is not None:
        asked[feed.since] = cursor["since"]
    rows = await rest.rows(feed.path, feed.rows, asked)
    began = cursor.get("began") or (rest.now - OVERLAP).isoformat()
    before, seen = set(cursor.get("before", ())), list(cursor.get("seen", ()))
    found: list[wire.WireEvent] = []
    for event in _once(await feed.translate(rest, instance, rows)):
        key = _short(event.id)
        if key not in before:
            found.append(event)
        seen.append(key)
    seen = seen[-MAX_SEEN:]
    if len(rows) == PAGE_ROWS:
        return found, {**cursor, "offset": offset + len(rows), "began": began, "seen": seen}, True
    since = max(began, str(cursor.get("since", "")), key=datetime.fromisoformat) if cursor.get("since") else began
    return found, {"since": since, "before": sorted(set(seen))}, False


def _once(events: Iterable[wire.WireEvent]) -> list[wire.WireEvent]:
    return list({event.id: event for event in reversed(list(events))}.values())[::-1]


def _short(event_id: str) -> str:
    return blake2b(event_id.encode(), digest_size=6).hexdigest()
