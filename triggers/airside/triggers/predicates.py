"""What `where` may ask of a value in the payload: `{gt: 0}`, `{in: [a, b]}`, `{matches: "^ERR"}`.

Comparisons never fail: values of different types are unequal and not ordered; `true` is no number.
A predicate holds when any value that the path finds satisfies it. Where the path finds nothing,
only `exists: false`, `ne` and `not_in` hold. Several operators on one path must all hold.
"""

import operator
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from airside.triggers import globs

Test: TypeAlias = Callable[[Any], bool]
_MANY: Final = 32  # from here on `in` looks texts up in a set


def equal(left: Any, right: Any) -> bool:
    """Tell whether two JSON values are the same, `true` and `1` being different."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return bool(left == right)


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def build(operand: Any) -> Test:
        if _is_number(operand):
            return lambda value: (type(value) is int or type(value) is float) and compare(value, operand)
        if isinstance(operand, str):
            return lambda value: type(value) is str and compare(value, operand)
        raise ValueError("compares numbers with numbers and text with text; give one of them")

    return build


def _one_of(operand: Any) -> Test:
    if not isinstance(operand, list):
        raise ValueError("must be a list of values")
    if len(operand) >= _MANY and all(isinstance(item, str) for item in operand):
        texts = frozenset(operand)
        return lambda value: type(value) is str and value in texts
    return lambda value: any(equal(value, item) for item in operand)


def _between(operand: Any) -> Test:
    if not isinstance(operand, list) or len(operand) != 2:
        raise ValueError("must be a list of two: the lowest and the highest value")
    low, high = operand
    if not (_is_number(low) and _is_number(high)) and not (isinstance(low, str) and isinstance(high, str)):
        raise ValueError("must be two numbers or two texts")
    at_least, at_most = _OPERATORS["gte"](low), _OPERATORS["lte"](high)
    return lambda value: at_least(value) and at_most(value)


def _contains(operand: Any) -> Test:
    def contains(value: Any) -> bool:
        if type(value) is list:
            return any(equal(item, operand) for item in value)
        return type(operand) is str and type(value) in (str, dict) and operand in value

    return contains


def _on_text(compile_pattern: Callable[[str], globs.TextTest]) -> Callable[[Any], Test]:
    def build(operand: Any) -> Test:
        if not isinstance(operand, str):
            raise ValueError("must be text")
        test = compile_pattern(globs.check_length(operand))
        return lambda value: type(value) is str and test(value)

    return build


def _not(build: Callable[[Any], Test]) -> Callable[[Any], Test]:
    def negated(operand: Any) -> Test:
        test = build(operand)
        return lambda value: not test(value)

    return negated


def _equal_to(operand: Any) -> Test:
    if isinstance(operand, str):
        return lambda value: type(value) is str and value == operand
    return lambda value: equal(value, operand)


def _exists(operand: Any) -> Test:
    if not isinstance(operand, bool):
        raise ValueError("must be true or false")
    return lambda value: operand


_OPERATORS: Final[dict[str, Callable[[Any], Test]]] = {
    "eq": _equal_to,
    "ne": _not(_equal_to),
    "lt": _ordered(operator.lt),
    "lte": _ordered(operator.le),
    "gt": _ordered(operator.gt),
    "gte": _ordered(operator.ge),
    "in": _one_of,
    "not_in": _not(_one_of),
    "exists": _exists,
    "matches": _on_text(globs.compile_regex),
    "glob": _on_text(globs.compile_glob),
    "contains": _contains,
    "between": _between,
}
OPERATORS: Final = tuple(_OPERATORS)


def compile_operator(name: str, operand: Any) -> Callable[[list[Any]], bool]:
    """Turn one operator into a test of the values that a path found. Raises ValueError for a bad operand."""
    test = _OPERATORS[name](operand)
    if name == "exists":
        return lambda values: bool(values) is operand
    if_none = name in ("ne", "not_in")

    def holds(values: list[Any]) -> bool:
        for value in values:  # half the time of any()
            if test(value):
                return True
        return if_none and not values

    return holds
