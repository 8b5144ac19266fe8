"""Runs of deployments: their ids, how each is first told of, and the parameters that it takes. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID, uuid5

import msgspec
import orjson

from airside.coordinator.deployments.book import Held
from airside.coordinator.runs import answers
from airside.coordinator.runs import present as presents
from airside.coordinator.runs.carried import carried
from airside.events import deployments
from airside.events.deployments import Deployment
from airside.events.exceptions import Problem
from airside.events.wire import Micros, WireEvent, WireRelated, WireResource, from_micros

SOURCE: Final = "airside://deployments"
#: `carried` for whoever writes further changes of such runs.
__all__ = ["carried", "due_of", "id_of_key", "id_of_slot", "is_void", "problems", "scheduled"]

_IDS: Final = UUID("6f1d3c0e-6b0f-5a52-9d0c-3d2b0f6f0a51")


def id_of_slot(held: Held, schedule: str, due: Micros) -> str:
    """Make the id of the run that a schedule starts at a moment.

    It holds the revision: what one revision scheduled ahead and the next one took back is another run.
    """
    return str(uuid5(_IDS, "\0".join((held.workspace, held.name, str(held.revision), schedule, str(due)))))


def id_of_key(workspace: str, name: str, key: str) -> str:
    """Make the id of the run that somebody asks for with a key of their own."""
    return str(uuid5(_IDS, "\0".join((workspace, name, "key", key))))


def problems(document: Deployment, parameters: Mapping[str, Any]) -> list[Problem]:
    """Check parameters by the deployment's schema; each problem names its field, as `parameters.day`."""
    schema = document.parameters_schema
    if not schema:
        return []
    try:
        found = answers.problems(schema, dict(parameters))
    except answers.BadSchema as error:
        return [Problem("parameters_schema", str(error))]
    return [Problem(f"parameters{one.field.removeprefix('input')}", one.message) for one in found]


def mistakes(document: Deployment) -> list[Problem]:
    """Check a document's schema and the parameters that it gives itself, so that no run meets them first."""
    try:
        answers.check(document.parameters_schema)
    except answers.BadSchema as error:
        return [Problem("parameters_schema", str(error))]
    own = [one for one in problems(document, document.parameters) if one.message != answers.REQUIRED]
    planned = [
        Problem(f"schedules.{place}.{one.field}", one.message)
        for place, schedule in enumerate(document.schedules)
        for one in problems(document, document.parameters | schedule.parameters)
    ]
    return own or planned


def scheduled(
    held: Held,
    run: str,
    due: Micros,
    parameters: Mapping[str, Any],
    *,
    created_by: str,
    schedule: str | None = None,
    infrastructure: Mapping[str, Any] | None = None,
    related: tuple[WireRelated, ...] = (),
    causes: tuple[str, ...] = (),
    more: Mapping[str, Any] | None = None,
) -> WireEvent:
    """Write a run's first change. `more` is said with it."""
    document = held.document
    payload = {
        "seq": 1,
        "attempt": 1,
        "deployment": held.name,
        "revision": held.revision,
        "schedule": schedule,
        "scheduled_for": from_micros(due).isoformat(),
        "parameters": dict(parameters),
        "queue": document.queue,
        "priority": document.priority,
        "infrastructure": dict(infrastructure or {}),
        "created_by": created_by,
        **(more or {}),
    }
    return WireEvent(
        id=presents.change_id(run, 1),
        type="flow_run.scheduled",
        time=datetime.now(UTC),
        source=SOURCE,
        resource=WireResource(presents.resource_id(run), "flow_run", f"{document.name}-{run[-8:]}"),
        related=(
            WireRelated(f"flow://{quote(document.flow, safe='')}", "flow", "flow", document.flow),
            WireRelated(deployments.resource_id(held.name), "deployment", "deployment", held.name),
            WireRelated(f"queue://{document.queue}", "queue", "queue", document.queue),
            *related,
        ),
        payload=msgspec.Raw(orjson.dumps(payload)),
        causes=causes,
        workspace=held.workspace,
    )


def due_of(payload: Mapping[str, Any]) -> Micros | None:
    """Read when a run is to start; None when nothing says so."""
    try:
        moment = datetime.fromisoformat(payload["scheduled_for"])
        return round(moment.timestamp() * 1_000_000)
    except (KeyError, TypeError, ValueError):
        return None


def is_void(payload: Mapping[str, Any], held: Held | None) -> bool:
    """Tell whether a run that a schedule made is of a revision that had ended before the run's time.

    A slot belongs to the revision that was in force at its moment, and to no other.
    """
    if payload.get("schedule") is None or payload.get("deployment") is None:
        return False
    if held is None:
        return True
    due = due_of(payload)
    return payload.get("revision") != held.revision and due is not None and due > held.since
