"""A hook's template as people write it: YAML whose texts are templates, checked before any delivery comes.

ignore: '{{ body.zen }}'            # deliveries that say nothing
without: [partial_unexpected_list]  # keys that must not be kept, wherever they stand
events:                             # the first one whose `when` holds; leave `events` out if there is one only
  - when: '{{ headers["x-github-event"] == "push" }}'
    each: $.commits                 # one event for each value that the JSONPath finds
    type: github.push
    resource: https://github.com/{{ body.repository.full_name }}
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

from airside.coordinator import templates
from airside.coordinator.hooks.signatures import SCHEMES
from airside.coordinator.templates import Template, TemplateError
from airside.events.exceptions import AirsideError
from airside.triggers import nodes, paths
from airside.triggers.exceptions import Problem
from airside.triggers.suggestions import did_you_mean

MAX_TEMPLATE_BYTES: Final = 65_536
MAX_RULES: Final = 50
MAX_RELATED: Final = 20
#: What the texts of a template can speak of.
NAMES: Final = ("body", "headers", "query", "item", "index", "delivery", "hook")

#: A JSON value whose texts became templates.
Tree: TypeAlias = Any
_Path: TypeAlias = tuple[str | int, ...]

_FIELDS: Final = ("when", "each", "id", "type", "time", "source", "resource", "related", "payload")
_ABOUT: Final = ("about", "signature", "ignore", "without")
#: All keys of a template.
KEYS: Final = (*_ABOUT, "events", *_FIELDS)
_RESOURCE: Final = ("id", "kind", "name", "labels")


class InvalidTemplate(AirsideError):
    """The template of the hook has mistakes; `problems` says on which line and what was expected."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"line {p.line}: {p.message}" for p in problems))


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of delivery becomes events."""

    type: Template
    resource: dict[str, Tree]
    when: Template | None = None
    each: Callable[[Any], list[Any]] | None = None
    id: Template | None = None
    time: Template | None = None
    source: Template | None = None
    related: tuple[dict[str, Tree], ...] = ()
    payload: Tree = None


@dataclass(frozen=True, slots=True)
class HookTemplate:
    """A checked template. `about` and `signature` say what it is for and how its senders sign."""

    rules: tuple[Rule, ...]
    about: str = ""
    signature: str = ""
    ignore: Template | None = None
    without: frozenset[str] = field(default_factory=frozenset)


def parse(text: str) -> HookTemplate:
    """Read and check a template. Raises InvalidTemplate with every mistake and its place."""
    if len(text.encode("utf-8", "replace")) > MAX_TEMPLATE_BYTES:
        raise InvalidTemplate([Problem(1, 1, "", f"the template is larger than {MAX_TEMPLATE_BYTES // 1024} KB")])
    tree = nodes.read(text)
    reader = _Reader(tree)
    if tree.problems:
        raise InvalidTemplate(tree.problems)
    found = reader.read()
    if reader.problems:
        raise InvalidTemplate(sorted(reader.problems, key=lambda problem: (problem.line, problem.column)))
    return found


@lru_cache(maxsize=256)
def parse_cached(text: str) -> HookTemplate:
    """Read a template that was read before, for each delivery. Raises InvalidTemplate."""
    return parse(text)


class _Reader:
    """Turns plain values into a template and notes what is wrong with them."""

    def __init__(self, tree: nodes.Tree) -> None:
        self._tree = tree
        self.problems: list[Problem] = []

    def read(self) -> HookTemplate:
        documents = self._tree.documents
        if len(documents) != 1 or not isinstance(documents[0], dict):
            self._problem((0,), "a template is one mapping, with `type` and `resource` at least")
            return HookTemplate(())
        data: dict[str, Any] = documents[0]
        if "events" in data:
            self._known((0,), data, (*_ABOUT, "events"))
            listed = data["events"]
            if not isinstance(listed, list) or not 0 < len(listed) <= MAX_RULES:
                self._problem((0, "events"), f"must be a list of 1 to {MAX_RULES} mappings")
                listed = []
            rules = tuple(rule for n, entry in enumerate(listed) for rule in self._rule((0, "events", n), entry))
        else:
            self._known((0,), data, KEYS)
            rules = tuple(self._rule((0,), {key: value for key, value in data.items() if key in _FIELDS}))
        return HookTemplate(
            rules,
            about=self._word((0, "about"), data.get("about")),
            signature=self._signature((0, "signature"), data.get("signature")),
            ignore=self._template((0, "ignore"), data.get("ignore")),
            without=frozenset(self._keys((0, "without"), data.get("without"))),
        )

    def _rule(self, path: _Path, data: Any) -> Iterator[Rule]:
        if not isinstance(data, dict):
            self._problem(path, "must be a mapping, with `type` and `resource` at least")
            return
        self._known(path, data, _FIELDS)
        for key in ("type", "resource"):
            if data.get(key) in (None, ""):
                self._problem(path, f"`{key}` is missing")
        event_type = self._template((*path, "type"), data.get("type"))
        resource = self._resource((*path, "resource"), data.get("resource"), _RESOURCE)
        texts = {key: self._template((*path, key), data.get(key)) for key in ("when", "id", "time", "source")}
        each = self._each((*path, "each"), data.get("each"))
        related = tuple(self._related((*path, "related"), data.get("related")))
        payload = self._payload((*path, "payload"), data.get("payload"))
        if event_type is not None and resource:
            yield Rule(event_type, resource, each=each, related=related, payload=payload, **texts)

    def _resource(self, path: _Path, data: Any, known: tuple[str, ...]) -> dict[str, Tree]:
        if isinstance(data, str) and data:
            return {"id": self._template(path, data)}
        if not isinstance(data, dict):
            if data not in (None, ""):
                self._problem(path, "must be the resource's id, or a mapping with `id`")
            return {}
        self._known(path, data, known)
        for key in known:
            if key in ("id", "role") and not data.get(key):
                self._problem(path, f"`{key}` is missing")
        return {key: self._filled((*path, key), data[key]) for key in known if data.get(key) is not None}

    def _related(self, path: _Path, data: Any) -> Iterator[dict[str, Tree]]:
        if data is None:
            return
        if not isinstance(data, list) or len(data) > MAX_RELATED:
            self._problem(path, f"must be a list of at most {MAX_RELATED} mappings with `role` and `id`")
            return
        for number, entry in enumerate(data):
            if not isinstance(entry, dict):
                self._problem((*path, number), "must be a mapping with `role` and `id`")
            elif found := self._resource((*path, number), entry, ("role", *_RESOURCE)):
                yield found

    def _payload(self, path: _Path, data: Any) -> Tree:
        if data is not None and not isinstance(data, dict | str):
            self._problem(path, "must be a mapping, or one `{{ path }}` that leads to an object")
        return self._filled(path, data)

    def _filled(self, path: _Path, data: Any) -> Tree:
        if isinstance(data, dict):
            return {key: self._filled((*path, key), value) for key, value in data.items()}
        if isinstance(data, list):
            return [self._filled((*path, number), value) for number, value in enumerate(data)]
        return self._template(path, data) if isinstance(data, str) else data

    def _template(self, path: _Path, data: Any) -> Template | None:
        if data is None:
            return None
        if not isinstance(data, str):
            data = str(data).lower() if isinstance(data, bool) else str(data)
        for problem in templates.problems(data, NAMES):
            self._problem(path, problem.message.removesuffix(" in the texts of actions"))
        try:
            return templates.parse(data)
        except TemplateError:
            return None

    def _each(self, path: _Path, data: Any) -> Callable[[Any], list[Any]] | None:
        if data is None:
            return None
        try:
            return paths.compile_path(str(data))
        except ValueError as error:
            self._problem(path, str(error))
            return None

    def _keys(self, path: _Path, data: Any) -> list[str]:
        if data is None:
            return []
        if not isinstance(data, list) or not all(isinstance(entry, str) and entry for entry in data):
            self._problem(path, "must be a list of keys, as in [partial_unexpected_list]")
            return []
        return data

    def _word(self, path: _Path, data: Any) -> str:
        if data is not None and not isinstance(data, str):
            self._problem(path, "must be text")
        return data if isinstance(data, str) else ""

    def _signature(self, path: _Path, data: Any) -> str:
        word = self._word(path, data)
        if word and word not in SCHEMES:
            self._problem(path, f"must be one of {', '.join(SCHEMES)}{did_you_mean(word, list(SCHEMES))}")
        return word

    def _known(self, path: _Path, data: dict[str, Any], known: tuple[str, ...]) -> None:
        for key in data:
            if key not in known:
                hint = did_you_mean(key, list(known)) or f"; known here are {', '.join(known)}"
                self._problem((*path, key), f"unknown key `{key}`{hint}", of_key=True)

    def _problem(self, path: _Path, message: str, *, of_key: bool = False) -> None:
        line, column = self._tree.place(path, of_key=of_key)
        self.problems.append(Problem(line, column, nodes.show_path(path[1:]), message))
