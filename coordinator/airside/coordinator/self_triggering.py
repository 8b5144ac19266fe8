"""Automations that set themselves off: what their `emit` writes meets their own trigger."""

from collections.abc import Iterator
from typing import Any, Final

from airside.events import validation
from airside.events.exceptions import InvalidEvent
from airside.events.wire import Record
from airside.triggers import matching, walking
from airside.triggers.entry import Entry
from airside.triggers.filters import Filter
from airside.triggers.model import Automation
from airside.triggers.walking import Place

_SAME_TYPE: Final = "{{event.type}}"
_STAND_IN: Final = "x://1"
_LOOP: Final = (
    "its event matches this automation's own trigger: a loop, cut after 8 firings; narrow the trigger, or emit another"
    " type"
)
_AWAITED: Final = "absence"  # meeting this ends the rule's own breach, and makes no loop


def own_matches(automation: Automation) -> Iterator[tuple[Place, str]]:
    """Give the actions whose event would match the automation's own trigger, each with its path.

    What a template stands for is not known: it is taken for something that the filter wants.
    """
    filters = list(walking.filters_in(automation.trigger))
    for part in ("actions", "on_resolve"):
        for number, action in enumerate(getattr(automation, part)):
            if action.kind != "emit":
                continue
            emitted = action.to_dict()
            for place, wanted in filters:
                if place[-1] == _AWAITED and _meets(automation.name, emitted, wanted):
                    yield (part, number, "emit", "type"), "its event counts as the one that this automation waits for"
                    break
                if place[-1] != _AWAITED and _meets(automation.name, emitted, wanted):
                    yield (part, number, "emit", "type"), _LOOP
                    break


def _meets(name: str, emitted: dict[str, Any], wanted: Filter) -> bool:
    """Tell whether the event of an action would pass a filter, leaving out what only a template decides."""
    unknown: dict[str, Any] = {}
    event = {key: emitted[key] for key in ("type", "resource", "related", "payload") if emitted.get(key)}
    event["resource"] = {**event["resource"], "labels": {**event["resource"]["labels"], **emitted.get("labels", {})}}
    if _is_open(event["type"]):
        if event["type"].replace(" ", "") != _SAME_TYPE:
            return False
        event["type"], unknown["type"] = "a.b", ()
    if _is_open(event["resource"]):
        event["resource"], unknown["resource"] = _STAND_IN, ()
    if _is_open(event.get("related")):
        event["related"], unknown["related"] = [], ()
    if _is_open(event.get("payload")):
        event["payload"], unknown["where"] = {}, {}
    try:
        whole = validation.parse_object({**event, "id": "1", "source": f"airside://automations/{name}"})
    except InvalidEvent:
        return False
    entry = Entry.of(Record(1, 0, "act.default.1.event", whole), 0)
    return matching.compile_filter(wanted.model_copy(update=unknown))(entry)


def _is_open(value: Any) -> bool:
    """Tell whether a template decides any of it."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, dict):
        return any(_is_open(each) for pair in value.items() for each in pair)
    return isinstance(value, list) and any(_is_open(each) for each in value)
