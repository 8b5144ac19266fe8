"""What is expected of a number or of a JSON body: `>0`, `$.status==ok`. Pure."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jsonpath_ng
import orjson
from jsonpath_ng.parser import JsonPathParser

from airside.agent.watching.watcher import WatchRefused

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_COMPARISON = re.compile(r"\s*(==|!=|>=|<=|>|<)\s*(\S.{0,200})")
_MAX_PATH_CHARS: Final = 200
#: Steps of a path that cost no more than the body is long.
_STEPS: Final = (jsonpath_ng.Root, jsonpath_ng.Child, jsonpath_ng.Fields, jsonpath_ng.Index)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison with a value. Values of different kinds are unequal, and neither is larger."""

    operator: str
    value: Any

    def __str__(self) -> str:
        return f"{self.operator} {self.value}"

    def holds(self, found: Any) -> bool:
        """Tell whether the value that was found is as expected."""
        if _kind(found) is not _kind(self.value):
            return self.operator == "!="
        return _OPERATORS[self.operator](found, self.value)


@dataclass(frozen=True, slots=True)
class BodyExpectation:
    """What each value at a path of a JSON body must be; at least one must be there."""

    path: str
    comparison: Comparison

    def __str__(self) -> str:
        return f"{self.path} {self.comparison}"

    def problem(self, body: bytes) -> str:
        """Say what is not as expected; "" when all is. Values of the body are not told: they may be anything."""
        try:
            decoded = orjson.loads(body)
        except orjson.JSONDecodeError:
            return "the body is no JSON"
        found = [match.value for match in JsonPathParser().parse(self.path).find(decoded)]
        if not found:
            return f"the body has no {self.path}"
        return "" if all(map(self.comparison.holds, found)) else f"the body's {self.path} is not {self.comparison}"


def comparison(text: str, name: str) -> Comparison:
    """Read `>0`, `== ok` and the like; a value that is no JSON is text. Raises WatchRefused naming the option."""
    found = _COMPARISON.fullmatch(text)
    if found is None:
        raise WatchRefused(f"{name}: `{text}` must be one of {' '.join(_OPERATORS)} and a value, as `>0`")
    value = _value(found[2].strip())
    if found[1] not in ("==", "!=") and _kind(value) not in (float, str):
        raise WatchRefused(f"{name}: `{text}`: only numbers and texts are larger or smaller")
    return Comparison(found[1], value)


def body_expectation(text: str, name: str) -> BodyExpectation:
    """Read `$.status==ok`. Raises WatchRefused naming the option."""
    path = re.split(r"\s*[=!<>]", text, maxsplit=1)[0]
    try:
        tree = JsonPathParser().parse(path[:_MAX_PATH_CHARS])
    except Exception as error:
        raise WatchRefused(f"{name}: `{path}` is no JSONPath, as $.checks.database") from error
    if not path.startswith("$") or len(path) > _MAX_PATH_CHARS or not _is_plain(tree):
        raise WatchRefused(f"{name}: `{path}` must be of fields and indexes, as $.checks[0].state")
    return BodyExpectation(path, comparison(text[len(path) :], name))


def _is_plain(tree: Any) -> bool:
    if isinstance(tree, jsonpath_ng.Child):
        return _is_plain(tree.left) and _is_plain(tree.right)
    return isinstance(tree, _STEPS)


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _kind(value: Any) -> type:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float
    return type(value)
