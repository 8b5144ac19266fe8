"""What stands below the names of a template's context, as far as that is settled: payloads and labels are not."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from jinja2 import nodes as jinja

from airside.events.model import Event, RelatedResource, Resource
from airside.triggers.firing import Firing

#: An object with these members and no others; a list of such; or None for whatever may be anything.
Shape: TypeAlias = "Mapping[str, Shape] | list[Shape] | None"

_PLAIN: Final[Shape] = {}


def _members(names: Any, **known: Shape) -> dict[str, Shape]:
    return {**dict.fromkeys(names, _PLAIN), **known}


_RESOURCE: Final = _members(Resource.model_fields, labels=None)
_RELATED: Final = _members(RelatedResource.model_fields, labels=None)
_EVENT: Final = _members(Event.model_fields, resource=_RESOURCE, related=[_RELATED], payload=None, causes=[_PLAIN])
_OPEN_IN_FIRING: Final = ("key", "clause", "events", "left_out")

#: By name in the context of an action.
SHAPES: Final[Mapping[str, Shape]] = {
    "automation": _members(("name", "revision", "severity", "description")),
    "event": _EVENT,
    "events": [_EVENT],
    "firing": {
        **_members(name for name in Firing.__struct_fields__ if name != "actions"),
        **dict.fromkeys(_OPEN_IN_FIRING),
        "window": _members(("start", "end", "blind_for")),
    },
    "key": None,
    "late_by": _PLAIN,
    "resource": _RESOURCE,
    "run": _RELATED,
    "window": _members(("start", "end", "blind_for")),
}


def unknown(tree: jinja.Template, shapes: Mapping[str, Shape] = SHAPES) -> Iterator[tuple[int, str]]:
    """Find paths that no context has: the line in the template, and what is there instead."""
    for node in tree.find_all((jinja.Getattr, jinja.Getitem)):
        if not isinstance(node, jinja.Getattr | jinja.Getitem):
            continue
        key, shape = _key(node), _shape(node.node, shapes)
        if key is None or shape is None or _step(shape, key) != ():
            continue
        yield node.lineno, _message(_path(node.node), shape, key)


def _shape(node: jinja.Node, shapes: Mapping[str, Shape]) -> Shape:
    if isinstance(node, jinja.Name):
        return shapes.get(node.name)
    if not isinstance(node, jinja.Getattr | jinja.Getitem):
        return None
    key, shape = _key(node), _shape(node.node, shapes)
    found = None if key is None or shape is None else _step(shape, key)
    return None if found == () else found  # type: ignore[return-value]


def _step(shape: Mapping[str, Shape] | list[Shape], key: str | int) -> "Shape | tuple[()]":
    """Follow a key; an empty tuple where there is none."""
    if isinstance(shape, list):
        return shape[0] if isinstance(key, int) else ()
    return shape.get(str(key), ())


def _key(node: jinja.Getattr | jinja.Getitem) -> str | int | None:
    if isinstance(node, jinja.Getattr):
        return int(node.attr) if node.attr.isdecimal() else node.attr
    is_negative = isinstance(node.arg, jinja.Neg)
    argument = node.arg.node if isinstance(node.arg, jinja.Neg) else node.arg
    if not isinstance(argument, jinja.Const) or not isinstance(argument.value, str | int):
        return None
    return -int(argument.value) if is_negative else argument.value


def _path(node: jinja.Node) -> str:
    if isinstance(node, jinja.Getattr | jinja.Getitem):
        key = _key(node)
        return f"{_path(node.node)}[{key}]" if isinstance(key, int) else f"{_path(node.node)}.{key}"
    return node.name if isinstance(node, jinja.Name) else "it"


def _message(path: str, shape: Mapping[str, Shape] | list[Shape], key: str | int) -> str:
    if isinstance(shape, list):
        return f"`{path}` is a list and has no `{key}`; write {path}[0] or {path} | last"
    if not shape:
        return f"`{path}` is a plain value and has no `{key}`"
    close = difflib.get_close_matches(str(key), list(shape), n=1)
    if close:
        return f"`{path}` has no `{key}`; did you mean `{path}.{close[0]}`?"
    there = f"`{path}` has no `{key}`; there is {', '.join(sorted(shape))}"
    return f"{there}. What its sender said is in `{path}.payload`" if "payload" in shape else there
