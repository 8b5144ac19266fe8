"""Airflow's objects as plain values, under Airflow's own names.

The same names hold different classes in different processes (a RuntimeTaskInstance where the task runs, a row of the
database elsewhere), and reading an attribute may fail in any way. What cannot be read is left out.
"""

import traceback
from collections.abc import Iterator
from typing import Any, Final

_DAG_RUN: Final = (
    "dag_id",
    "run_id",
    "run_type",
    "state",
    "queued_at",
    "start_date",
    "end_date",
    "logical_date",
    "data_interval_start",
    "data_interval_end",
    "run_after",
    "clear_number",
    "triggered_by",
    "triggering_user_name",
    "partition_key",
    "bundle_version",
    "conf",
)
_TASK: Final = (
    "dag_id",
    "task_id",
    "run_id",
    "map_index",
    "try_number",
    "max_tries",
    "state",
    "start_date",
    "end_date",
    "operator",
    "queue",
    "pool",
    "hostname",
    "executor",
    "log_url",
)
#: More assets of one DAG run or task than these are not listed.
MAX_ASSETS: Final = 100
_FRAMES: Final = 20


def dag_run(run: Any, msg: object = None) -> dict[str, Any]:
    """Read a DAG run. `msg` is why it changed."""
    found = {name: _get(run, name) for name in _DAG_RUN} | {"msg": msg}
    found |= _of_dag(_get(run, "dag"))
    if str(found["run_type"]).rpartition(".")[2].lower() == "asset_triggered":
        consumed = _listed(_get(run, "consumed_asset_events"))
        found["consumed_assets"] = [uri for event in consumed if (uri := _uri(event) or _uri(_get(event, "asset")))]
    return found


def task_instance(ti: Any, error: object = None) -> dict[str, Any]:
    """Read one try of a task. `error` is text or an exception."""
    found = {name: _get(ti, name) for name in _TASK}
    task = _get(ti, "task")
    if task is not None:
        found |= _of_dag(_get(task, "dag"))
        found["owner"] = _get(task, "owner")
        found["operator"] = found["operator"] or _get(task, "task_type")
        found["inlets"] = [uri for asset in _listed(_get(task, "inlets")) if (uri := _uri(asset))]
        found["outlets"] = [uri for asset in _listed(_get(task, "outlets")) if (uri := _uri(asset))]
    if error is not None:
        found["error"] = _error(error)
    return found


def outlet_events(ti: Any) -> list[dict[str, Any]]:
    """Read which assets a task that has succeeded updated, with what it said of them. For the task's own process."""
    try:
        accessors = ti.get_template_context()["outlet_events"]
    except Exception:  # noqa: BLE001
        accessors = None
    found: dict[str, dict[str, Any]] = {}
    for asset in _listed(_get(_get(ti, "task"), "outlets")):
        if uri := _uri(asset):
            extra = _extra(accessors, asset)
            found[uri] = {"uri": uri, "name": _get(asset, "name"), "group": _get(asset, "group"), "extra": extra}
    for accessor in _listed(_values(accessors)):
        for written in _listed(_get(accessor, "asset_alias_events")):
            key = _get(written, "dest_asset_key")
            if uri := _uri(key):
                found[uri] = {"uri": uri, "name": _get(key, "name"), "extra": _get(written, "extra")}
    return list(found.values())


def _extra(accessors: Any, asset: Any) -> Any:
    """Give what a task said of an asset that it updated."""
    try:
        return dict(accessors[asset].extra)
    except Exception:  # noqa: BLE001
        return None


def _values(accessors: Any) -> Iterator[Any]:
    try:
        yield from accessors.values()
    except Exception:  # noqa: BLE001
        return


def _of_dag(dag: Any) -> dict[str, Any]:
    if dag is None:
        return {}
    tags = [getattr(tag, "name", tag) for tag in _listed(_get(dag, "tags"))]
    return {"tags": tags, "owner": _get(dag, "owner")}


def _uri(asset: Any) -> str | None:
    uri = _get(asset, "uri")
    return uri if isinstance(uri, str) and uri else None


def _error(error: object) -> dict[str, str]:
    if isinstance(error, str):
        return {"text": error}
    if not isinstance(error, BaseException):
        return {"class": type(error).__name__}
    found = {"class": type(error).__name__}
    try:
        found["text"] = str(error)
        found["traceback"] = "".join(traceback.format_exception(error, limit=-_FRAMES))
    except Exception:  # noqa: BLE001, S110 - people's exceptions may fail at anything
        pass
    return found


def _get(thing: Any, name: str) -> Any:
    try:
        return getattr(thing, name, None)
    except Exception:  # noqa: BLE001 - as a row whose session is over
        return None


def _listed(things: Any) -> list[Any]:
    found: list[Any] = []
    try:
        for thing in things or ():
            if len(found) == MAX_ASSETS:
                break
            found.append(thing)
    except Exception:  # noqa: BLE001, S110 - what could be read is enough
        pass
    return found
