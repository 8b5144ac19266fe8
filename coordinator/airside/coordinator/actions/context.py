"""What the texts of actions can read: the firing and its events, as plain JSON objects."""

from collections.abc import Mapping, Sequence
from typing import Any

from airside.coordinator.templates import Duration
from airside.events import wire
from airside.events.wire import Record


def build(firing: Mapping[str, Any], events: Sequence[Record]) -> dict[str, Any]:
    """Build the context. `events` are those that were fetched, oldest first; the last is the decisive one.

    The firing is shown without its actions: they may hold what is meant for other receivers.
    """
    shown = [wire.to_dict(record) for record in events]
    event = shown[-1] if shown else None
    late_by = firing.get("late_by")
    return {
        "event": event,
        "events": shown,
        "resource": event["resource"] if event else None,
        "run": _run(event),
        "automation": {
            "name": firing.get("automation"),
            "revision": firing.get("revision"),
            "severity": firing.get("severity"),
            "description": firing.get("description"),
        },
        "key": firing.get("key"),
        "window": firing.get("window"),
        "firing": {name: value for name, value in firing.items() if name != "actions"},
        "late_by": Duration(late_by) if isinstance(late_by, int | float) else None,
    }


def _run(event: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Find the run that the event is about or that it involves."""
    if event is None:
        return None
    resources: list[Mapping[str, Any]] = [event["resource"], *event["related"]]
    return next((found for found in resources if found.get("role") == "run" or _is_run(found)), None)


def _is_run(resource: Mapping[str, Any]) -> bool:
    kind = str(resource.get("kind", ""))
    return kind == "run" or kind.endswith("_run")
