"""dbt's artifacts into events: run_results.json, sources.json, with what manifest.json adds.

    dbt.<kind>.<status>        about dbt://<package>/<unique_id>: dbt.model.success, dbt.test.fail, dbt.source.warn
    dbt.invocation.completed   about dbt://<project>: how the whole command went
    table.updated              about the relation of each model, seed and snapshot that succeeded

Ids are made from the invocation and the node, so that the same artifact may be sent by a hook, by a retry and by
hand. Related are the run (role `run`), the relation (`output`) and, with a manifest, the nodes it is built from
(`upstream`). Compiled SQL stays at home. dbt leaves a source whose query failed out of sources.json: only a rule
that expects the source's event sees that.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from airside.events import datasets, trim, validation, vocabulary, wire
from airside.events.exceptions import InvalidEvent, Problem
from airside.events.limits import DEFAULT_LIMITS, Limits

_TABLES: Final = frozenset({"model", "seed", "snapshot"})
_UPSTREAM: Final = ("model.", "seed.", "snapshot.", "source.")
_KEPT: Final = ("status", "message", "failures", "execution_time", "adapter_response", "timing")
_KEPT_OF_SOURCES: Final = ("status", "max_loaded_at", "snapshotted_at", "max_loaded_at_time_ago_in_s", "criteria")
#: Statuses that make the invocation as a whole a failure.
_FAILED: Final = frozenset({"error", "fail", "runtime error", "partial success"})

_Json = dict[str, Any]


def parse_run_results(
    run_results: object, manifest: object = None, limits: Limits = DEFAULT_LIMITS
) -> list[wire.WireEvent]:
    """Read run_results.json, in the order of its results. Raises InvalidEvent naming the field.

    Without the manifest, seeds have no relation, nodes no upstream, no owner and no tags.
    """
    artifact = _artifact(run_results, "run_results.json")
    events: list[_Json] = []
    for result in artifact["results"]:
        node = _node(manifest, result["unique_id"])
        events += _node_events(result, artifact["metadata"], node, limits)
    project = _dict(manifest, "metadata").get("project_name")
    events.append(_invocation(artifact, project, limits))
    return [validation.parse_object(event, limits) for event in events]


def parse_sources(sources: object, limits: Limits = DEFAULT_LIMITS) -> list[wire.WireEvent]:
    """Read sources.json, what `dbt source freshness` found. Raises InvalidEvent naming the field."""
    artifact = _artifact(sources, "sources.json")
    metadata = artifact["metadata"]
    events = [
        _node_event(result, metadata, {}, limits, time=result.get("snapshotted_at"), kept=_KEPT_OF_SOURCES)
        for result in artifact["results"]
    ]
    return [validation.parse_object(event, limits) for event in events]


def node_id(unique_id: str) -> str:
    """Give the resource id of a dbt node: `model.shop.orders` is `dbt://shop/model.shop.orders`."""
    package = unique_id.split(".")[1] if unique_id.count(".") > 1 else unique_id
    return f"dbt://{datasets.segment(package)}/{datasets.segment(unique_id)}"


def _node_events(result: _Json, metadata: _Json, node: _Json, limits: Limits) -> Iterator[_Json]:
    event = _node_event(result, metadata, node, limits, time=_completed(result), kept=_KEPT)
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
    identity = {"unique_id": unique_id, "invocation_id": invocation}
    payload = {name: result[name] for name in kept if result.get(name) is not None}
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


def _invocation(artifact: _Json, project: object, limits: Limits) -> _Json:
    metadata, results = artifact["metadata"], artifact["results"]
    packages = Counter(result["unique_id"].split(".")[1] for result in results)
    name = project if isinstance(project, str) and project else max(packages, key=packages.__getitem__, default="dbt")
    command = _dict(artifact, "args").get("which")
    counts = Counter(result["status"] for result in results)
    return {
        "id": _event_id(metadata, "invocation", "completed", limits),
        "type": "dbt.invocation.completed",
        "time": metadata["generated_at"],
        "source": _source(name, limits),
        "resource": {
            "id": datasets.bounded(f"dbt://{datasets.segment(name)}", limits.max_id_chars),
            "kind": "dbt_project",
            "name": trim.text(name, limits.max_id_chars // 2),
        },
        "related": [_run(metadata["invocation_id"], limits)],
        "payload": {
            "invocation_id": metadata["invocation_id"],
            "dbt_version": metadata.get("dbt_version"),
            "command": command if isinstance(command, str) else None,
            "elapsed_seconds": artifact.get("elapsed_time"),
            "success": not _FAILED & counts.keys(),
            "nodes": dict(counts),
        },
    }


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
    rows = _dict(result, "adapter_response").get("rows_affected")
    return {"rows": rows} if type(rows) is int and 0 <= rows < 2**63 else {}


def _completed(result: _Json) -> object:
    """Find the end of the last phase that ran; a skipped node has none."""
    timing = result.get("timing")
    ends = (
        [phase.get("completed_at") for phase in timing if isinstance(phase, dict)] if isinstance(timing, list) else []
    )
    return max((end for end in ends if isinstance(end, str)), default=None)


def _kind(result: _Json) -> str:
    return str(result["unique_id"]).partition(".")[0]


def _slug(status: str) -> str:
    """Make a status a word of an event type: `partial success` is `partial_success`."""
    return status.lower().replace(" ", "_").replace("-", "_")


def _node(manifest: object, unique_id: str) -> _Json:
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
