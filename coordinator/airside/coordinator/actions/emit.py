"""`emit`: puts an event on the log, exactly once however often it is tried."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from airside.coordinator.actions import kinds
from airside.coordinator.actions.exceptions import ActionRefused
from airside.events import subjects, validation, vocabulary, wire
from airside.events.exceptions import InvalidEvent


class Emit:
    """Writes the event create-once under the action's id; its `causes` are the firings that led to it."""

    name = "emit"
    delays_seconds = (1.0, 5.0, 30.0, 120.0, 600.0)
    plain_fields = frozenset[str]()
    outside = False
    pure = True

    def problems(self, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find a type or resource that no event can have, and a type that only Airside itself may write."""
        if vocabulary.is_reserved(str(parameters.get("type", ""))):
            yield "type", f"`{parameters['type']}` is written by Airside itself alone; choose another first word"
        else:
            yield from _never_valid(parameters)

    async def run(self, context: kinds.ActionContext) -> dict[str, Any]:
        """Make the event; it is written together with the action's end."""
        event = _event(context)
        context.effects.append((subjects.action(context.workspace, context.action_id, "event"), wire.encode(event)))
        return {"event": event.id, "type": event.type}


def _never_valid(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Check the type and the resource's id as an event's, where they are no templates."""
    written = {
        "type": str(parameters.get("type", "")),
        "resource": str(_resource(parameters.get("resource")).get("id", "")),
    }
    plain = {field: text for field, text in written.items() if "{{" not in text and "{%" not in text}
    data = {
        "id": "x",
        "type": plain.get("type", "x"),
        "time": datetime.now(UTC),
        "source": "x",
        "resource": {"id": plain.get("resource", "x")},
    }
    try:
        validation.parse_object(data)
    except InvalidEvent as error:
        for problem in error.problems:
            field, _, rest = problem.field.partition(".")
            if field in plain:
                yield ("type" if field == "type" else f"resource.{rest or 'id'}"), problem.message


def _event(context: kinds.ActionContext) -> wire.WireEvent:
    texts, parameters = context.texts, context.parameters
    resource = _resource(texts.value(parameters.get("resource")))
    labels = {**resource.get("labels", {}), **texts.value(parameters.get("labels", {}))}
    related = [_resource(entry) for entry in texts.value(parameters.get("related", []))]
    data = {
        "id": f"{context.action_id}.event",
        "type": texts.text(str(parameters.get("type", ""))),
        "time": datetime.now(UTC),
        "source": f"airside://automations/{context.automation}",
        "resource": {**resource, "labels": _as_text(labels)},
        "related": [{**entry, "labels": _as_text(entry.get("labels", {}))} for entry in related],
        "payload": texts.value(parameters.get("payload", {})),
        "causes": list(context.chain),
        "workspace": context.workspace,
    }
    try:
        return validation.parse_object(data)
    except InvalidEvent as error:
        raise ActionRefused(f"the event is not valid: {error}") from error


def _resource(resource: Any) -> dict[str, Any]:
    if isinstance(resource, str):
        return {"id": resource}
    return {key: value for key, value in dict(resource or {}).items() if value is not None}


def _as_text(labels: Mapping[str, Any]) -> dict[str, str]:
    """Labels are text; a number from the event's payload may well be meant as one."""
    return {key: "" if value is None else str(value) for key, value in labels.items()}
