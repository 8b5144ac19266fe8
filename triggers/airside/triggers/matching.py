"""Filters compiled to tests of log entries. Built once per rule; run for every candidate event."""

from collections.abc import Callable
from typing import TypeAlias

from airside.events.wire import WireRelated, WireResource
from airside.triggers import paths, predicates
from airside.triggers.entry import Entry
from airside.triggers.filters import Filter, RelatedFilter, ResourceFilter
from airside.triggers.globs import TextPatterns

EntryTest: TypeAlias = Callable[[Entry], bool]
ResourceTest: TypeAlias = Callable[[WireResource | WireRelated], bool]


def compile_filter(spec: Filter) -> EntryTest:
    """Turn a filter into a test, the cheap parts first."""
    tests: list[EntryTest] = []
    if spec.resource:
        tests.append(_resource_test(spec.resource))
    if spec.source:
        source = TextPatterns(spec.source)
        tests.append(lambda entry: source.holds(entry.event.source))
    if spec.related:
        tests.append(_related_test(spec.related))
    if spec.where:
        tests.append(_where_test(spec))
    rest = _all_of(tests)
    if not spec.type:
        return rest or (lambda entry: True)
    if rest is None:
        return _type_test(spec.type)
    if len(spec.type) == 1 and not _is_wild(spec.type[0]):
        only = spec.type[0]
        return lambda entry: entry.event.type == only and rest(entry)
    of_type = _type_test(spec.type)
    return lambda entry: of_type(entry) and rest(entry)


def _all_of(tests: list[EntryTest]) -> EntryTest | None:
    if len(tests) < 2:
        return tests[0] if tests else None
    if len(tests) == 2:
        first, second = tests
        return lambda entry: first(entry) and second(entry)
    return lambda entry: all(test(entry) for test in tests)


def resource_ids(spec: Filter) -> frozenset[str] | None:
    """Give the only resource ids that the filter lets pass, or None when it cannot say."""
    if not spec.resource:
        return None
    found: set[str] = set()
    for alternative in spec.resource:
        literals = TextPatterns(alternative.id).wanted_literals
        if literals is not None:
            found |= literals
        elif TextPatterns(alternative.id).has_wanted or not _only_denies(alternative):
            return None
    return frozenset(found) or None


def _only_denies(spec: ResourceFilter) -> bool:
    texts = [*spec.id, *spec.kind, *spec.name]
    texts += [pattern for patterns in spec.labels.values() for pattern in patterns]
    if isinstance(spec, RelatedFilter):
        texts += spec.role
    return all(text.startswith("!") for text in texts)


def type_matches(pattern: str, event_type: str) -> bool:
    """Tell whether a type meets a pattern: `*` is one word, a last `>` one word or more."""
    wanted, words = pattern.split("."), event_type.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(words) <= len(wanted):
            return False
        words = words[: len(wanted)]
    return len(wanted) == len(words) and all(want in ("*", word) for want, word in zip(wanted, words, strict=True))


def _is_wild(pattern: str) -> bool:
    return "*" in pattern or ">" in pattern


def _type_test(patterns: tuple[str, ...]) -> EntryTest:
    exact = frozenset(patterns)
    wild = [pattern for pattern in patterns if _is_wild(pattern)]
    if ">" in exact:
        return lambda entry: True
    if not wild and len(exact) == 1:
        (only,) = exact
        return lambda entry: entry.event.type == only
    return lambda entry: entry.event.type in exact or any(type_matches(pattern, entry.event.type) for pattern in wild)


def _resource_test(alternatives: tuple[ResourceFilter, ...]) -> EntryTest:
    """Any entry that says what the resource is, and none of the entries that only say what it is not."""
    denials = [_field_tests(spec)[1] for spec in alternatives if _only_denies(spec)]
    wanted = [_field_tests(spec) for spec in alternatives if not _only_denies(spec)]
    if len(wanted) == 1 and not denials:
        wants, denies = wanted[0]
        return lambda entry: wants(entry.event.resource) and not denies(entry.event.resource)

    def test(entry: Entry) -> bool:
        resource = entry.event.resource
        if any(denies(resource) for denies in denials):
            return False
        return not wanted or any(wants(resource) and not denies(resource) for wants, denies in wanted)

    return test


def _related_test(alternatives: tuple[RelatedFilter, ...]) -> EntryTest:
    denials = [_field_tests(spec)[1] for spec in alternatives if _only_denies(spec)]
    wanted = [_field_tests(spec) for spec in alternatives if not _only_denies(spec)]

    def met(entry: Entry, wants: ResourceTest, denies: ResourceTest) -> bool:
        chosen = [related for related in entry.event.related if wants(related)]
        return bool(chosen) and not any(denies(related) for related in chosen)

    def test(entry: Entry) -> bool:
        if any(denies(related) for denies in denials for related in entry.event.related):
            return False
        return not wanted or any(met(entry, wants, denies) for wants, denies in wanted)

    return test


def _field_tests(spec: ResourceFilter) -> tuple[ResourceTest, ResourceTest]:
    """Split an entry into what the resource must be and what it must not be."""
    ids, kinds, names = TextPatterns(spec.id), TextPatterns(spec.kind), TextPatterns(spec.name)
    labels = [(key, TextPatterns(patterns)) for key, patterns in spec.labels.items()]
    roles = TextPatterns(spec.role) if isinstance(spec, RelatedFilter) else None

    def wants(resource: WireResource | WireRelated) -> bool:
        if not (ids.wants(resource.id) and kinds.wants(resource.kind) and names.wants(resource.name)):
            return False
        if roles and isinstance(resource, WireRelated) and not roles.wants(resource.role):
            return False
        return all(patterns.wants(resource.labels.get(key)) for key, patterns in labels)

    def denies(resource: WireResource | WireRelated) -> bool:
        if ids.denies(resource.id) or kinds.denies(resource.kind) or names.denies(resource.name):
            return True
        if roles and isinstance(resource, WireRelated) and roles.denies(resource.role):
            return True
        return any(patterns.denies(resource.labels.get(key)) for key, patterns in labels)

    return wants, denies


def _where_test(spec: Filter) -> EntryTest:
    parts = []
    for path, predicate in spec.where.items():
        operators = [predicates.compile_operator(name, operand) for name, operand in predicate.items()]
        parts.append((paths.compile_path(path), operators))
    if len(parts) == 1 and len(parts[0][1]) == 1:
        only, [holds_of_it] = parts[0]
        return lambda entry: holds_of_it(only(entry.payload))

    def test(entry: Entry) -> bool:
        payload = entry.payload
        for get, operators in parts:
            values = get(payload)
            for holds in operators:
                if not holds(values):
                    return False
        return True

    return test
