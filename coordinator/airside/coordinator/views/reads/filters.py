"""Which events are asked for, and that as SQL with bound parameters: nothing a person wrote becomes SQL text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from airside.events.wire import Micros


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What must hold for an event. What is left empty holds for all.

    `types` may use `*` for one word and `>` for the rest; `without_type` is one type as it stands. `resource`, `source`
    and `related` are globs: `*` any run of characters, `?` exactly one. `since` (included) and `until` (not included)
    are log time in microseconds.
    """

    workspace: str
    types: tuple[str, ...] = ()
    without_type: str | None = None
    resource: str | None = None
    kind: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    since: Micros | None = None
    until: Micros | None = None
    related: str | None = None
    role: str | None = None


class Where:
    """Conditions joined by AND, with their parameters."""

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self.parameters: list[Any] = []

    def add(self, condition: str, *parameters: Any) -> None:
        """Add a condition; each `?` in it takes one parameter."""
        self._conditions.append(condition)
        self.parameters += parameters

    def text(self, column: str, glob: str | None) -> None:
        """Ask that a column match a glob."""
        if glob is None:
            return
        if is_glob(glob):
            self.add(f"regexp_full_match({column}, ?, 's')", glob_regex(glob))
        else:
            self.add(f"{column} = ?", glob)

    def labels(self, wanted: Mapping[str, str]) -> None:
        """Ask for labels; the column is `labels`."""
        for key, value in wanted.items():
            self.add("json_extract_string(labels, ?) = ?", json_pointer(key), value)

    def __str__(self) -> str:
        return " AND ".join(self._conditions) or "true"


def where(wanted: EventFilter) -> Where:
    """Turn the filter into conditions on the table `events`."""
    result = Where()
    result.add("workspace = ?", wanted.workspace)
    if wanted.types:
        _types(result, wanted.types)
    if wanted.without_type is not None:
        result.add("type != ?", wanted.without_type)
    result.text("resource_id", wanted.resource)
    if wanted.kind is not None:
        result.add("resource_kind = ?", wanted.kind)
    result.text("source", wanted.source)
    if wanted.since is not None:
        result.add("received >= make_timestamptz(?)", wanted.since)
    if wanted.until is not None:
        result.add("received < make_timestamptz(?)", wanted.until)
    result.labels(wanted.labels)
    _related(result, wanted.related, wanted.role)
    return result


def is_glob(text: str) -> bool:
    """Tell whether the text has wildcards."""
    return "*" in text or "?" in text


def glob_regex(glob: str) -> str:
    """Write a glob as a regular expression for RE2."""
    return "".join(".*" if char == "*" else "." if char == "?" else re.escape(char) for char in glob)


def type_regex(pattern: str) -> str:
    """Write a pattern of event types as a regular expression for RE2."""
    words = pattern.split(".")
    return r"\.".join(
        "[^.]+" if word == "*" else ".+" if word == ">" and number == len(words) - 1 else re.escape(word)
        for number, word in enumerate(words)
    )


def json_pointer(key: str) -> str:
    """Write an object's key as a JSON pointer (RFC 6901)."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _types(result: Where, patterns: tuple[str, ...]) -> None:
    plain = [pattern for pattern in patterns if not {"*", ">"} & set(pattern.split("."))]
    conditions: list[str] = []
    parameters: list[Any] = []
    if plain:
        conditions.append("list_contains(?::VARCHAR[], type)")
        parameters.append(plain)
    for pattern in patterns:
        if pattern not in plain:
            conditions.append("regexp_full_match(type, ?)")
            parameters.append(type_regex(pattern))
    result.add(f"({' OR '.join(conditions)})", *parameters)


def _related(result: Where, related: str | None, role: str | None) -> None:
    """Ask for one related resource with this id and this role. The cheap look at the text comes first."""
    inner = Where()
    for name, value in (("r.id", related), ("r.role", role)):
        if value is None:
            continue
        if not is_glob(value):
            result.add("contains(related::VARCHAR, ?)", orjson.dumps(value).decode())
        inner.text(name, value)
    if inner.parameters:
        listed = """from_json(related, '[{"id": "VARCHAR", "role": "VARCHAR"}]')"""
        result.add(f"len(list_filter({listed}, lambda r: {inner})) > 0", *inner.parameters)
