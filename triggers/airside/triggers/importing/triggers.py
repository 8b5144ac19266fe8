"""Triggers: event, compound and sequence, to any depth."""

from collections.abc import Callable
from typing import Any, Final

from airside.events.wire import Micros
from airside.triggers import durations
from airside.triggers.importing import values
from airside.triggers.importing.events import Events, key_parts
from airside.triggers.importing.report import NotTranslated

_EVENT_KEYS: Final = {
    "type",
    "id",
    "posture",
    "expect",
    "after",
    "match",
    "match_related",
    "for_each",
    "threshold",
    "within",
}
_COMPOUND_KEYS: Final = {"type", "id", "triggers", "within", "require"}
_SEQUENCE_KEYS: Final = {"type", "id", "triggers", "within"}
_LEAST_PROACTIVE: Final = 10 * durations.SECOND
_MAX_LEVELS: Final = 8


def translate(trigger: Any, changed: Callable[[str], None], levels: int = _MAX_LEVELS) -> dict[str, Any]:
    """Translate a trigger. `changed` takes what will mean something else. Raises NotTranslated."""
    if not isinstance(trigger, dict):
        raise NotTranslated("the trigger must be an object")
    kind = trigger.get("type") or ("event" if "triggers" not in trigger else "compound")
    if kind == "event":
        values.only_known(trigger, _EVENT_KEYS, "the trigger")
        return _event(trigger, changed)
    if kind not in ("compound", "sequence"):
        raise NotTranslated(f"a trigger of type `{kind}` has no counterpart")
    if not levels:
        raise NotTranslated(f"triggers are nested more than {_MAX_LEVELS} levels deep")
    values.only_known(trigger, _COMPOUND_KEYS if kind == "compound" else _SEQUENCE_KEYS, "the trigger")
    children = trigger.get("triggers")
    if not isinstance(children, list) or not children:
        raise NotTranslated(f"a {kind} trigger needs `triggers`, a list")
    inner = [translate(child, changed, levels - 1) for child in children]
    return _compound(trigger, inner) if kind == "compound" else _in_order(trigger, inner)


def _event(trigger: dict[str, Any], changed: Callable[[str], None]) -> dict[str, Any]:
    posture = str(trigger.get("posture") or "Reactive").lower()
    if posture not in ("reactive", "proactive"):
        raise NotTranslated(f"the posture `{trigger['posture']}` has no counterpart")
    threshold = trigger.get("threshold", 1)
    if isinstance(threshold, bool) or not isinstance(threshold, int):
        raise NotTranslated("`threshold` must be a whole number")
    if "within" in trigger and trigger["within"] is None:
        raise NotTranslated("`within` must not be null")
    within = values.duration(trigger.get("within", 0), "within")
    events = Events(trigger)
    found = _proactive(events, threshold, within) if posture == "proactive" else _reactive(events, threshold, within)
    if posture == "reactive" and threshold < 1:
        changed(f"a `threshold` of {threshold} is read as 1: the first event that is expected fires")
    parts = key_parts(trigger.get("for_each"))
    if parts:
        found["for_each"] = parts
    return found


def _reactive(events: Events, threshold: int, within: Micros) -> dict[str, Any]:
    count = max(1, threshold)
    if count == 1 and not within and not events.after:
        plain = events.as_filter()
        if plain is not None:
            return {"match": plain}
    found: dict[str, Any] = {"bucket": events.as_named(), "reaches": count}
    if within:
        found["within"] = durations.show(within)
    return found


def _proactive(events: Events, threshold: int, within: Micros) -> dict[str, Any]:
    if threshold < 1:
        raise NotTranslated(f"a proactive trigger with a `threshold` of {threshold} can never fire")
    if 0 < within < _LEAST_PROACTIVE:
        raise NotTranslated("`within` of a proactive trigger must be at least 10 seconds")
    return {
        "bucket": events.as_named(),
        "fewer_than": threshold,
        "within": durations.show(within or _LEAST_PROACTIVE),
    }


def _compound(trigger: dict[str, Any], inner: list[dict[str, Any]]) -> dict[str, Any]:
    require = trigger.get("require", "all")
    needed: Any = {"any": 1, "all": len(inner)}.get(str(require), require)
    if isinstance(needed, bool) or not isinstance(needed, int) or not 1 <= needed <= len(inner):
        raise NotTranslated(f"`require` must be `any`, `all` or 1 to {len(inner)}")
    if needed == 1:
        return {"any": inner, **_common_keys(inner)}
    if needed == len(inner):
        return {"all": inner, **_window(trigger), **_common_keys(inner)}
    return {"at_least": needed, "of": inner, **_window(trigger), **_common_keys(inner)}


def _in_order(trigger: dict[str, Any], inner: list[dict[str, Any]]) -> dict[str, Any]:
    if len(inner) == 1:
        return {"any": inner, **_common_keys(inner)}
    return {"sequence": inner, **_window(trigger), "time": "occurred", **_common_keys(inner)}


def _window(trigger: dict[str, Any]) -> dict[str, Any]:
    if trigger.get("within") is None:
        return {}
    within = values.duration(trigger["within"], "within")
    if not within:
        raise NotTranslated("a `within` of 0 leaves no time for more than one trigger to fire")
    return {"within": durations.show(within), "edge": "closed"}


def _common_keys(inner: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the outer trigger the keys that all inner ones share, so that they fire for the same thing."""
    parts = [part for part in inner[0].get("for_each", []) if all(part in each.get("for_each", []) for each in inner)]
    return {"for_each": parts} if parts else {}
