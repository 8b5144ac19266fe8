"""Filters that no event can pass: conditions that exclude each other."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from airside.events import vocabulary
from airside.triggers import predicates
from airside.triggers.filters import Filter, ResourceFilter
from airside.triggers.globs import TextPatterns
from airside.triggers.walking import Place

_WITHOUT_VALUE: Final = frozenset({"exists", "ne", "not_in"})  # hold where the path finds nothing


def contradictions(spec: Filter) -> Iterator[tuple[Place, str]]:
    """Give what makes a filter impossible, each with the path inside it."""
    if spec.type and all(pattern == vocabulary.CLOCK_TICKED for pattern in spec.type):
        yield ("type",), "ticks are the log's pulse and are shown to no rule"
    yield from _resources(("resource",), spec.resource)
    yield from _resources(("related",), spec.related)
    if _is_dead(spec.source, ()):
        yield ("source",), "every source that is wanted is denied too"
    for path, predicate in spec.where.items():
        for operator, message in _of_value(path, predicate):
            yield ("where", path, *operator), message


def _resources(place: Place, alternatives: Sequence[ResourceFilter]) -> Iterator[tuple[Place, str]]:
    """Find alternatives of which none is left once the `!` texts are taken away."""
    denials = [each for each in alternatives if _only_denies(each)]
    denied = [text for each in denials for text in each.id]
    wanting = [each for each in alternatives if not _only_denies(each)]
    if "!*" in denied:
        yield place, "`!*` denies every id"
    elif wanting and all(_excludes_itself(each, denied) for each in wanting):
        yield place, "whatever is wanted is denied too"


def _only_denies(spec: ResourceFilter) -> bool:
    return all(text.startswith("!") for texts in _texts(spec) for text in texts)


def _texts(spec: ResourceFilter) -> list[tuple[str, ...]]:
    return [spec.id, spec.kind, spec.name, getattr(spec, "role", ()), *spec.labels.values()]


def _excludes_itself(spec: ResourceFilter, denied: Sequence[str]) -> bool:
    return _is_dead(spec.id, denied) or any(_is_dead(texts, ()) for texts in _texts(spec)[1:])


def _is_dead(texts: Sequence[str], denied: Sequence[str]) -> bool:
    """Tell whether each text that is wanted is denied as well."""
    wanted = [text for text in texts if not text.startswith("!")]
    denials = {text[1:] for text in (*texts, *denied) if text.startswith("!")}
    refuses = TextPatterns(tuple(f"!{text}" for text in denials))
    return bool(wanted) and all(
        text in denials or "*" in denials or (not set(text) & set("*?") and refuses.denies(text)) for text in wanted
    )


def _of_value(path: str, predicate: dict[Any, Any]) -> Iterator[tuple[Place, str]]:
    if predicate.get("exists") is False and predicate.keys() - _WITHOUT_VALUE:
        other = min(predicate.keys() - _WITHOUT_VALUE)
        yield ("exists",), f"a value that must not be there cannot meet `{other}`"
        return
    if predicate.get("in") == []:
        yield ("in",), "`in` lists nothing"
        return
    between = predicate.get("between")
    if between and between[0] > between[1]:
        yield ("between",), f"nothing lies between {between[0]!r} and {between[1]!r}: the lowest value comes first"
    elif "*" not in path and ":" not in path:  # with several values each may meet another condition
        yield from _of_one_value(predicate)


def _of_one_value(predicate: dict[Any, Any]) -> Iterator[tuple[Place, str]]:
    candidates = [predicate["eq"]] if "eq" in predicate else predicate.get("in")
    if candidates is not None:
        name = "eq" if "eq" in predicate else "in"
        others = {operator: operand for operator, operand in predicate.items() if operator != name}
        tests = [predicates.compile_operator(operator, operand) for operator, operand in others.items()]
        if not any(all(test([value]) for test in tests) for value in candidates):
            yield (name,), f"excluded by {' and '.join(f'`{other}`' for other in others)} of the same value"
        return
    between = predicate.get("between", ())
    lows = [(predicate[name], name == "gt") for name in ("gt", "gte") if name in predicate]
    highs = [(predicate[name], name == "lt") for name in ("lt", "lte") if name in predicate]
    lows += [(between[0], False)] if between else []
    highs += [(between[1], False)] if between else []
    for low, low_is_open in lows:
        for high, high_is_open in highs:
            if isinstance(low, str) != isinstance(high, str):
                yield (), "one value cannot be compared with a text and with a number"
                return
            if low > high or (low == high and (low_is_open or high_is_open)):
                yield (), f"no value is above {low!r} and below {high!r}"
                return
