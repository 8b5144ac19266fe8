"""Which events: `expect`, `after`, `match` and `match_related`, as a filter of ours where that says exactly the same.

Where it does not (several related resources at once, any of several patterns of which one is negated, wildcards in the
middle of a name), the parts become a `bucket`, whose patterns are read as there.
"""

from typing import Any, Final, TypeAlias

from airside.events.model import is_type
from airside.triggers.importing import values
from airside.triggers.importing.report import NotTranslated

ID: Final = "prefect.resource.id"
ROLE: Final = "prefect.resource.role"

Labels: TypeAlias = dict[str, list[str]]


class Events:
    """The parts of an event trigger that say which events it is about."""

    def __init__(self, trigger: dict[str, Any]) -> None:
        self.expect = sorted(values.texts(trigger.get("expect"), "expect"))
        self.after = sorted(values.texts(trigger.get("after"), "after"))
        for name in (*self.expect, *self.after):
            if not is_type(name.replace("*", "x")):
                raise NotTranslated(f"`{name}` cannot be the type of an event: it must be words between dots")
        self.match = _labels(trigger.get("match"), "match")
        related = trigger.get("match_related") or []
        parts = related if isinstance(related, list) else [related]
        self.related = [found for part in parts if (found := _labels(part, "match_related"))]

    def as_filter(self) -> dict[str, Any] | None:
        """Give the expected events as a filter, or None when none says exactly the same."""
        types = [_type_pattern(name) for name in self.expect] or [">"]
        if None in types or len(self.related) > 1 or any(_negated(part) for part in self.related):
            return None
        found: dict[str, Any] = {"type": _alone(types)}
        if self.match:
            resource = _as_resource(self.match)
            if resource is None:
                return None
            found["resource"] = resource
        for part in self.related:
            related = _as_resource(part, with_role=True)
            if related is None:
                return None
            found["related"] = related
        return found

    def as_named(self) -> dict[str, Any]:
        """Give all of it as a bucket says it."""
        found: dict[str, Any] = {}
        for key, names in (("expect", self.expect), ("after", self.after)):
            if names:
                found[key] = _alone(names)
        if self.match:
            found["resource"] = _placed(self.match)
        if self.related:
            found["related"] = [_placed(part, with_role=True) for part in self.related]
        return found


def key_parts(labels: Any) -> list[str]:
    """Translate `for_each`."""
    return [_key_part(label) for label in sorted(values.texts(labels, "for_each"))]


def _key_part(label: str) -> str:
    head, _, rest = label.partition(":")
    role, _, name = rest.rpartition(":")
    if head != "related" or not role:
        return "resource.id" if label == ID else f"resource.labels.{label}"
    if "." in role:
        raise NotTranslated(f"`for_each`: a role with a dot cannot be part of a key: {role}")
    return f"related.{role}.id" if name == ID else f"related.{role}.labels.{name}"


def _labels(part: Any, where: str) -> Labels:
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise NotTranslated(f"`{where}` must be an object of labels")
    found = {str(label): values.texts(patterns, f"{where}.{label}") for label, patterns in part.items()}
    for label, patterns in found.items():
        if not patterns:
            raise NotTranslated(f"`{where}.{label}` lists no value, so that nothing can match")
    return found


def _type_pattern(name: str) -> str | None:
    """Translate a name whose wildcard stands for whole words at the end."""
    if "*" not in name:
        return name
    if name == "*":
        return ">"
    prefix = name.removesuffix(".*")
    return f"{prefix}.>" if "*" not in prefix and prefix != name else None


def _negated(part: Labels) -> bool:
    return any(pattern.startswith("!") for patterns in part.values() for pattern in patterns)


def _as_resource(part: Labels, *, with_role: bool = False) -> Any:
    """Give labels as a filter's resource: texts stand for an id alone."""
    for patterns in part.values():
        if any("[" in pattern or not pattern.removeprefix("!") for pattern in patterns):
            return None
        if len(patterns) > 1 and any(pattern.startswith("!") for pattern in patterns):
            return None
    placed = _placed(part, with_role=with_role)
    for key, patterns in placed.get("labels", {}).items():
        if isinstance(patterns, str) and patterns.startswith("!"):
            placed["labels"][key] = ["*", patterns]  # here, too, a label that is missing is no match
    return placed["id"] if list(placed) == ["id"] else placed


def _placed(part: Labels, *, with_role: bool = False) -> dict[str, Any]:
    """Put each label where it is on our log: the id, the role, or among the labels."""
    found: dict[str, Any] = {}
    for label, patterns in part.items():
        if label == ID:
            found["id"] = _alone(patterns)
        elif label == ROLE and with_role:
            found["role"] = _alone(patterns)
        else:
            found.setdefault("labels", {})[label] = _alone(patterns)
    return found


def _alone(found: list[Any]) -> Any:
    return found[0] if len(found) == 1 else found
