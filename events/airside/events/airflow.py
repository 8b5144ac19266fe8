"""Airflow (3.x) into events: from what a listener sees, and from rows of the REST API.

    airflow.dag_run.{running,success,failed}     about airflow://<instance>/dag/<dag>
    airflow.task.{running,success,failed,retry,skipped,upstream_failed,removed}
                                                 about airflow://<instance>/dag/<dag>/task/<task>
    airflow.asset.updated, table.updated         about the asset's own URI
    airflow.dag_import.failed                    about airflow://<instance>/file/<file>

Both routes give the same id for the same fact, so that it counts once. So ids are made from what both know: a try of
a task has its number, not the id of the task instance, which the event log lacks; a DAG run that was cleared has a
new start, not the number of clearings, which the REST API lacks.

Related are the DAG run (role `run`), the DAG of a task (`dag`), and assets (`upstream`, `output`). All functions take
plain dicts with Airflow's own names; times are datetimes or text. They raise InvalidEvent when a name is missing.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from airside.events import datasets, foreign, masking, trim, validation, vocabulary, wire
from airside.events.exceptions import InvalidEvent, Problem
from airside.events.limits import DEFAULT_LIMITS, Limits

MAX_TRACEBACK_CHARS: Final = 2_048
MAX_ID_CHARS: Final = 255

DAG_RUN_STATES: Final = frozenset({"running", "success", "failed"})
#: Airflow's state of a task instance, and the last word of our event's type.
TASK_STATES: Final[Mapping[str, str]] = {
    "running": "running",
    "success": "success",
    "failed": "failed",
    "up_for_retry": "retry",
    "skipped": "skipped",
    "upstream_failed": "upstream_failed",
    "removed": "removed",
}

_DAG_RUN_PAYLOAD: Final = ("run_type", "logical_date", "data_interval_start", "data_interval_end", "queued_at")
_DAG_RUN_MORE: Final = ("run_after", "clear_number", "triggering_user_name", "partition_key", "bundle_version")
_TASK_PAYLOAD: Final = ("max_tries", "operator", "queue", "pool", "hostname", "executor", "log_url", "logical_date")

_Facts = Mapping[str, Any]


def dag_run_event(instance: str, dag_run: _Facts, limits: Limits = DEFAULT_LIMITS) -> wire.WireEvent | None:
    """Read one DAG run as it is now; None for a state that is no event of ours, as `queued`.

    Beside Airflow's fields it takes `msg` (why it ended), `tags` and `owner` of the DAG, and `consumed_assets` (URIs).
    """
    state = foreign.word(dag_run.get("state"))
    if state not in DAG_RUN_STATES:
        return None
    return _accept(_dag_run(instance, dag_run, state, limits), limits)


def dag_run_row(instance: str, row: _Facts, limits: Limits = DEFAULT_LIMITS) -> list[wire.WireEvent]:
    """Read a row of `dagRuns`: what has happened to the run so far, its start first."""
    state = foreign.word(row.get("state"))
    if state not in DAG_RUN_STATES:
        return []
    states = ["running", state] if state != "running" and foreign.moment(row.get("start_date")) else [state]
    return [_accept(_dag_run(instance, row, each, limits), limits) for each in states]


def task_events(instance: str, ti: _Facts, limits: Limits = DEFAULT_LIMITS) -> list[wire.WireEvent]:
    """Read one try of a task as it is now, from a listener or a row of `taskInstances`: with its asset updates.

    Beside Airflow's fields it takes `error` ({class, text, traceback}), `owner` and `tags` of the task's DAG, `inlets`
    and `outlets` (URIs), and `outlet_events` ([{uri, name, group, extra}], what a success wrote).
    """
    word = TASK_STATES.get(foreign.word(ti.get("state")))
    if word is None:
        return []
    ended = None if word == "running" else ti.get("end_date")
    time = ended or (ti.get("start_date") if word in ("running", "upstream_failed", "removed") else None)
    event = _accept(_task(instance, ti, word, time, limits), limits)
    if word != "success":
        return [event]
    source = {f"source_{name}": ti.get(name) for name in ("dag_id", "task_id", "map_index")}
    source |= {"source_run_id": _run_of(ti), "timestamp": event.time}
    updates = ti.get("outlet_events")
    found = [event]
    for update in updates if isinstance(updates, list | tuple) else ():
        if isinstance(update, Mapping):
            found += asset_events(instance, {**update, **source}, ti.get("try_number"), limits)
    return found


def log_row(instance: str, row: _Facts, limits: Limits = DEFAULT_LIMITS) -> wire.WireEvent | None:
    """Read a row of `eventLogs`; None unless it says that a task reached one of `TASK_STATES`."""
    word = TASK_STATES.get(foreign.word(row.get("event")))
    if word is None or not all(row.get(name) for name in ("dag_id", "task_id", "run_id")):
        return None
    return _accept(_task(instance, row, word, row.get("when"), limits), limits)


def asset_events(
    instance: str, asset_event: _Facts, try_number: object = None, limits: Limits = DEFAULT_LIMITS
) -> list[wire.WireEvent]:
    """Read an asset event: a row of `assets/events`, or the same names from a listener.

    `try_number` is that of the task that wrote it; neither row nor listener has it, see `try_of`. Without a task, the
    event is known by its REST `id`, or else by its `timestamp`.
    """
    update = _asset(instance, asset_event, try_number, limits)
    table = {
        **update,
        "id": datasets.bounded(f"{update['id']}:table", MAX_ID_CHARS),
        "type": vocabulary.TABLE_UPDATED,
        "causes": [update["id"]],
    }
    return [_accept(update, limits), _accept(table, limits)]


def try_of(asset_event: _Facts, log_rows: Iterable[_Facts]) -> int | None:
    """Find in rows of `eventLogs` the number of the try that wrote an asset: the first to succeed after it did.

    None when no row tells.
    """
    written = foreign.moment(asset_event.get("timestamp"))
    wanted = tuple(asset_event.get(f"source_{name}") for name in ("dag_id", "task_id", "run_id"))
    place = foreign.number(asset_event.get("source_map_index"), -1)
    found: list[tuple[datetime, int]] = []
    for row in log_rows:
        if foreign.word(row.get("event")) != "success" or place != foreign.number(row.get("map_index"), -1):
            continue
        when = foreign.moment(row.get("when"))
        same = tuple(row.get(name) for name in ("dag_id", "task_id", "run_id")) == wanted
        if same and when and written and when >= written:
            found.append((when, foreign.number(row.get("try_number"), 0)))
    return min(found)[1] if found else None


def import_error_event(instance: str, error: _Facts, limits: Limits = DEFAULT_LIMITS) -> wire.WireEvent:
    """Read an import error: `filename` and `stacktrace` of a listener, or a row of `importErrors`.

    The listener's file name is absolute, the row's is not: give the bundle's folder as `root` to have them agree
    beyond the last part. A file that fails again with the same stack trace is the same event.
    """
    filename = _needed(error, "filename")
    stack = error.get("stacktrace") or error.get("stack_trace")
    stack = stack if isinstance(stack, str) else ""
    root = error.get("root")
    relative = filename.removeprefix(root.rstrip("/") + "/") if isinstance(root, str) else filename
    if relative.startswith("/"):
        relative = relative.rpartition("/")[2]
    event = {
        "id": _id(instance, "import", datasets.digest(relative.rpartition("/")[2], stack.strip())),
        "type": "airflow.dag_import.failed",
        "time": foreign.iso(error.get("timestamp")),
        "source": _source(instance),
        "resource": {
            "id": _bounded(f"{_source(instance)}/file/{datasets.safe(relative)}", limits),
            "kind": "dag_file",
            "name": trim.text(relative, limits.max_id_chars // 2),
        },
        "payload": {
            "filename": trim.text(filename),
            "bundle": error.get("bundle_name") if isinstance(error.get("bundle_name"), str) else None,
            "message": trim.text(masking.text(stack.strip().rpartition("\n")[2])),
            "traceback": _end(stack),
        },
    }
    return _accept(event, limits)


def dag_resource_id(instance: str, dag_id: str) -> str:
    """Give the resource id of a DAG."""
    return f"{_source(instance)}/dag/{datasets.segment(dag_id)}"


def task_resource_id(instance: str, dag_id: str, task_id: str) -> str:
    """Give the resource id of a task."""
    return f"{dag_resource_id(instance, dag_id)}/task/{datasets.segment(task_id)}"


def run_resource_id(instance: str, dag_id: str, run_id: str) -> str:
    """Give the resource id of a DAG run."""
    return f"run://airflow/{'/'.join(map(datasets.segment, (instance, dag_id, run_id)))}"


def _dag_run(instance: str, facts: _Facts, state: str, limits: Limits) -> dict[str, Any]:
    dag, run = _needed(facts, "dag_id"), _run_of(facts)
    start, end = foreign.moment(facts.get("start_date")), foreign.moment(facts.get("end_date"))
    ended = None if state == "running" else end
    payload = {
        "dag_id": dag,
        "run_id": run,
        "state": state,
        **_known(facts, _DAG_RUN_PAYLOAD + _DAG_RUN_MORE),
        **_span(start, ended),
        "triggered_by": foreign.word(facts.get("triggered_by")) or None,
        "reason": facts.get("msg") if isinstance(facts.get("msg"), str) else None,
        "conf": _conf(facts.get("conf"), limits),
    }
    return {
        "id": _id(instance, "run", dag, run, foreign.iso(start) or "", state),
        "type": f"airflow.dag_run.{state}",
        "time": foreign.iso(ended or start),
        "source": _source(instance),
        "resource": _dag(instance, dag, facts, limits),
        "related": [_run(instance, dag, run, limits), *_assets(instance, facts, "consumed_assets", "upstream", limits)],
        "payload": payload,
    }


def _task(instance: str, facts: _Facts, word: str, time: object, limits: Limits) -> dict[str, Any]:
    dag, run, task = _needed(facts, "dag_id"), _run_of(facts), _needed(facts, "task_id")
    place, attempt = foreign.number(facts.get("map_index"), -1), foreign.number(facts.get("try_number"), 0)
    end = None if word == "running" else foreign.moment(facts.get("end_date"))
    payload = {
        "dag_id": dag,
        "run_id": run,
        "task_id": task,
        "map_index": place,
        "try_number": attempt,
        "state": word,
        **_known(facts, _TASK_PAYLOAD),
        **_span(foreign.moment(facts.get("start_date")), end),
        "error": _error(facts.get("error")),
    }
    related = [
        _run(instance, dag, run, limits),
        _dag(instance, dag, {}, limits) | {"role": "dag"},
        *_assets(instance, facts, "inlets", "upstream", limits),
        *_assets(instance, facts, "outlets", "output", limits),
    ]
    return {
        "id": _id(instance, "ti", dag, run, task, str(place), str(attempt), word),
        "type": f"airflow.task.{word}",
        "time": foreign.iso(foreign.moment(time)),
        "source": _source(instance),
        "resource": {
            "id": _bounded(task_resource_id(instance, dag, task), limits),
            "kind": "task",
            "name": trim.text(task, limits.max_id_chars // 2),
            "labels": _labels(facts, limits),
        },
        "related": related[: limits.max_related],
        "payload": payload,
    }


def _asset(instance: str, facts: _Facts, try_number: object, limits: Limits) -> dict[str, Any]:
    uri = _needed(facts, "uri")
    dag, task, run = (facts.get(f"source_{name}") for name in ("dag_id", "task_id", "run_id"))
    place = foreign.number(facts.get("source_map_index"), -1)
    timestamp = foreign.iso(foreign.moment(facts.get("timestamp")))
    related: list[dict[str, Any]] = []
    if isinstance(dag, str) and isinstance(task, str) and isinstance(run, str) and dag and task and run:
        event_id = _id(instance, "asset", dag, run, task, str(place), str(foreign.number(try_number, 0)), uri)
        producer = {"id": _bounded(task_resource_id(instance, dag, task), limits), "role": "job", "kind": "task"}
        related = [_run(instance, dag, run, limits), producer, _dag(instance, dag, {}, limits) | {"role": "dag"}]
    elif facts.get("id") is not None:
        event_id = _id(instance, "asset-event", str(facts["id"]))
    else:
        event_id = _id(instance, "asset", uri, timestamp or "")
    extra = _conf(facts.get("extra"), limits)
    rows = extra.get("rows") if extra else None
    payload = {
        "uri": masking.text(uri),
        "rows": rows if type(rows) is int and 0 <= rows < 2**63 else None,
        **_known(facts, ("name", "group", "partition_key")),
        "extra": extra,
        "dag_id": dag,
        "task_id": task,
        "run_id": run,
        "map_index": place,
    }
    return {
        "id": event_id,
        "type": "airflow.asset.updated",
        "time": timestamp,
        "source": _source(instance),
        "resource": {"id": _asset_id(instance, uri, limits)},
        "related": related[: limits.max_related],
        "payload": payload,
    }


def _dag(instance: str, dag: str, facts: _Facts, limits: Limits) -> dict[str, Any]:
    return {
        "id": _bounded(dag_resource_id(instance, dag), limits),
        "kind": "dag",
        "name": trim.text(dag, limits.max_id_chars // 2),
        "labels": _labels(facts, limits),
    }


def _run(instance: str, dag: str, run: str, limits: Limits) -> dict[str, Any]:
    name = trim.text(run, limits.max_id_chars // 2)
    return {"id": _bounded(run_resource_id(instance, dag, run), limits), "role": "run", "name": name}


def _assets(instance: str, facts: _Facts, field: str, role: str, limits: Limits) -> Iterator[dict[str, Any]]:
    given = facts.get(field)
    uris = [uri for uri in given if isinstance(uri, str) and uri] if isinstance(given, list | tuple) else []
    for uri in dict.fromkeys(uris):
        yield {"id": _asset_id(instance, uri, limits), "role": role}


def _asset_id(instance: str, uri: str, limits: Limits) -> str:
    uri = masking.text(uri)
    return _bounded(datasets.uri_id(uri) or f"{_source(instance)}/asset/{datasets.safe(uri)}", limits)


def _labels(facts: _Facts, limits: Limits) -> dict[str, str]:
    tags, owner = facts.get("tags"), facts.get("owner")
    labels = {"owner": owner} if isinstance(owner, str) and owner else {}
    tags = sorted(tags, key=str) if isinstance(tags, list | tuple | set | frozenset) else []
    labels |= {tag: "true" for tag in tags if isinstance(tag, str) and tag}
    most = limits.max_label_chars // 2
    return {trim.text(key, most): trim.text(value, most) for key, value in list(labels.items())[: limits.max_labels]}


def _error(error: object) -> dict[str, str] | None:
    """Keep class, text and the end of the traceback; nothing else of an exception may hold data."""
    if isinstance(error, str):
        error = {"text": error}
    if not isinstance(error, Mapping):
        return None
    texts = {name: error[name] for name in ("class", "text") if isinstance(error.get(name), str)}
    kept = {name: trim.text(masking.text(value)) for name, value in texts.items()}
    traceback = error.get("traceback")
    return kept | ({"traceback": _end(traceback)} if isinstance(traceback, str) and traceback else {})


def _end(traceback: str) -> str:
    """Keep the end, where the cause is."""
    traceback = masking.text(traceback)
    cut = len(traceback) - MAX_TRACEBACK_CHARS
    return trim.text(traceback if cut <= 0 else f"… {traceback[cut + 2 :]}")


def _conf(conf: object, limits: Limits) -> Any:
    if not isinstance(conf, dict) or not conf:
        return None
    too_deep = trim.deeper_than(conf, limits.max_depth - 2)
    return {"left_out": f"nested deeper than {limits.max_depth - 2} levels"} if too_deep else masking.masked(conf)


def _known(facts: _Facts, names: tuple[str, ...]) -> dict[str, Any]:
    """Take these facts if they are plain: text, a number, a time."""
    found = {name: facts.get(name) for name in names}
    return {
        name: foreign.iso(value)
        if isinstance(value, datetime)
        else foreign.word(value)
        if name == "run_type"
        else value
        for name, value in found.items()
        if isinstance(value, str | int | float | datetime)
    }


def _span(start: datetime | None, end: datetime | None) -> dict[str, Any]:
    duration = max(0.0, (end - start).total_seconds()) if start and end else None
    return {"start_date": foreign.iso(start), "end_date": foreign.iso(end), "duration": duration}


def _accept(event: dict[str, Any], limits: Limits) -> wire.WireEvent:
    payload = {name: value for name, value in event["payload"].items() if value is not None}
    payload = trim.payload(payload, [("conf",), ("extra",), ("error",), ("traceback",)], limits)
    return validation.parse_object({**event, "payload": payload}, limits)


def _id(instance: str, *parts: str) -> str:
    return datasets.bounded(":".join(("airflow", *map(datasets.segment, (instance, *parts)))), MAX_ID_CHARS)


def _source(instance: str) -> str:
    return f"airflow://{datasets.segment(instance)}"


def _bounded(identifier: str, limits: Limits) -> str:
    return datasets.bounded(identifier, limits.max_id_chars)


def _run_of(facts: _Facts) -> str:
    """Give the run's id: the REST API's rows of runs and tasks call it `dag_run_id`."""
    return _needed(facts, "run_id") if facts.get("run_id") else _needed(facts, "dag_run_id")


def _needed(facts: _Facts, name: str) -> str:
    value = facts.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidEvent([Problem(name, "missing; Airflow gives it as text")])
    return value
