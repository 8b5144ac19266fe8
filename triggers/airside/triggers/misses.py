"""Which part of a filter an event did not meet, and what was found instead."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from airside.triggers import matching, paths, predicates
from airside.triggers.entry import Entry
from airside.triggers.filters import Filter, ResourceFilter

_MAX_SHOWN: Final = 5  # values or related resources that a sentence names


class Miss(msgspec.Struct, frozen=True):
    """The first part of a filter that did not hold. `part` is like `where.$.rows`, `message` a sentence."""

    part: str
    wanted: Any
    found: Any
    message: str


class Probe:
    """Asks a filter part by part. Slower than `matching.compile_filter`, and of the same opinion."""

    def __init__(self, spec: Filter) -> None:
        self._spec = spec
        self._holds = matching.compile_filter(spec)
        self._checks = list(_checks(spec))
        #: Whether an event's type alone lets it pass the filter's types.
        self.takes_type = _part_test(spec, "type") if spec.type else _always

    def miss(self, entry: Entry) -> Miss | None:
        """Give the first part that does not hold, None when the filter holds."""
        if self._holds(entry):
            return None
        return next(filter(None, (check(entry) for check in self._checks)), None)


def _always(entry: Entry) -> bool:
    return True


def _part_test(spec: Filter, part: str) -> matching.EntryTest:
    """Compile one part of a filter alone."""
    empty: dict[str, Any] = {"type": (), "resource": (), "related": (), "source": (), "where": {}}
    return matching.compile_filter(spec.model_copy(update={**empty, part: getattr(spec, part)}))


def _checks(spec: Filter) -> Iterator[Callable[[Entry], Miss | None]]:
    if spec.type:
        yield _check(spec, "type", list(spec.type), lambda entry: entry.event.type)
    if spec.resource:
        yield _check(spec, "resource", _plain(spec.resource), lambda entry: msgspec.to_builtins(entry.event.resource))
    if spec.source:
        yield _check(spec, "source", list(spec.source), lambda entry: entry.event.source)
    if spec.related:
        yield _check(spec, "related", _plain(spec.related), lambda entry: msgspec.to_builtins(entry.event.related))
    for path, predicate in spec.where.items():
        for operator, operand in predicate.items():
            yield _value_check(path, operator, operand)


def _plain(alternatives: tuple[ResourceFilter, ...]) -> list[Any]:
    return [each.model_dump(mode="json", exclude_defaults=True) for each in alternatives]


def _check(spec: Filter, part: str, wanted: Any, found_in: Callable[[Entry], Any]) -> Callable[[Entry], Miss | None]:
    test = _part_test(spec, part)

    def check(entry: Entry) -> Miss | None:
        if test(entry):
            return None
        found = found_in(entry)
        return Miss(part, wanted, found, f"{part} must be {_any(wanted)}, and is {_name(found)}")

    return check


def _value_check(path: str, operator: str, operand: Any) -> Callable[[Entry], Miss | None]:
    values_of = paths.compile_path(path)
    holds = predicates.compile_operator(operator, operand)

    def check(entry: Entry) -> Miss | None:
        values = values_of(entry.payload)
        if holds(values):
            return None
        found = ", ".join(map(_name, values[:_MAX_SHOWN])) if values else "not there"
        return Miss(
            f"where.{path}",
            {operator: operand},
            values[:_MAX_SHOWN],
            f"{path} must be {operator} {operand!r}, and is {found}",
        )

    return check


def _any(wanted: Any) -> str:
    names = [_name(each) for each in wanted]
    more = f" or {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return " or ".join(names[:_MAX_SHOWN]) + more


def _name(value: Any) -> str:
    """Name a value in a sentence: a resource by its id and what else tells it apart."""
    if isinstance(value, list | tuple) and all(isinstance(each, dict) for each in value):
        return ", ".join(_name(each) for each in value[:_MAX_SHOWN]) or "nothing"
    if not isinstance(value, dict):
        return value if isinstance(value, str) else repr(value)
    parts = []
    for name, each in value.items():
        if name == "labels":
            parts += [f"{label}={_flat(text)}" for label, text in each.items()]
        elif each:
            parts.append(_flat(each) if name == "id" else f"{name}={_flat(each)}")
    return " ".join(parts) or "nothing"


def _flat(value: Any) -> str:
    return "|".join(value) if isinstance(value, list | tuple) else str(value)
