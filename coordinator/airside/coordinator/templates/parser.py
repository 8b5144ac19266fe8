"""From text to a checked tree: Jinja's parser reads, and whatever is not on our list is refused with its line."""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import jinja2
from jinja2 import nodes as jinja

from airside.coordinator.templates import fields, nodes
from airside.coordinator.templates.filters import FILTERS
from airside.coordinator.templates.template import Template
from airside.events import wall_clock
from airside.events.exceptions import AirsideError

#: Longer texts belong to the receiver. It also bounds how much one template can ask for.
MAX_TEMPLATE_CHARS: Final = 16_384
MAX_NESTING: Final = 32
_CACHED_TEMPLATES: Final = 512
_INT64: Final = 2**63

#: What the context holds. `run` and `resource` are the event's; `late_by` is empty unless something came late.
NAMES: Final = ("automation", "event", "events", "firing", "key", "late_by", "resource", "run", "window")

_ALLOWED: Final = "a text may hold {{ path }}, {{ path | filter }} and {% if %}"
_REFUSED: Final[dict[type[jinja.Node], str]] = {
    jinja.For: "loops are not available",
    jinja.Call: "nothing can be called",
    jinja.Assign: "`set` is not available",
    jinja.AssignBlock: "`set` is not available",
    jinja.With: "`with` is not available",
    jinja.Macro: "macros are not available",
    jinja.CallBlock: "macros are not available",
    jinja.Include: "other templates cannot be included",
    jinja.Import: "other templates cannot be imported",
    jinja.FromImport: "other templates cannot be imported",
    jinja.Extends: "other templates cannot be extended",
    jinja.Block: "blocks are not available",
    jinja.FilterBlock: "write the filter inside the braces: {{ path | upper }}",
    jinja.Slice: "slices are not available; `first`, `last` and `truncate` may do",
    jinja.Concat: "write the two beside each other: {{ a }}{{ b }}",
    jinja.CondExpr: "write {% if %} … {% else %} … {% endif %}",
    jinja.Test: "`is` is not available; `{% if path %}` holds where there is a value",
    jinja.BinExpr: "arithmetic is not available",
    jinja.UnaryExpr: "arithmetic is not available",
    jinja.Tuple: "tuples are not available",
    jinja.List: "lists are not available; write `a == 1 or a == 2`",
    jinja.Dict: "objects are not available",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a template, with the line it stands on, counted from 1."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class TemplateError(AirsideError):
    """The text is not a template that Airside accepts; `problems` says where and why."""

    def __init__(self, found: list[Problem]) -> None:
        self.problems = found
        super().__init__("; ".join(str(problem) for problem in found))


class _Refused(Exception):
    def __init__(self, line: int, message: str) -> None:
        self.problem = Problem(line, message)


# Only ever used to parse: no template of this environment is compiled or rendered.
_environment = jinja2.Environment(keep_trailing_newline=True)  # noqa: S701


@lru_cache(maxsize=_CACHED_TEMPLATES)
def parse(text: str) -> Template:
    """Read and check a template. Raises TemplateError."""
    tree = _read(text)
    compiler = _Compiler()
    body = compiler.body(tree.body, depth=0)
    if compiler.problems:
        raise TemplateError(compiler.problems)
    return Template(body, frozenset(name.name for name in tree.find_all(jinja.Name)))


def problems(text: str, names: tuple[str, ...] = NAMES) -> list[Problem]:
    """Find what is wrong with a template, including names and fields that no context holds."""
    try:
        parse(text)
    except TemplateError as error:
        return error.problems
    tree = _read(text)
    found = list(_unknown_names(tree, names))
    if names is NAMES:
        found += [Problem(line, message) for line, message in fields.unknown(tree)]
    return found


def _read(text: str) -> jinja.Template:
    if len(text) > MAX_TEMPLATE_CHARS:
        raise TemplateError([Problem(1, f"{len(text):,} characters; at most {MAX_TEMPLATE_CHARS:,} are taken")])
    try:
        return _environment.parse(text)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError([Problem(error.lineno, f"{error.message}; {_ALLOWED}")]) from error
    except RecursionError as error:
        raise TemplateError([Problem(1, "nested too deeply")]) from error
    except ValueError as error:  # a number of more than 4,300 digits
        raise TemplateError([Problem(1, f"not a usable number: {error}")]) from error


def _unknown_names(tree: jinja.Template, names: tuple[str, ...]) -> Iterator[Problem]:
    for name in tree.find_all(jinja.Name):
        if name.name not in names:
            yield Problem(name.lineno, f"there is no `{name.name}`{_meant(name.name, names)}")


def _meant(word: str, words: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; there is {', '.join(words)}"


class _Compiler:
    """Turns Jinja's tree into ours and collects what it will not have."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._expressions: dict[type[jinja.Node], Callable[[Any, int], nodes.Expression]] = {
            jinja.Const: self._constant,
            jinja.Name: lambda node, _: nodes.Variable(node.name),
            jinja.Getattr: lambda node, depth: nodes.Item(self._expression(node.node, depth), node.attr),
            jinja.Getitem: self._item,
            jinja.Filter: self._filter,
            jinja.Compare: self._comparison,
            jinja.And: lambda node, depth: self._logic(node, depth, both=True),
            jinja.Or: lambda node, depth: self._logic(node, depth, both=False),
            jinja.Not: lambda node, depth: nodes.Negation(self._expression(node.node, depth)),
            jinja.Neg: self._negative,
        }

    def body(self, statements: list[jinja.Node], depth: int) -> nodes.Body:
        """Compile statements; each problem is noted and the rest is looked at too."""
        parts: list[nodes.Literal | nodes.Output | nodes.Choice] = []
        for statement in statements:
            pieces = statement.nodes if isinstance(statement, jinja.Output) else [statement]
            for piece in pieces:
                try:
                    parts.append(self._part(piece, depth))
                except _Refused as refused:
                    self.problems.append(refused.problem)
        return tuple(parts)

    def _part(self, node: jinja.Node, depth: int) -> nodes.Literal | nodes.Output | nodes.Choice:
        if depth > MAX_NESTING:
            raise _Refused(node.lineno, "nested too deeply")
        if isinstance(node, jinja.TemplateData):
            return nodes.Literal(node.data)
        if isinstance(node, jinja.If):
            branches = [
                (self._expression(branch.test, 0), self.body(branch.body, depth + 1)) for branch in (node, *node.elif_)
            ]
            return nodes.Choice(tuple(branches), self.body(node.else_, depth + 1))
        if isinstance(node, jinja.Stmt):
            raise self._refusal(node)
        return nodes.Output(self._expression(node, 0))

    def _expression(self, node: jinja.Node, depth: int) -> nodes.Expression:
        if depth > MAX_NESTING:
            raise _Refused(node.lineno, "nested too deeply")
        make = self._expressions.get(type(node))
        if make is None:
            raise self._refusal(node)
        return make(node, depth + 1)

    @staticmethod
    def _refusal(node: jinja.Node) -> _Refused:
        for kind in type(node).__mro__:
            if kind in _REFUSED:
                return _Refused(node.lineno, f"{_REFUSED[kind]} in the texts of actions")
        return _Refused(node.lineno, f"{type(node).__name__.lower()} is not available; {_ALLOWED}")

    @staticmethod
    def _constant(node: jinja.Const, _depth: int) -> nodes.Constant:
        if isinstance(node.value, int) and abs(node.value) >= _INT64:
            raise _Refused(node.lineno, "a number beyond 64 bits")
        return nodes.Constant(node.value)

    def _negative(self, node: jinja.Neg, depth: int) -> nodes.Constant:
        inner = self._expression(node.node, depth)
        if not isinstance(inner, nodes.Constant) or not isinstance(inner.value, int | float):
            raise self._refusal(node)
        return nodes.Constant(-inner.value)

    def _item(self, node: jinja.Getitem, depth: int) -> nodes.Item:
        if isinstance(node.arg, jinja.Slice):
            raise self._refusal(node.arg)
        key = self._expression(node.arg, depth) if isinstance(node.arg, jinja.Const | jinja.Neg) else None
        if not isinstance(key, nodes.Constant) or not isinstance(key.value, str | int):
            raise _Refused(node.lineno, 'a key in brackets must be a text or a number: `["my key"]`, `[0]`')
        return nodes.Item(self._expression(node.node, depth), key.value)

    def _comparison(self, node: jinja.Compare, depth: int) -> nodes.Comparison:
        rest = tuple((operand.op, self._expression(operand.expr, depth)) for operand in node.ops)
        return nodes.Comparison(self._expression(node.expr, depth), rest)

    def _logic(self, node: jinja.And | jinja.Or, depth: int, *, both: bool) -> nodes.Logic:
        return nodes.Logic(both, self._expression(node.left, depth), self._expression(node.right, depth))

    def _filter(self, node: jinja.Filter, depth: int) -> nodes.Filtered:
        known = FILTERS.get(node.name)
        if known is None:
            meant = _meant(node.name, tuple(FILTERS))
            raise _Refused(node.lineno, f"there is no filter `{node.name}`{meant}")
        if node.kwargs or node.dyn_args or node.dyn_kwargs or node.node is None:
            raise _Refused(node.lineno, f"give `{node.name}` its arguments without names")
        if not known.least_arguments <= len(node.args) <= known.most_arguments:
            takes = "one argument" if known.most_arguments else "no argument"
            takes = takes if known.least_arguments == known.most_arguments else "at most one argument"
            raise _Refused(node.lineno, f"the filter `{node.name}` takes {takes}")
        arguments = tuple(self._expression(argument, depth) for argument in node.args)
        if node.name in ("date", "time", "datetime"):
            _check_zone(node.lineno, arguments)
        return nodes.Filtered(self._expression(node.node, depth), known, arguments)


def _check_zone(line: int, arguments: tuple[nodes.Expression, ...]) -> None:
    for argument in arguments:
        if isinstance(argument, nodes.Constant) and argument.value not in wall_clock.zone_names():
            raise _Refused(line, f"there is no time zone {argument.value!r}; write it as `Europe/Amsterdam`")
