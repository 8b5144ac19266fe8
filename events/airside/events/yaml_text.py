"""YAML of people's, read in bounded time and space: it may come from outside.

Aliases are taken, since files of many deployments share settings by them, and count as often as they stand for
something. No tags, no key twice.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Never

import yaml

MAX_DEPTH: Final = 64
#: Values and keys in one text, aliases written out.
MAX_NODES: Final = 200_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_all(text: str) -> list[Any]:
    """Read all documents of a text. Raises YAMLError, which says where."""
    _check(text)
    return list(yaml.load_all(text, Loader=_LOADER))


def load(text: str) -> Any:
    """Read the only document of a text; None for an empty one. Raises YAMLError."""
    found = load_all(text)
    if len(found) > 1:
        raise yaml.YAMLError("there is more than one document in it")
    return found[0] if found else None


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet, with how many nodes are in it so far."""

    anchor: str | None
    is_mapping: bool
    size: int = 1
    parts: int = 0
    keys: set[str] = field(default_factory=set)


def _check(text: str) -> None:
    """Refuse what would grow or nest without bounds, before anything is built of it."""
    counting = _Counting()
    for event in yaml.parse(text, Loader=_LOADER):
        counting.take(event)


class _Counting:
    """Counts what is in each mapping and list, and in all, as the parser comes by."""

    def __init__(self) -> None:
        self._stack: list[_Open] = []
        self._sizes: dict[str, int] = {}
        self._total = 0

    def take(self, event: Any) -> None:
        """Take the next event. Raises MarkedYAMLError."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._sizes = {}
        elif isinstance(event, yaml.AliasEvent):
            size = self._sizes.get(str(event.anchor), 0)
            self._count(event, size or _wrong(event, f"`*{event.anchor}` stands for nothing, or for itself"))
        elif isinstance(event, yaml.ScalarEvent):
            if self._stack:
                _note_key(self._stack[-1], event)
            self._count(event, 1, event.anchor)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(self._stack) >= MAX_DEPTH:
                _wrong(event, f"nested deeper than {MAX_DEPTH} levels")
            self._stack.append(_Open(event.anchor, isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            closed = self._stack.pop()
            self._count(event, closed.size, closed.anchor)

    def _count(self, event: Any, size: int, anchor: str | None = None) -> None:
        if anchor:
            self._sizes[anchor] = size
        if self._stack:
            self._stack[-1].size += size
            self._stack[-1].parts += 1
        else:
            self._total += size
        if max(self._total, self._stack[-1].size if self._stack else 0) > MAX_NODES:
            _wrong(event, f"more than {MAX_NODES:,} values, aliases written out")


def _note_key(parent: _Open, event: Any) -> None:
    """Refuse a key that was there: which of two counts is anybody's guess. Keys and values take turns."""
    if not parent.is_mapping or parent.parts % 2 or event.value == "<<":
        return
    if event.value in parent.keys:
        _wrong(event, f"the key `{event.value[:100]}` is there twice")
    parent.keys.add(event.value)


def _wrong(event: Any, problem: str) -> Never:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
