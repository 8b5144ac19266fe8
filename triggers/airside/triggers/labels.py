"""Filters on names and labels, read as Prefect reads them: what imported rules are about.

They differ from `airside.triggers.filters` in four ways, each needed to keep an imported rule's meaning:

- a name's `*` stands for one or more characters, dots included;
- a label's patterns know `*`, `?` and `[ab]`, and any one of them is enough, one with a leading `!` too;
- a label that is missing meets no pattern, not even one with `!`;
- each entry of `related` must be met by some related resource, whatever the others are.
"""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, TypeAlias

import re2
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from airside.events.model import is_type
from airside.events.wire import WireRelated, WireResource
from airside.triggers import globs
from airside.triggers.entry import Entry
from airside.triggers.globs import TextTest
from airside.triggers.index import Subscription
from airside.triggers.strict import OneOrMore, Several, Strict

LabelTest: TypeAlias = Callable[[str | None], bool]

MAX_RELATED: Final = 32
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.dot_nl = True


def _label_pattern(pattern: str) -> str:
    _compile_label(pattern)
    return pattern


def _name_pattern(pattern: str) -> str:
    if not is_type(pattern.replace("*", "x")):
        raise ValueError("must be the name of an event, as table.updated; `*` stands for any characters")
    return pattern


_Bounded = StringConstraints(max_length=globs.MAX_PATTERN_CHARS)
LabelPatterns: TypeAlias = OneOrMore[Annotated[str, _Bounded, AfterValidator(_label_pattern)]]
NamePatterns: TypeAlias = OneOrMore[Annotated[str, _Bounded, AfterValidator(_name_pattern)]]


class LabelFilter(Strict):
    """A resource by its id and labels: of each that is given, one of the patterns must match."""

    id: LabelPatterns = Field((), description="patterns on the id")
    labels: dict[str, LabelPatterns] = Field({}, description="patterns on labels, by key")

    @model_validator(mode="after")
    def _something(self) -> "LabelFilter":
        if not any(getattr(self, field) for field in type(self).model_fields):
            raise ValueError("says nothing; give an id or labels, or leave it out")
        return self


class RelatedLabelFilter(LabelFilter):
    """A related resource, with the part it plays."""

    role: LabelPatterns = Field((), description="patterns on the role: `flow`, `deployment`")


class NamedEvents(Strict):
    """Which events count, and which open a bucket."""

    expect: NamePatterns = Field((), description="names of the events that count; every event when left out")
    after: NamePatterns = Field((), description="names of the events that open a bucket; the first one when left out")
    resource: LabelFilter | None = Field(None, description="what the events are about")
    related: Several[RelatedLabelFilter] = Field(
        (), max_length=MAX_RELATED, description="other resources; each entry must be met by one of them"
    )

    def names(self) -> str:
        """Name the expected events in a sentence."""
        return " or ".join(self.expect[:3]) + (" …" if len(self.expect) > 3 else "") if self.expect else "event"

    def subscription(self) -> Subscription:
        """Say which events to bring: all that can pass, and not many more."""
        patterns = (*self.expect, *self.after) if self.expect else ()
        types = tuple(dict.fromkeys(_type_pattern(name) for name in patterns))
        ids = self.resource.id if self.resource else ()
        plain = bool(ids) and not any(part.startswith("!") or set(part) & set("*?[") for part in ids)
        return Subscription(() if ">" in types else types, frozenset(ids) if plain else None)


def compile_names(patterns: tuple[str, ...]) -> TextTest:
    """Turn names into a test of event types; no name at all means every event."""
    if not patterns:
        return lambda event_type: True
    exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
    wild = [_compile_name(pattern) for pattern in patterns if "*" in pattern]
    return lambda event_type: event_type in exact or any(test(event_type) for test in wild)


def compile_labels(spec: NamedEvents) -> Callable[[Entry], bool]:
    """Turn the parts on resources into a test of log entries."""
    about = _resource_test(spec.resource) if spec.resource else None
    others = [_resource_test(each) for each in spec.related]

    def test(entry: Entry) -> bool:
        if about and not about(entry.event.resource):
            return False
        return all(any(other(related) for related in entry.event.related) for other in others)

    return test


def _type_pattern(name: str) -> str:
    """Widen a name to a pattern that the index of rules knows."""
    if "*" not in name:
        return name
    words = name[: name.index("*")].split(".")[:-1]
    return ".".join([*words, ">"])


def _compile_name(pattern: str) -> TextTest:
    if pattern.count("*") == 1 and pattern.endswith("*"):
        prefix = pattern[:-1]
        return lambda text: len(text) > len(prefix) and text.startswith(prefix)
    return _matcher("".join(".+" if char == "*" else re2.escape(char) for char in pattern))


def _resource_test(spec: LabelFilter) -> Callable[[WireResource | WireRelated], bool]:
    ids = _any_of(spec.id)
    labels = [(key, _any_of(patterns)) for key, patterns in spec.labels.items()]
    roles = _any_of(spec.role) if isinstance(spec, RelatedLabelFilter) else None

    def test(resource: WireResource | WireRelated) -> bool:
        if ids and not ids(resource.id):
            return False
        if roles and not roles(resource.role if isinstance(resource, WireRelated) else None):
            return False
        return all(holds is None or holds(resource.labels.get(key)) for key, holds in labels)

    return test


def _any_of(patterns: Iterable[str]) -> LabelTest | None:
    tests = [_compile_label(pattern) for pattern in patterns]
    if not tests:
        return None
    return lambda text: text is not None and any(test(text) for test in tests)


def _compile_label(pattern: str) -> TextTest:
    if pattern.startswith("!"):
        unwanted = _compile_label_glob(pattern[1:])
        return lambda text: not unwanted(text)
    return _compile_label_glob(pattern)


def _compile_label_glob(pattern: str) -> TextTest:
    if "[" not in pattern:
        return globs.compile_glob(pattern)
    source, at = "", 0
    while at < len(pattern):
        end = pattern.find("]", at + (3 if pattern.startswith("[!", at) else 2)) if pattern[at] == "[" else -1
        if end > 0:
            source += _character_class(pattern[at + 1 : end])
            at = end + 1
            continue
        source += {"*": ".*", "?": "."}.get(pattern[at]) or re2.escape(pattern[at])
        at += 1
    return _matcher(source)


def _character_class(inside: str) -> str:
    negated = inside.startswith("!")
    body = "".join(char if char.isalnum() or char == "-" else f"\\{char}" for char in inside.removeprefix("!"))
    return f"[{'^' if negated else ''}{body}]"


def _matcher(source: str) -> TextTest:
    try:
        compiled: Any = re2.compile(source, _OPTIONS)
    except re2.error:
        raise ValueError("not a pattern that can be compiled") from None
    return lambda text: compiled.fullmatch(text) is not None
