"""What applying a document would make of a deployment. Pure."""

from collections.abc import Mapping
from typing import Any

from airside.events.deployments import Deployment


def wanted(before: Mapping[str, Any] | None, document: Deployment) -> dict[str, Any]:
    """Write the document as it will be: what was paused, and does not say itself that it is enabled, stays so."""
    written = document.to_document()
    if before is None:
        return written
    if "enabled" not in document.model_fields_set:
        written = _switched(written, before)
    old = {_name(one): one for one in before.get("schedules", [])}
    told = {one.name for one in document.schedules if "enabled" in one.model_fields_set}
    schedules = [
        one if _name(one) in told else _switched(one, old.get(_name(one), {})) for one in written.get("schedules", [])
    ]
    return {**written, "schedules": schedules} if schedules else written


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the fields that differ, each with what it was and what it becomes; schedules by their names."""
    found: list[dict[str, Any]] = []
    one, other = _by_name(before), _by_name(after)
    for field in sorted({*one, *other}):
        if one.get(field) != other.get(field):
            entry: dict[str, Any] = {"field": field}
            entry |= {"before": one[field]} if field in one else {}
            found.append(entry | ({"after": other[field]} if field in other else {}))
    return found


def _by_name(document: Mapping[str, Any]) -> dict[str, Any]:
    """Give a document's fields, one for each schedule, storage setting and parameter."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        if key == "schedules":
            found |= {f"schedules.{_name(one)}": one for one in value}
        elif key in ("storage", "infrastructure", "parameters") and isinstance(value, Mapping):
            found |= {f"{key}.{name}": entry for name, entry in value.items()}
        else:
            found[key] = value
    return found


def _switched(written: dict[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Leave it on or off as that one is. `enabled` is written only where it is false: true is the default."""
    rest = {key: value for key, value in written.items() if key != "enabled"}
    return rest if like.get("enabled", True) else {**rest, "enabled": False}


def _name(schedule: Mapping[str, Any]) -> str:
    return str(schedule.get("name", "schedule"))
