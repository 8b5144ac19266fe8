"""OpenLineage (spec 2) into events: what a run, a job or a dataset says about itself.

    RunEvent      openlineage.run.{start,running,complete,abort,fail,other}   about job://<namespace>/<name>
    JobEvent      openlineage.job.described                                   about job://<namespace>/<name>
    DatasetEvent  openlineage.dataset.described                               about the dataset

Related are the run (role `run`), its parent run and job (`parent`, `parent_job`), its inputs (`upstream`) and
outputs (`output`). A run that completes also says that each of its outputs is new: one `table.updated` per output,
with `rows` and `bytes` when the producer counted them, so that a rule about a table needs to know no tool.

OpenLineage has no event id. Ours is made from what a sender repeats when it sends again: run, event type and
event time, and for what may come several times in a microsecond also the whole body.
"""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from airside.events import datasets, trim, validation, vocabulary, wire
from airside.events.exceptions import MAX_PROBLEMS, InvalidEvent, Problem
from airside.events.limits import DEFAULT_LIMITS, Limits

_TYPES: Final = frozenset({"start", "running", "complete", "abort", "fail", "other"})
#: States that a run may report more than once: only the body tells one from the next.
_REPEATED: Final = frozenset({"running", "other"})
_FACET_GROUPS: Final = ("facets", "inputFacets", "outputFacets")

#: Each output of a run that completes becomes an event, and all of one body's events are stored whole or not at all.
MAX_OUTPUTS: Final = 999

_Body = dict[str, Any]


def parse(body: object, limits: Limits = DEFAULT_LIMITS) -> list[wire.WireEvent]:
    """Read one RunEvent, JobEvent or DatasetEvent, or a list of them, from decoded JSON.

    Facets stay in the payload, known or not, cut down to what an event may weigh: see `airside.events.trim`.
    Raises InvalidEvent naming the field; in a list the field begins with the index, as `3.run.runId`.
    """
    if not isinstance(body, list):
        return parse_one(body, limits)
    events: list[wire.WireEvent] = []
    problems: list[Problem] = []
    for number, item in enumerate(body):
        try:
            events += parse_one(item, limits)
        except InvalidEvent as error:
            problems += [Problem(f"{number}.{p.field}".rstrip("."), p.message) for p in error.problems]
            if len(problems) >= MAX_PROBLEMS:
                break
    if problems:
        raise InvalidEvent(problems)
    return events


def run_id(identifier: str) -> str:
    """Give the resource id of an OpenLineage run."""
    return f"run://openlineage/{datasets.segment(identifier)}"


def job_id(namespace: str, name: str) -> str:
    """Give the resource id of an OpenLineage job."""
    return f"job://{datasets.segment(namespace)}/{datasets.safe(name)}"


def parse_one(body: object, limits: Limits = DEFAULT_LIMITS) -> list[wire.WireEvent]:
    """Read one RunEvent, JobEvent or DatasetEvent from decoded JSON. Raises InvalidEvent naming the field."""
    if not isinstance(body, dict):
        raise InvalidEvent([Problem("", "an OpenLineage event must be a JSON object")])
    if trim.deeper_than(body, limits.max_depth - 1):
        raise InvalidEvent([Problem("", f"nested deeper than {limits.max_depth - 1} levels")])
    problems = list(islice(_problems(body), MAX_PROBLEMS))
    if problems:
        raise InvalidEvent(problems)
    if "run" in body:
        events = list(_run_events(body, limits))
    elif "job" in body:
        events = [_static_event(body, "job", _job(body["job"], limits), limits)]
    else:
        events = [_static_event(body, "dataset", _dataset(body["dataset"], limits), limits)]
    return [_accept(event, limits) for event in events]


def _run_events(body: _Body, limits: Limits) -> Iterator[dict[str, Any]]:
    state = str(body.get("eventType") or "OTHER").lower()
    run, job = body["run"]["runId"], _job(body["job"], limits)
    parts = [run, state, body["eventTime"]]
    if state in _REPEATED:
        parts.append(_canonical(body))
    common = {"time": body["eventTime"], "source": _source(body["job"]["namespace"], limits)}
    run_related = {"id": _bounded(run_id(run), limits), "role": "run", "name": run}
    event_id = f"ol:{datasets.digest(*parts)}"
    upstream = [_dataset(dataset, limits) | {"role": "upstream"} for dataset in _list(body, "inputs")]
    outputs = [_dataset(dataset, limits) for dataset in _list(body, "outputs")]
    written = [output | {"role": "output"} for output in outputs]
    yield {
        "id": event_id,
        "type": f"openlineage.run.{state}",
        **common,
        "resource": job,
        "related": [run_related, *_parents(body, limits), *upstream, *written][: limits.max_related],
        "payload": trim.payload(_known(body), _facets(body), limits),
    }
    if state != "complete":
        return
    related = [run_related, job | {"role": "job"}, *upstream][: limits.max_related]
    seen: set[str] = set()
    for dataset, output in zip(_list(body, "outputs"), outputs, strict=True):
        if output["id"] not in seen:
            seen.add(output["id"])
            yield {
                "id": f"{event_id}:{datasets.digest(output['id'])[:16]}",
                "type": vocabulary.TABLE_UPDATED,
                **common,
                "resource": output,
                "related": related,
                "causes": [event_id],
                "payload": _update(dataset, limits),
            }


def _update(dataset: _Body, limits: Limits) -> dict[str, Any]:
    """Say what is known of the new contents: counts first, then the facets."""
    statistics = _dict(_dict(dataset, "outputFacets"), "outputStatistics")
    counts = {"rows": statistics.get("rowCount"), "bytes": statistics.get("size")}
    payload = {name: value for name, value in counts.items() if type(value) is int and 0 <= value < 2**63}
    facets = {"dataset": dataset}
    return payload | trim.payload(facets, list(_facets_of(dataset, "dataset")), limits)


def _static_event(body: _Body, kind: str, resource: dict[str, Any], limits: Limits) -> dict[str, Any]:
    related = [
        _dataset(dataset, limits) | {"role": role}
        for field, role in (("inputs", "upstream"), ("outputs", "output"))
        for dataset in _list(body, field)
    ]
    return {
        "id": f"ol:{datasets.digest(_canonical(body))}",
        "type": f"openlineage.{kind}.described",
        "time": body["eventTime"],
        "source": _source(body[kind]["namespace"], limits),
        "resource": resource,
        "related": related[: limits.max_related],
        "payload": trim.payload(_known(body), _facets(body), limits),
    }


def _job(job: _Body, limits: Limits) -> dict[str, Any]:
    namespace, name = job["namespace"], job["name"]
    facets = _dict(job, "facets")
    kind = _dict(facets, "jobType")
    labels = {
        "namespace": namespace,
        "integration": kind.get("integration"),
        "job_type": kind.get("jobType"),
        "owner": _owners(facets),
    }
    for tag in _list(_dict(facets, "tags"), "tags"):
        if isinstance(tag.get("key"), str):
            labels.setdefault(tag["key"], tag.get("value"))
    return _resource(job_id(namespace, name), name, labels, limits) | {"kind": "job"}


def _dataset(dataset: _Body, limits: Limits) -> dict[str, Any]:
    namespace, name = dataset["namespace"], dataset["name"]
    labels = {"namespace": namespace, "owner": _owners(_dict(dataset, "facets"))}
    return _resource(datasets.dataset_id(namespace, name), name, labels, limits)


def _parents(body: _Body, limits: Limits) -> Iterator[dict[str, Any]]:
    parent = _dict(_dict(body["run"], "facets"), "parent")
    run, job = _dict(parent, "run").get("runId"), _dict(parent, "job")
    namespace, name = job.get("namespace"), job.get("name")
    if isinstance(run, str) and run:
        yield {"id": _bounded(run_id(run), limits), "role": "parent", "name": _text(run, limits.max_id_chars)}
    if isinstance(namespace, str) and isinstance(name, str) and namespace and name:
        yield _resource(job_id(namespace, name), name, {}, limits) | {"role": "parent_job"}


def _resource(identifier: str, name: str, labels: dict[str, object], limits: Limits) -> dict[str, Any]:
    texts = {
        _text(key, limits.max_label_chars): _text(value, limits.max_label_chars)
        for key, value in labels.items()
        if key and isinstance(value, str) and value
    }
    return {
        "id": _bounded(identifier, limits),
        "name": _text(name, limits.max_id_chars),
        "labels": dict(list(texts.items())[: limits.max_labels]),
    }


def _owners(facets: _Body) -> str:
    owners = _list(_dict(facets, "ownership"), "owners")
    return ",".join(owner["name"] for owner in owners if isinstance(owner.get("name"), str))


def _source(namespace: str, limits: Limits) -> str:
    return _bounded(f"openlineage://{datasets.segment(namespace)}", limits)


def _bounded(identifier: str, limits: Limits) -> str:
    return datasets.bounded(identifier, limits.max_id_chars)


def _text(value: str, most: int) -> str:
    return value.replace("\0", "\ufffd")[:most]


def _known(body: _Body) -> _Body:
    """Give the fields that the spec names; facets, under them, stay whatever they are called."""
    fields = ("eventType", "producer", "run", "job", "dataset", "inputs", "outputs")
    return {field: body[field] for field in fields if body.get(field)}


def _facets(body: _Body) -> list[tuple[str, ...]]:
    """List the paths of all facets: what can be left out one by one when the event is too heavy."""
    paths = [path for field in ("run", "job", "dataset") for path in _facets_of(_dict(body, field), field)]
    for field in ("inputs", "outputs"):
        for number, dataset in enumerate(_list(body, field)):
            paths += _facets_of(dataset, field, str(number))
    return paths


def _facets_of(holder: _Body, *path: str) -> Iterator[tuple[str, ...]]:
    for group in _FACET_GROUPS:
        for name in _dict(holder, group):
            yield (*path, group, name)


def _problems(body: _Body) -> Iterator[Problem]:
    """Find what the spec demands and the body does not have."""
    if not any(field in body for field in ("run", "job", "dataset")):
        yield Problem("", "neither a RunEvent (run, job) nor a JobEvent (job) nor a DatasetEvent (dataset)")
        return
    if not isinstance(body.get("eventTime"), str):
        yield Problem("eventTime", "missing; every OpenLineage event has one, with a zone")
    state = body.get("eventType")
    if state is not None and (not isinstance(state, str) or state.lower() not in _TYPES):
        yield Problem("eventType", "must be one of START, RUNNING, COMPLETE, ABORT, FAIL, OTHER")
    if "run" in body:
        yield from _missing("run", body["run"], ("runId",))
    if "run" in body or "job" in body:
        yield from _missing("job", body.get("job"), ("namespace", "name"))
    else:
        yield from _missing("dataset", body["dataset"], ("namespace", "name"))
    for field in ("inputs", "outputs"):
        datasets_given = body.get(field)
        if datasets_given is not None and not isinstance(datasets_given, list):
            yield Problem(field, "must be a list of datasets")
            continue
        if field == "outputs" and len(datasets_given or ()) > MAX_OUTPUTS:
            yield Problem(field, f"{len(datasets_given or ()):,} datasets; at most {MAX_OUTPUTS} are taken")
            continue
        for number, dataset in enumerate(datasets_given or []):
            yield from _missing(f"{field}.{number}", dataset, ("namespace", "name"))


def _missing(path: str, value: object, fields: tuple[str, ...]) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, f"must be an object with {' and '.join(fields)}")
        return
    for field in fields:
        if not isinstance(value.get(field), str) or not value[field]:
            yield Problem(f"{path}.{field}", "must be text, and not empty")


def _dict(holder: _Body, field: str) -> _Body:
    value = holder.get(field)
    return value if isinstance(value, dict) else {}


def _list(holder: _Body, field: str) -> list[_Body]:
    value = holder.get(field)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _canonical(body: _Body) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _accept(event: dict[str, Any], limits: Limits) -> wire.WireEvent:
    try:
        return validation.parse_object(event, limits)
    except InvalidEvent as error:
        renamed = {"time": "eventTime"}
        raise InvalidEvent([Problem(renamed.get(p.field, p.field), p.message) for p in error.problems]) from error
