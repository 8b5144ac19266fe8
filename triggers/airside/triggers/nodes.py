"""YAML read node by node, so that each value keeps its line and column, and means one thing only.

No anchors, aliases or tags; no key twice; a bound on size, depth and number of values. A plain scalar is null, true,
false, a whole number or a decimal; everything else is text, as is whatever is quoted: `no`, `09:00`, `010`.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

from airside.triggers.exceptions import Problem

MAX_BYTES: Final = 1_048_576  # of one file
MAX_DEPTH: Final = 64
_MAX_SHOWN: Final = 120  # characters of a path
MAX_NODES: Final = 200_000  # values and keys in one file

Path: TypeAlias = tuple[str | int, ...]
Place: TypeAlias = tuple[int, int]

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?")
_WORDS: Final[dict[str, Any]] = {"": None, "null": None, "~": None, "true": True, "false": False}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Tree:
    """The documents of a file as plain values, with the place of each value and key by its path."""

    documents: list[Any] = field(default_factory=list)
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    is_whole: bool = False  # False when reading stopped before the end

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """Find where a value (or its key) stands; what is not there stands where its nearest ancestor does."""
        if of_key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (1, 1))


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    value: Any
    path: Path
    key: Any = None
    wants_key: bool = True


class _TooMuch(Exception):
    """Reading on would only cost time; the problem has been noted."""


def read(text: str) -> Tree:
    """Read a YAML text; mistakes in it are in `problems`. The first part of a path is the document's number."""
    tree = Tree()
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        tree.problems.append(Problem(1, 1, "", "the file is larger than 1 MB; split it"))
        return tree
    try:
        _Reader(tree).run(text)
        tree.is_whole = True
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        tree.problems.append(Problem(line, column, "", f"not valid YAML: {reason}"))
    except yaml.YAMLError as error:
        tree.problems.append(Problem(1, 1, "", f"not valid YAML: {error}"))
    except _TooMuch:
        pass
    return tree


def show_path(path: Path) -> str:
    """Write a path as people do: `automations[0].trigger.within`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN // 2]}…{text[-_MAX_SHOWN // 2 :]}"


class _Reader:
    """Builds values from the parser's events, without recursion."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._stack: list[_Open] = []
        self._nodes = 0

    def run(self, text: str) -> None:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.NodeEvent):
                self._check(event)
            if isinstance(event, yaml.ScalarEvent):
                self._put(self._scalar(event), event)
            elif isinstance(event, yaml.AliasEvent):
                self._put(None, event)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._open({} if isinstance(event, yaml.MappingStartEvent) else [], event)
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._stack.pop()

    def _check(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._problem(event, f"the file has more than {MAX_NODES:,} values; split it")
            raise _TooMuch
        if isinstance(event, yaml.AliasEvent):
            self._problem(event, f"aliases (`*{event.anchor}`) are not taken; write the value out")
        elif event.anchor is not None:
            self._problem(event, f"anchors (`&{event.anchor}`) are not taken; write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._problem(event, f"tags (`{tag}`) are not taken; leave it out")

    def _open(self, value: Any, event: Any) -> None:
        if len(self._stack) >= MAX_DEPTH:
            self._problem(event, f"nested deeper than {MAX_DEPTH} levels")
            raise _TooMuch
        path = self._put(value, event)
        self._stack.append(_Open(value, path))

    def _put(self, value: Any, event: Any) -> Path:
        """Place a value where it belongs, and give its path. In a mapping, key and value take turns."""
        tree = self._tree
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        if not self._stack:
            path: Path = (len(tree.documents),)
            tree.documents.append(value)
        else:
            parent = self._stack[-1]
            if isinstance(parent.value, list):
                path = (*parent.path, len(parent.value))
                parent.value.append(value)
            elif parent.wants_key:
                return self._key(parent, value, event, place)
            else:
                path = (*parent.path, parent.key)
                parent.wants_key = True
                parent.value[parent.key] = value
        tree.values[path] = place
        return path

    def _key(self, parent: _Open, value: Any, event: Any, place: Place) -> Path:
        parent.wants_key = False
        parent.key = event.value if isinstance(event, yaml.ScalarEvent) else str(value)
        path = (*parent.path, parent.key)
        if not isinstance(event, yaml.ScalarEvent):
            self._problem(event, "a key must be plain text")
        elif parent.key in parent.value:
            first = self._tree.keys[path][0]
            self._problem(event, f"`{parent.key}` is given twice, first in line {first}")
        self._tree.keys.setdefault(path, place)
        return path

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            number = float(text)
            return text if number in (float("inf"), float("-inf")) else number
        return text

    def _problem(self, event: Any, message: str) -> None:
        path = show_path(self._stack[-1].path[1:]) if self._stack else ""
        mark = event.start_mark
        self._tree.problems.append(Problem(mark.line + 1, mark.column + 1, path, message))
