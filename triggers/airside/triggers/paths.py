"""JSONPath, cut down to what cannot hang: fields, indexes, slices and wildcards, compiled to plain getters.

jsonpath-ng parses; nothing of it runs on an event. A path yields every value it finds.
"""

import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, TypeAlias

from jsonpath_ng import jsonpath
from jsonpath_ng.parser import parse as parse_path

Getter: TypeAlias = Callable[[Any], list[Any]]
_Step: TypeAlias = Callable[[list[Any]], list[Any]]

MAX_PATH_CHARS: Final = 500
MAX_PATH_STEPS: Final = 32
MAX_VALUES: Final = 10_000  # values of one step that are looked at; wildcards can multiply
_KNOWN: Final = "only fields, [0], [1:3] and * are taken, as in $.tables[*].rows"


@lru_cache(maxsize=4_096)
def compile_path(path: str) -> Getter:
    """Turn a JSONPath that starts with `$` into a function from a JSON value to the list of values found.

    Raises ValueError for what it does not take: `..`, filters, functions, unions.
    """
    if not path.startswith("$"):
        raise ValueError("a JSONPath starts with `$`, as in $.rows")
    if len(path) > MAX_PATH_CHARS:
        raise ValueError(f"a JSONPath has at most {MAX_PATH_CHARS} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = parse_path(path)
    except Exception as error:  # noqa: BLE001  # its lexer and parser raise plain Exception subclasses
        raise ValueError(f"not a JSONPath we take ({error}): {_KNOWN}") from None
    steps = list(_steps(tree))
    if len(steps) > MAX_PATH_STEPS:
        raise ValueError(f"a JSONPath has at most {MAX_PATH_STEPS} steps")
    fields = [step.fields[0] for step in steps if _is_plain_field(step)]
    if len(fields) == len(steps):
        return _field_getter(fields)
    return _general_getter([_compile_step(step) for step in steps])


def _steps(node: Any) -> Iterator[Any]:
    """Walk the left-leaning tree of Child nodes from the root outwards."""
    pending = []
    while isinstance(node, jsonpath.Child):
        pending.append(node.right)
        node = node.left
    if not isinstance(node, jsonpath.Root):
        raise ValueError(f"not a JSONPath we take: {_KNOWN}")
    for step in reversed(pending):
        if type(step) not in (jsonpath.Fields, jsonpath.Index, jsonpath.Slice, jsonpath.Wildcard):
            raise ValueError(f"`{step}` is not taken in a JSONPath: {_KNOWN}")
        if type(step) is jsonpath.Slice and step.step == 0:
            raise ValueError("a slice in a JSONPath cannot have the step 0")
        yield step


def _is_plain_field(step: Any) -> bool:
    return type(step) is jsonpath.Fields and len(step.fields) == 1 and step.fields[0] != "*"


def _field_getter(fields: list[str]) -> Getter:
    if len(fields) == 1:
        only = fields[0]

        def get_one(value: Any) -> list[Any]:
            return [value[only]] if type(value) is dict and only in value else []

        return get_one

    def get(value: Any) -> list[Any]:
        for field in fields:
            if type(value) is not dict or field not in value:
                return []
            value = value[field]
        return [value]

    return get


def _general_getter(steps: list[_Step]) -> Getter:
    def get(value: Any) -> list[Any]:
        values = [value]
        for step in steps:
            values = step(values)[:MAX_VALUES]
        return values

    return get


def _compile_step(step: Any) -> _Step:
    if type(step) is jsonpath.Index:
        return _index_step(step.indices)
    if type(step) is jsonpath.Slice:
        part = slice(step.start, step.end, step.step)
        return lambda values: [item for value in values if type(value) is list for item in value[part]]
    if type(step) is jsonpath.Fields and "*" not in step.fields:
        names = step.fields
        return lambda values: [
            value[name] for value in values if type(value) is dict for name in names if name in value
        ]
    return _children


def _index_step(indices: tuple[int, ...]) -> _Step:
    return lambda values: [
        value[index]
        for value in values
        if type(value) is list
        for index in indices
        if -len(value) <= index < len(value)
    ]


def _children(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if type(value) is dict:
            found += value.values()
        elif type(value) is list:
            found += value
    return found
