"""dbt's artifacts into events: run_results.json, sources.json, with what manifest.json adds.

    dbt.<kind>.started         about dbt://<package>/<unique_id>
    dbt.<kind>.<status>        about the same: dbt.model.success, dbt.test.fail, dbt.source.warn
    dbt.invocation.started     about dbt://<project>
    dbt.invocation.completed   about the same: how the whole command went
    table.updated              about the relation of each model, seed and snapshot that succeeded

Ids are made from the invocation and the node, so that the same artifact may be sent by a hook, by a retry and by
hand, and what `airside.events.dbt_log` read live counts once with it. Related are the run (role `run`), the relation
(`output`) and, with a manifest, the nodes it is built from (`upstream`). Compiled SQL stays at home.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from airside.events import datasets, foreign, masking, trim, validation, vocabulary, wire
from airside.events.exceptions import InvalidEvent, Problem
from airside.events.limits import DEFAULT_LIMITS, Limits

_TABLES: Final = frozenset({"model", "seed", "snapshot"})
_UPSTREAM: Final = ("model.", "seed.", "snapshot.", "source.")
_KEPT: Final[tuple[str, ...]] = ("status", "message", "failures", "execution_time", "adapter_response", "timing")
_KEPT_OF_SOURCES: Final[tuple[str, ...]] = (
    "status",
    "message",
    "error",
    "max_loaded_at",
    "snapshotted_at",
    "max_loaded_at_time_ago_in_s",
    "criteria",
)
#: Statuses that make the invocation as a whole a failure.
FAILED: Final = frozenset({"error", "fail", "runtime error", "partial success"})
#: What stands for a source that dbt left out of sources.json.
_MISSING: Final = "not in sources.json: its query failed, or it was not selected"

_Json = dict[str, Any]


def parse_run_results(
    run_results: object, manifest: object = None, limits: Limits = DEFAULT_LIMITS
) -> list[wire.WireEvent]:
    """Read run_results.json, in the order of its results. Raises InvalidEvent naming the field.

    Without the manifest, seeds have no relation, nodes no upstream, no owner and no tags.
    """
    artifact = _artifact(run_results, "run_results.json")
    events = _whole(artifact, artifact["results"], manifest, limits)
    return [validation.parse_object(event, limits) for event in events]


def parse_sources(
    sources: object, manifest: object = None, limits: Limits = DEFAULT_LIMITS, *, all_selected: bool = True
) -> list[wire.WireEvent]:
    """Read sources.json, what `dbt source freshness` found. Raises InvalidEvent naming the field.

    dbt leaves out a source whose query failed. With the manifest each source that has a freshness and is not there
    is told as `dbt.source.runtime_error`; say `all_selected=False` when the command was told to check only some.
    """
    artifact = _artifact(sources, "sources.json")
    results = list(artifact["results"])
    if all_selected:
        told = {result["unique_id"] for result in results}
        results += [
            {"unique_id": unique_id, "status": "runtime error", "message": _MISSING}
            for unique_id in _checked_sources(manifest)
            if unique_id not in told
        ]
    events = _whole(artifact, results, manifest, limits)
    return [validation.parse_object(event, limits) for event in events]


def node_id(unique_id: str) -> str:
    """Give the resource id of a dbt node: `model.shop.orders` is `dbt://shop/model.shop.orders`."""
    package = unique_id.split(".")[1] if unique_id.count(".") > 1 else unique_id
    return f"dbt://{datasets.segment(package)}/{datasets.segment(unique_id)}"


def _whole(artifact: _Json, results: list[_Json], manifest: object, limits: Limits) -> Iterator[_Json]:
    """Tell of the invocation's start, of its nodes, of its end."""
    metadata = artifact["metadata"]
    name = project_of(manifest, (result["unique_id"] for result in results))
    started = foreign.iso(metadata.get("invocation_started_at")) or min(
        (start for result in results if (start := _started(result))), default=None
    )
    if started is not None:
        yield invocation_started(metadata, name, started, limits)
    for result in results:
        yield from node_events(result, metadata, node_of(manifest, result["unique_id"]), limits)
    counts = Counter(result["status"] for result in results)
    command = _dict(artifact, "args").get("which")
    facts = {
        "dbt_version": metadata.get("dbt_version"),
        "command": command if isinstance(command, str) else None,
        "elapsed_seconds": artifact.get("elapsed_time"),
        "success": not FAILED & counts.keys(),
        "nodes": dict(counts),
        "started_at": started,
    }
    yield invocation_completed(metadata, name, metadata["generated_at"], facts, limits)


def node_started(unique_id: str, metadata: _Json, node: _Json, time: object, limits: Limits) -> _Json:
    """Say that dbt began with a node."""
    result = {"unique_id": unique_id, "status": "started"}
    return _node_event(result, metadata, node, limits, time=time, kept=())


def node_events(result: _Json, metadata: _Json, node: _Json, limits: Limits) -> Iterator[_Json]:
    """Say how a node went: its start if it had one, its end, and the table that it wrote."""
    started = _started(result)
    if started is not None:
        yield node_started(result["unique_id"], metadata, node, started, limits)
    if _kind(result) == "source":
        time, kept = result.get("snapshotted_at") or _completed(result), _KEPT_OF_SOURCES
    else:
        time, kept = _completed(result), _KEPT
    event = _node_event(result, metadata, node, limits, time=time, kept=kept)
    relation = result.get("relation_name") or node.get("relation_name")
    relation = relation if isinstance(relation, str) else ""
    table = datasets.table_id(relation)
    if table is None:
        yield event
        return
    table = datasets.bounded(table, limits.max_id_chars)
    run, output = _run(metadata["invocation_id"], limits), {"id": table, "role": "output"}
    job = {"id": event["resource"]["id"], "role": "job"}
    related = [run, output, *event["related"][1:]][: limits.max_related]
    yield event | {"related": related, "payload": event["payload"] | {"relation": trim.text(relation)}}
    if result["status"] == "success" and _kind(result) in _TABLES:
        yield {
            "id": _event_id(metadata, result["unique_id"], vocabulary.TABLE_UPDATED, limits),
            "type": vocabulary.TABLE_UPDATED,
            "time": event["time"],
            "source": event["source"],
            "resource": {"id": table, "labels": event["resource"]["labels"]},
            "related": [run, job][: limits.max_related],
            "causes": [event["id"]],
            "payload": _rows(result) | {"relation": trim.text(relation)},
        }


def _node_event(
    result: _Json,
    metadata: _Json,
    node: _Json,
    limits: Limits,
    *,
    time: object,
    kept: tuple[str, ...],
) -> _Json:
    unique_id, invocation = result["unique_id"], metadata["invocation_id"]
    kind, status = _kind(result), _slug(result["status"])
    identity: _Json = {"unique_id": unique_id, "invocation_id": invocation}
    payload = {name: result[name] for name in kept if result.get(name) is not None}
    if isinstance(payload.get("message"), str):
        payload["message"] = masking.text(payload["message"])
    duration = result.get("execution_time")
    if kept and isinstance(duration, int | float):
        identity |= {"duration": duration}
    upstream = [
        {"id": datasets.bounded(node_id(parent), limits.max_id_chars), "role": "upstream"}
        for parent in node.get("parents", ())
    ]
    return {
        "id": _event_id(metadata, unique_id, status, limits),
        "type": f"dbt.{kind}.{status}",
        "time": time or metadata["generated_at"],
        "source": _source(unique_id.split(".")[1], limits),
        "resource": {
            "id": datasets.bounded(node_id(unique_id), limits.max_id_chars),
            "kind": f"dbt_{kind}",
            "name": trim.text(unique_id.split(".", 2)[2], limits.max_id_chars // 2),
            "labels": _labels(node, limits),
        },
        "related": [_run(invocation, limits), *upstream][: limits.max_related],
        "payload": identity | _rows(result) | trim.payload(payload, [(name,) for name in payload], limits),
    }


def invocation_started(metadata: _Json, project: str, time: object, limits: Limits) -> _Json:
    """Say that a dbt command began."""
    payload = {"invocation_id": metadata["invocation_id"], "dbt_version": metadata.get("dbt_version")}
    return _invocation(metadata, project, "started", time, payload, limits=limits)


def invocation_completed(metadata: _Json, project: str, time: object, facts: _Json, limits: Limits) -> _Json:
    """Say how a dbt command went: `success` and what else is known."""
    start, end = foreign.moment(facts.get("started_at")), foreign.moment(time)
    # dbt's own number leaves out what comes before the first node: reading the project.
    whole = max(0.0, (end - start).total_seconds()) if start and end else facts.get("elapsed_seconds")
    payload = {"invocation_id": metadata["invocation_id"], "duration": whole, **facts}
    return _invocation(metadata, project, "completed", time, payload, limits=limits)


def _invocation(metadata: _Json, name: str, phase: str, time: object, payload: _Json, *, limits: Limits) -> _Json:
    return {
        "id": _event_id(metadata, "invocation", phase, limits),
        "type": f"dbt.invocation.{phase}",
        "time": time,
        "source": _source(name, limits),
        "resource": {
            "id": datasets.bounded(f"dbt://{datasets.segment(name)}", limits.max_id_chars),
            "kind": "dbt_project",
            "name": trim.text(name, limits.max_id_chars // 2),
        },
        "related": [_run(metadata["invocation_id"], limits)],
        "payload": {key: value for key, value in payload.items() if value is not None},
    }


def project_of(manifest: object, unique_ids: Iterable[str]) -> str:
    """Name the project: as the manifest does, else after the package that most nodes are of."""
    name = _dict(manifest, "metadata").get("project_name")
    packages = Counter(unique_id.split(".")[1] for unique_id in unique_ids)
    return name if isinstance(name, str) and name else max(packages, key=packages.__getitem__, default="dbt")


def _checked_sources(manifest: object) -> Iterator[str]:
    """List the sources that a freshness check looks at."""
    for unique_id, source in _dict(manifest, "sources").items():
        freshness = _dict(source, "freshness") or _dict(_dict(source, "config"), "freshness")
        limits = (_dict(freshness, "warn_after"), _dict(freshness, "error_after"))
        if unique_id.count(".") > 1 and any(limit.get("count") for limit in limits):
            yield unique_id


def _run(invocation: str, limits: Limits) -> _Json:
    return {"id": datasets.bounded(f"run://dbt/{datasets.segment(invocation)}", limits.max_id_chars), "role": "run"}


def _source(project: str, limits: Limits) -> str:
    return datasets.bounded(f"dbt://{datasets.segment(project)}", limits.max_id_chars)


def _event_id(metadata: _Json, unique_id: str, what: str, limits: Limits) -> str:
    parts = (metadata["invocation_id"], unique_id, what)
    return datasets.bounded(":".join(("dbt", *map(datasets.segment, parts))), min(limits.max_id_chars, 255))


def _labels(node: _Json, limits: Limits) -> dict[str, str]:
    """Take what the project says about the node: its owner and group, its materialization, its tags."""
    config = _dict(node, "config")
    meta = _dict(node, "meta") or _dict(config, "meta")
    labels = {"owner": meta.get("owner"), "group": node.get("group"), "materialized": config.get("materialized")}
    tags = node.get("tags")
    labels |= {tag: "true" for tag in tags if isinstance(tag, str)} if isinstance(tags, list) else {}
    most = limits.max_label_chars // 2
    texts = {trim.text(k, most): trim.text(v, most) for k, v in labels.items() if k and isinstance(v, str) and v}
    return dict(list(texts.items())[: limits.max_labels])


def _rows(result: _Json) -> dict[str, int]:
    """Take what the database counted. dbt's log writes whole numbers as floats, or as text."""
    response = _dict(result, "adapter_response")
    found = {"rows": _count(response.get("rows_affected")), "bytes": _count(response.get("bytes_processed"))}
    return {name: value for name, value in found.items() if value is not None}


def _count(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
        return int(value)
    if type(value) is float and value.is_integer():
        value = int(value) if abs(value) < 2**53 else None
    return value if type(value) is int and 0 <= value < 2**63 else None


def _started(result: _Json) -> str | None:
    """Find the start of the first phase that ran; a skipped node has none."""
    return min((start for phase in _phases(result) if (start := foreign.iso(phase.get("started_at")))), default=None)


def _completed(result: _Json) -> object:
    """Find the end of the last phase that ran; a skipped node has none."""
    return max((end for phase in _phases(result) if isinstance(end := phase.get("completed_at"), str)), default=None)


def _phases(result: _Json) -> list[_Json]:
    timing = result.get("timing")
    return [phase for phase in timing if isinstance(phase, dict)] if isinstance(timing, list) else []


def _kind(result: _Json) -> str:
    return str(result["unique_id"]).partition(".")[0]


def _slug(status: str) -> str:
    """Make a status a word of an event type: `partial success` is `partial_success`."""
    return status.lower().replace(" ", "_").replace("-", "_")


def node_of(manifest: object, unique_id: str) -> _Json:
    """Look the node up in the manifest, with the nodes it is built from under `parents`."""
    groups = ("nodes", "sources", "exposures")
    node: _Json = next((found for group in groups if (found := _dict(_dict(manifest, group), unique_id))), {})
    parents = _dict(manifest, "parent_map").get(unique_id) or _dict(node, "depends_on").get("nodes")
    if not isinstance(parents, list):
        return {**node, "parents": []}
    known = [parent for parent in parents if isinstance(parent, str) and parent.startswith(_UPSTREAM)]
    return {**node, "parents": known}


def _artifact(data: object, name: str) -> _Json:
    """Check what everything here relies on; the rest is taken as it comes."""
    if not isinstance(data, dict):
        raise InvalidEvent([Problem("", f"{name} must be a JSON object")])
    if trim.deeper_than(data, 64):
        raise InvalidEvent([Problem("", f"{name} is nested deeper than 64 levels")])
    metadata = _dict(data, "metadata")
    problems = [
        Problem(f"metadata.{field}", "missing; send the file as dbt wrote it")
        for field in ("invocation_id", "generated_at")
        if not isinstance(metadata.get(field), str) or not metadata[field]
    ]
    results = data.get("results")
    if not isinstance(results, list):
        problems.append(Problem("results", "must be a list"))
    for number, result in enumerate(results if isinstance(results, list) else []):
        unique_id = result.get("unique_id") if isinstance(result, dict) else None
        if not isinstance(unique_id, str) or unique_id.count(".") < 2:
            problems.append(Problem(f"results.{number}.unique_id", "must be like `model.shop.orders`"))
        elif not isinstance(result.get("status"), str) or not result["status"]:
            problems.append(Problem(f"results.{number}.status", "missing"))
    if problems:
        raise InvalidEvent(problems)
    return {**data, "metadata": metadata}


def _dict(holder: object, field: str) -> Any:
    value = holder.get(field) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}
