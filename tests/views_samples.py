"""Log entries for the tests of the views, made by hand and without a log."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import orjson

from airside.events import Record, WireEvent, WireRelated, WireResource, subjects
from airside.events.log import Batch, Poison

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
START_MICROS = int(START.timestamp()) * 1_000_000


def event(
    number: int,
    event_type: str = "table.updated",
    resource: str = "table://warehouse/sales",
    *,
    workspace: str = "default",
    labels: dict[str, str] | None = None,
    related: tuple[WireRelated, ...] = (),
    payload: dict[str, Any] | None = None,
    event_id: str | None = None,
    source: str = "test://here",
) -> WireEvent:
    scheme, _, rest = resource.partition("://")
    return WireEvent(
        id=event_id or f"event-{number}",
        type=event_type,
        time=START + timedelta(seconds=number),
        source=source,
        resource=WireResource(resource, scheme, rest.rpartition("/")[2] or rest, labels or {}),
        related=related,
        payload=msgspec.Raw(orjson.dumps(payload or {})),
        workspace=workspace,
    )


def record(position: int, of: WireEvent, subject: str | None = None) -> Record:
    return Record(
        position,
        START_MICROS + position * 1_000_000,
        subject or subjects.event(of.workspace, of.resource.id, of.type),
        of,
    )


def posted(position: int, event_type: str = "table.updated", *args: Any, **kwargs: Any) -> Record:
    return record(position, event(position, event_type, *args, **kwargs))


def control(position: int, event_type: str, payload: dict[str, Any], workspace: str = "default") -> Record:
    of = event(
        position,
        event_type,
        f"automation://{payload.get('name')}",
        payload=payload,
        event_id=f"control-{position}",
        workspace=workspace,
    )
    return record(position, of, subjects.control(workspace, of.resource.id, event_type))


def created(position: int, name: str = "late", revision: int = 1, **document: Any) -> Record:
    return control(
        position,
        "automation.created",
        {"name": name, "revision": revision, "document": {"name": name, "enabled": True, **document}},
    )


def tick(position: int) -> Record:
    of = event(position, "clock.ticked", "clock://log", payload={"slot": str(position)})
    return record(position, of, subjects.control("default", "clock://log", "clock.ticked"))


def firing(
    position: int,
    name: str = "f1",
    automation: str = "late",
    *,
    outcome: str = "triggered",
    resolves: str | None = None,
    actions: tuple[str, ...] = ("notify",),
    workspace: str = "default",
) -> Record:
    payload = {
        "id": name,
        "outcome": outcome,
        "workspace": workspace,
        "automation": automation,
        "revision": 1,
        "key": {"resource": {"id": "table://warehouse/sales"}},
        "window": {"start": "2026-11-22T08:00:00Z", "end": "2026-11-22T09:00:00Z"},
        "time": "2026-11-22T09:00:00Z",
        "position": position - 1,
        "decided": "2026-11-22T09:00:01.5Z",
        "events": [{"id": "event-1", "position": 1}],
        "event_count": 1,
        "reason": "nothing came",
        "clause": {"kind": "absence"},
        "severity": "high",
        "actions": [{"kind": kind} for kind in actions],
        "late_by": None if outcome == "triggered" else 90.5,
        "resolves": resolves,
        "depth": 1,
    }
    of = event(
        position,
        f"automation.{outcome}",
        f"automation://{automation}",
        payload=payload,
        event_id=name,
        workspace=workspace,
    )
    return record(position, of, subjects.firing(workspace, automation, name))


def action(
    position: int,
    outcome: str,
    *,
    firing_id: str = "f1",
    index: int = 0,
    attempt: int = 1,
    result: dict[str, Any] | None = None,
    error: str | None = None,
) -> Record:
    name = f"{firing_id}.{index}"
    payload = {
        "action": "notify",
        "index": index,
        "firing": firing_id,
        "automation": "late",
        "revision": 1,
        "attempt": attempt,
        "result": result,
        "error": error,
    }
    of = event(
        position,
        f"action.{outcome}",
        "automation://late",
        payload=payload,
        event_id=name if outcome != "retried" else f"{name}.try{attempt}",
    )
    return record(position, of, subjects.action("default", name, outcome))


def poison(position: int, data: bytes = b"\xff not json", subject: str = "ev.default.x.y") -> Poison:
    return Poison(position, START_MICROS + position * 1_000_000, subject, data, "not an event: malformed")


def batch(*entries: Record | Poison) -> Batch:
    ordered = sorted(entries, key=lambda entry: entry.position)
    return Batch(
        [entry for entry in ordered if isinstance(entry, Record)],
        [entry for entry in ordered if isinstance(entry, Poison)],
        ordered[-1].position,
        ordered[-1].received,
        ordered[0].position,
    )


def batches(entries: list[Record | Poison], sizes: list[int]) -> list[Batch]:
    """Cut entries into batches of these sizes, the rest into one."""
    cut: list[Batch] = []
    rest = list(entries)
    for size in sizes:
        if rest:
            cut.append(batch(*rest[:size]))
            rest = rest[size:]
    return [*cut, batch(*rest)] if rest else cut
