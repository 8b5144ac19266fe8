"""The tree a template is compiled to. Evaluating it can read the context and nothing else.

There are no loops, so the work is bounded by the template's size times what one step may touch; the budget bounds that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from airside.coordinator.templates.filters import Filter
from airside.coordinator.templates.limits import Budget
from airside.coordinator.templates.values import as_text


@dataclass(frozen=True, slots=True)
class Scope:
    """What a template is rendered with."""

    context: Mapping[str, Any]
    budget: Budget


class Expression(Protocol):
    """A part of a template that has a value."""

    def evaluate(self, scope: Scope) -> Any:
        """Give the value; None for what is not there."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """`"text"`, `3`, `true`."""

    value: str | int | float | bool | None

    def evaluate(self, scope: Scope) -> Any:
        """Give the constant."""
        return self.value


@dataclass(frozen=True, slots=True)
class Variable:
    """The first name of a path: `event`."""

    name: str

    def evaluate(self, scope: Scope) -> Any:
        """Look the name up in the context."""
        return scope.context.get(self.name)


@dataclass(frozen=True, slots=True)
class Item:
    """A step of a path: `.name`, `["a name"]`, `[0]`. Only keys and indexes; never an attribute of an object."""

    base: Expression
    key: str | int

    def evaluate(self, scope: Scope) -> Any:
        """Follow the key."""
        base = self.base.evaluate(scope)
        if isinstance(base, dict):
            return base.get(str(self.key))
        if isinstance(base, list) and isinstance(self.key, int) and -len(base) <= self.key < len(base):
            return base[self.key]
        return None


@dataclass(frozen=True, slots=True)
class Filtered:
    """`value | filter(arguments)`."""

    value: Expression
    filter: Filter
    arguments: tuple[Expression, ...]

    def evaluate(self, scope: Scope) -> Any:
        """Apply the filter, and pay for what goes in and comes out."""
        value = self.value.evaluate(scope)
        arguments = [argument.evaluate(scope) for argument in self.arguments]
        scope.budget.spend(_size(value))
        result = self.filter.function(value, *arguments)
        scope.budget.spend(_size(result))
        return result


@dataclass(frozen=True, slots=True)
class Comparison:
    """`a < b`, and chains of them."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]

    def evaluate(self, scope: Scope) -> bool:
        """Tell whether every link of the chain holds; what cannot be compared does not."""
        left = self.first.evaluate(scope)
        for operator, expression in self.rest:
            right = expression.evaluate(scope)
            scope.budget.spend(1 + _size(left) + _size(right))
            if not OPERATORS[operator](left, right):
                return False
            left = right
        return True


@dataclass(frozen=True, slots=True)
class Logic:
    """`a and b`, `a or b`: as in Python, the value that decided."""

    both: bool
    left: Expression
    right: Expression

    def evaluate(self, scope: Scope) -> Any:
        """Give the deciding value."""
        left = self.left.evaluate(scope)
        return self.right.evaluate(scope) if bool(left) is self.both else left


@dataclass(frozen=True, slots=True)
class Negation:
    """`not a`."""

    value: Expression

    def evaluate(self, scope: Scope) -> bool:
        """Give the opposite."""
        return not self.value.evaluate(scope)


@dataclass(frozen=True, slots=True)
class Choice:
    """`{% if %}`: the first branch whose condition holds."""

    branches: tuple[tuple[Expression, "Body"], ...]
    otherwise: "Body"

    def chosen(self, scope: Scope) -> "Body":
        """Give the branch to render."""
        return next((body for test, body in self.branches if test.evaluate(scope)), self.otherwise)


@dataclass(frozen=True, slots=True)
class Literal:
    """Text between the braces."""

    text: str


@dataclass(frozen=True, slots=True)
class Output:
    """`{{ expression }}`."""

    expression: Expression


Body = tuple[Literal | Output | Choice, ...]


def _size(value: Any) -> int:
    """Estimate what a step over this value costs; what is inside objects is paid for when it is written."""
    return len(value) if isinstance(value, str | list | dict) else 1


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _equal(left: Any, right: Any) -> bool:
    """Compare plain values; lists and objects are never equal, for comparing them has no bound."""
    return _plain(left) and _plain(right) and left == right and isinstance(left, bool) is isinstance(right, bool)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Let only number meet number and text meet text."""

    def check(left: Any, right: Any) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return compare(left, right)
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        return numbers and compare(left, right)

    return check


def _within(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    if isinstance(right, dict):
        return isinstance(left, str) and left in right
    return isinstance(right, list) and any(_equal(left, entry) for entry in right)


OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": _equal,
    "ne": lambda left, right: not _equal(left, right),
    "lt": _ordered(lambda left, right: left < right),
    "lteq": _ordered(lambda left, right: left <= right),
    "gt": _ordered(lambda left, right: left > right),
    "gteq": _ordered(lambda left, right: left >= right),
    "in": _within,
    "notin": lambda left, right: not _within(left, right),
}


def write(value: Any, budget: Budget) -> str:
    """Write a value into the text, and pay for it."""
    text = as_text(value)
    budget.spend(len(text))
    return text
