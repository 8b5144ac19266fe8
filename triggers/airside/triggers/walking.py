"""Every filter and every trigger inside a trigger, found by its type, so that new kinds need not be listed."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from pydantic import BaseModel

from airside.triggers.filters import Filter
from airside.triggers.kinds import TriggerSpec

Place: TypeAlias = tuple[str | int, ...]


def filters_in(spec: TriggerSpec) -> Iterator[tuple[Place, Filter]]:
    """Give the filters of a trigger and of those inside it, each with the path that leads to it."""
    for place, found in _inside((), spec):
        if isinstance(found, Filter):
            yield place, found


def triggers_in(spec: TriggerSpec) -> Iterator[tuple[Place, TriggerSpec]]:
    """Give a trigger and those inside it, each with the path that leads to it."""
    yield (), spec
    for place, found in _inside((), spec):
        if isinstance(found, TriggerSpec):
            yield place, found


def _inside(place: Place, value: Any) -> Iterator[tuple[Place, BaseModel]]:
    if isinstance(value, BaseModel):
        inner: Iterator[tuple[str | int, Any]] = (
            (field.alias or name, getattr(value, name)) for name, field in type(value).model_fields.items()
        )
    elif isinstance(value, dict):
        inner = iter(value.items())
    elif isinstance(value, tuple | list):
        inner = iter(enumerate(value))
    else:
        return
    for name, each in inner:
        if isinstance(each, BaseModel):
            yield (*place, name), each
        if not isinstance(each, Filter):
            yield from _inside((*place, name), each)
