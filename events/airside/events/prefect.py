"""Prefect (3.x) into events: each of its events is one of ours, under its own name.

    event                    type, as Prefect writes it: `prefect.flow-run.Running`, `orders.landed`
    resource                 id, labels (`prefect.resource.name` among them) and name
    related                  the same, by `prefect.resource.role`
    occurred, payload        time, payload
    id, follows              `prefect:<id>`, causes

A run of a task also has its task as a related resource (role `task`), so that runs of one task can be told from those
of another. An asset that was materialized also says `table.updated` about the table or file that its key names.

What is larger than an event may be is cut down and named in the payload's `left_out`. A name that cannot be a type has
`_` in place of what a type may not hold, and is kept as it was in the payload under `prefect.event`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

from airside.events import datasets, model, trim, validation, vocabulary, wire
from airside.events.exceptions import InvalidEvent, Problem
from airside.events.limits import DEFAULT_LIMITS, Limits

#: Who says so, when a Prefect client sends its events by itself.
SOURCE: Final = "prefect://client"
#: What is put on the log in place of something that is no event, so that nobody has to miss it.
REFUSED: Final = "event.refused"
MAX_REFUSED_CHARS: Final = 2_048  # enough to tell who sent it
MAX_PROBLEMS_TOLD: Final = 10

_ID: Final = "prefect.resource.id"
_NAME: Final = "prefect.resource.name"
_ROLE: Final = "prefect.resource.role"
_MATERIALIZED: Final = "prefect.asset.materialization.succeeded"
_NO_TYPE = re.compile(r"[\s*>\x00-\x1f\x7f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_Object = dict[str, Any]


def parse(body: object, source: str = SOURCE, limits: Limits = DEFAULT_LIMITS) -> list[wire.WireEvent]:
    """Read one of Prefect's events from decoded JSON. Raises InvalidEvent naming the field."""
    if not isinstance(body, dict):
        raise InvalidEvent([Problem("", "one of Prefect's events must be a JSON object")])
    if trim.deeper_than(body, limits.max_depth - 1):
        raise InvalidEvent([Problem("", f"nested deeper than {limits.max_depth - 1} levels")])
    if problems := list(_problems(body)):
        raise InvalidEvent(problems)
    return [_accept(document, limits) for document in _documents(body, source, limits)]


def refused(text: str, error: InvalidEvent, source: str = SOURCE, *, now: datetime | None = None) -> _Object:
    """Say on the log that something was refused, why, and how it began. The same text again counts once."""
    return {
        "id": f"prefect:refused:{datasets.digest(text)}",
        "type": REFUSED,
        "time": (now or datetime.now(UTC)).isoformat(),
        "source": source,
        "resource": {"id": source},
        "payload": {
            "problems": [
                {"field": trim.text(problem.field, 200), "message": trim.text(problem.message, 500)}
                for problem in error.problems[:MAX_PROBLEMS_TOLD]
            ],
            "characters": len(text),
            "begins": trim.text(text, MAX_REFUSED_CHARS),
        },
    }


def _documents(body: _Object, source: str, limits: Limits) -> Iterator[_Object]:
    left_out: list[str] = []
    name = body["event"]
    event_id = datasets.bounded(f"prefect:{_own_id(body)}", limits.max_id_chars)
    resource = _resource(body["resource"], "resource", left_out, limits)
    related = list(_related(body, left_out, limits))
    payload = body.get("payload") or {}
    payload = trim.payload(payload, [(key,) for key in payload], limits)
    event_type = _type(name, limits)
    if event_type != name:
        payload["prefect.event"] = trim.text(name)
    if left_out:
        payload["left_out"] = [*payload.get("left_out", ()), *left_out][: trim.MAX_LEFT_OUT]
    follows = body.get("follows")
    yield {
        "id": event_id,
        "type": event_type,
        "time": body["occurred"],
        "source": source,
        "resource": resource,
        "related": related,
        "payload": payload,
        "causes": [f"prefect:{follows}"] if isinstance(follows, str) and _is_plain(follows, 64) else [],
    }
    table = datasets.uri_id(body["resource"][_ID]) if name == _MATERIALIZED else None
    if table:
        yield {
            "id": f"{event_id}:table",
            "type": vocabulary.TABLE_UPDATED,
            "time": body["occurred"],
            "source": source,
            "resource": {"id": datasets.bounded(table, limits.max_id_chars)},
            "related": related,
            "causes": [event_id],
        }


def _related(body: _Object, left_out: list[str], limits: Limits) -> Iterator[_Object]:
    entries = body.get("related") or []
    task = _task(body, limits)
    most = limits.max_related - (1 if task else 0)
    for number, entry in enumerate(entries):
        place = f"related.{number}"
        if number >= most or not _names_itself(entry) or not _text(entry.get(_ROLE)):
            if len(left_out) < trim.MAX_LEFT_OUT:
                left_out.append(place)
            continue
        role = _plain(entry[_ROLE], limits.max_label_chars)
        yield _resource(entry, place, left_out, limits) | {"role": role}
    if task:
        yield task


def _task(body: _Object, limits: Limits) -> _Object | None:
    """Name the task of a task run: Prefect tells it in the payload alone."""
    if not body["event"].startswith("prefect.task-run."):
        return None
    told = (body.get("payload") or {}).get("task_run")
    key = told.get("task_key") if isinstance(told, dict) else None
    if not _text(key):
        return None
    name = key.rpartition("-")[0] or key  # what follows tells functions of one name apart
    return {
        "id": datasets.bounded(f"prefect.task.{_plain(key, limits.max_id_chars)}", limits.max_id_chars),
        "kind": "task",
        "name": _plain(name, limits.max_id_chars),
        "role": "task",
    }


def _resource(labels: Mapping[str, Any], place: str, left_out: list[str], limits: Limits) -> _Object:
    identifier = datasets.bounded(_plain(labels[_ID], 65_536), limits.max_id_chars)
    kept: dict[str, str] = {}
    for key, value in labels.items():
        if key in (_ID, _ROLE):
            continue
        if not key or not isinstance(value, str) or len(kept) >= limits.max_labels or len(key) > limits.max_label_chars:
            left_out.append(f"{place}.{key[:100]}")
            continue
        if len(value) > limits.max_label_chars:
            left_out.append(f"{place}.{key[:100]}")
        kept[_whole(key)] = _whole(value)[: limits.max_label_chars]
    name = labels.get(_NAME)
    return {
        "id": identifier,
        "kind": _kind(identifier),
        "name": _whole(name)[: limits.max_id_chars] if _text(name) else "",
        "labels": kept,
    }


def _kind(identifier: str) -> str:
    """Derive `flow-run` from `prefect.flow-run.<id>`; of other ids, what all events have."""
    parts = identifier.split(".", 2)
    return parts[1] if len(parts) == 3 and parts[0] == "prefect" and parts[1] else model.kind_of(identifier)


def _type(name: str, limits: Limits) -> str:
    words = [word for word in _NO_TYPE.sub("_", name).split(".") if word]
    event_type = ".".join(words) or "_"
    if vocabulary.is_reserved(event_type):
        event_type = f"prefect.{event_type}"
    return datasets.bounded(event_type, limits.max_id_chars)


def _own_id(body: _Object) -> str:
    """Give Prefect's id; of what has none, one that the same body has again."""
    given = body.get("id")
    if _text(given) and _is_plain(given, 200):
        return given
    return datasets.digest(json.dumps(body, sort_keys=True, separators=(",", ":")))


def _problems(body: _Object) -> Iterator[Problem]:
    """Find what Prefect's own server would refuse too."""
    if not _text(body.get("event")):
        yield Problem("event", "must be the event's name, as `orders.landed`")
    if not isinstance(body.get("occurred"), str):
        yield Problem("occurred", "must be a time with its zone")
    if not _names_itself(body.get("resource")):
        yield Problem("resource", f"must be an object with a `{_ID}`")
    if not isinstance(body.get("related") or [], list):
        yield Problem("related", "must be a list of resources")
    if not isinstance(body.get("payload") or {}, dict):
        yield Problem("payload", "must be a JSON object")


def _names_itself(resource: object) -> bool:
    return isinstance(resource, dict) and _text(resource.get(_ID))


def _text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value != ""


def _is_plain(value: str, most: int) -> bool:
    return 0 < len(value) <= most and not _CONTROL.search(value)


def _plain(value: str, most: int) -> str:
    """Write control characters as %XX: an id or a role must not break a line."""
    return _CONTROL.sub(lambda found: f"%{ord(found[0]):02X}", _whole(value))[:most]


def _whole(value: str) -> str:
    """Keep what can be stored: no NUL, no half of a surrogate pair."""
    return value.replace("\0", "\ufffd").encode(errors="replace").decode()


def _accept(document: _Object, limits: Limits) -> wire.WireEvent:
    try:
        return validation.parse_object(document, limits)
    except InvalidEvent as error:
        renamed = {"time": "occurred", "type": "event"}
        raise InvalidEvent([Problem(renamed.get(p.field, p.field), p.message) for p in error.problems]) from error
