"""What applying a file of automations would change, field by field."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from airside.events import redaction
from airside.triggers.model import Automation
from airside.triggers.rule import same_trigger

Change = Literal["created", "updated", "unchanged", "not in the file"]
_NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One value that would be another. `before` or `after` is None where it is not written."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {_text(self.before)} -> {_text(self.after)}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What would become of one automation. `windows` says what happens to windows that are open."""

    name: str
    change: Change
    revision: int | None
    windows: Literal["kept", "closed"] | None = None
    fields: list[FieldChange] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Give the difference as a JSON object."""
        return asdict(self)


def differences(automations: Sequence[Automation], present: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """Compare a file with what the server has, given as `GET /api/automations` lists it. In the order of the file."""
    by_name = {item["name"]: item for item in present}
    found = [_difference(each, by_name.get(each.name)) for each in automations]
    names = {each.name for each in automations}
    left = [item for item in present if item["name"] not in names]
    return found + [Difference(item["name"], "not in the file", item["revision"]) for item in left]


def _difference(automation: Automation, present: Mapping[str, Any] | None) -> Difference:
    if present is None:
        return Difference(automation.name, "created", None)
    before, after = present["document"], redaction.document(automation.to_document())
    if before == after:
        return Difference(automation.name, "unchanged", present["revision"])
    changes = list(_changes("", before, after))
    if automation.enabled and not present["enabled"] and before.get("enabled", True):
        changes.append(FieldChange("enabled", "switched off by hand", True))
    return Difference(automation.name, "updated", present["revision"], _windows(automation, present), changes)


def _windows(automation: Automation, present: Mapping[str, Any]) -> Literal["kept", "closed"] | None:
    """Open windows stay when the trigger says the same and the rule runs before and after."""
    if not present["enabled"]:
        return None
    try:
        was = Automation.from_document(present["document"])
    except ValueError:
        return "closed"
    return "kept" if automation.enabled and same_trigger(was, automation) else "closed"


def _changes(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            inner = f"{path}.{name}" if path else str(name)
            yield from _changes(inner, before.get(name, _NOTHING), after.get(name, _NOTHING))
    elif isinstance(before, list) and isinstance(after, list) and _has_objects(before + after):
        for number in range(max(len(before), len(after))):
            old = before[number] if number < len(before) else _NOTHING
            yield from _changes(f"{path}[{number}]", old, after[number] if number < len(after) else _NOTHING)
    elif before != after:
        yield FieldChange(path, _given(before), _given(after))


def _has_objects(values: list[Any]) -> bool:
    return any(isinstance(value, dict) for value in values)


def _given(value: Any) -> Any:
    return None if value is _NOTHING else value


def _text(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
