"""Checking what somebody answers to a run that waits, by the JSON schema that the run gave.

Both are input from outside. Schemas refer to nothing elsewhere, patterns are RE2's, and the checking stops after a
fixed number of steps, whatever nests in what.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import orjson
import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from airside.events.exceptions import Problem

MAX_BYTES: Final = 64 * 1024
REQUIRED: Final = "is required"
_MAX_STEPS: Final = 50_000
_MAX_PROBLEMS: Final = 20
#: Keywords whose values are no schemas.
_DATA: Final = frozenset({"default", "examples", "const", "enum"})
_QUIET: Final = re2.Options()
_QUIET.log_errors = False  # what is wrong with a pattern is told to whoever sent it


class BadSchema(ValueError):
    """The run's schema cannot be used to check answers."""


class _TooMuch(Exception):
    """The answer takes too long to check."""


def check(schema: Mapping[str, Any]) -> None:
    """Look whether a schema is one by which anything can be checked. Raises BadSchema, which says where it is not."""
    if len(orjson.dumps(schema)) > MAX_BYTES:
        raise BadSchema(f"the schema has more than {MAX_BYTES:,} bytes")
    try:
        for path, keyword, value in _keywords(schema, ()):
            _check_keyword(".".join([*path, keyword]), keyword, value)
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        place = ".".join(map(str, error.absolute_path))
        raise BadSchema(f"{place}: {error.message[:200]}".removeprefix(": ")) from None
    except RecursionError:
        raise BadSchema("the schema is nested too deep") from None


def _keywords(schema: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Give all that stands in a schema, but for what is only data."""
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            yield path, str(key), value
            if key not in _DATA:
                yield from _keywords(value, (*path, str(key)))
    elif isinstance(schema, list):
        for place, value in enumerate(schema):
            yield from _keywords(value, (*path, str(place)))


def _check_keyword(place: str, keyword: str, value: Any) -> None:
    if keyword in ("$ref", "$dynamicRef") and isinstance(value, str) and not value.startswith("#"):
        raise BadSchema(f"{place}: must lead to a place in the schema itself, as #/$defs/Window")
    patterns = list(value) if keyword == "patternProperties" and isinstance(value, Mapping) else []
    for pattern in [value] if keyword == "pattern" and isinstance(value, str) else patterns:
        try:
            re2.compile(pattern, _QUIET)
        except re2.error as error:
            said = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else error
            raise BadSchema(f"{place}: {pattern[:100]!r} is no pattern that RE2 takes: {said}") from None


def problems(schema: Mapping[str, Any], answer: Any) -> list[Problem]:
    """Give what is wrong with an answer, by field, as `input.rows`; nothing when it is fine. Raises BadSchema."""
    if len(orjson.dumps(schema)) > MAX_BYTES:
        raise BadSchema(f"the schema has more than {MAX_BYTES:,} bytes")
    if len(orjson.dumps(answer)) > MAX_BYTES:
        return [Problem("input", f"has more than {MAX_BYTES:,} bytes")]
    validator = _bounded()(schema, registry=Registry())
    found: list[Problem] = []
    try:
        for error in validator.iter_errors(answer):
            found += _told(error)
            if len(found) >= _MAX_PROBLEMS:
                break
    except _TooMuch:
        raise BadSchema("the schema takes too many steps to check") from None
    except Exception as error:  # what a schema that is none leads to is anybody's guess
        raise BadSchema(f"the schema is not one: {type(error).__name__}") from error
    return sorted(set(found), key=lambda problem: (problem.field, problem.message))


def _told(error: ValidationError) -> Iterator[Problem]:
    place = ".".join(["input", *(str(part) for part in error.absolute_path)])
    if error.validator == "required" and isinstance(error.instance, Mapping):
        for name in error.validator_value:
            if name not in error.instance:
                yield Problem(f"{place}.{name}", REQUIRED)
    elif error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        for name in sorted(error.instance.keys() - error.schema.get("properties", {}).keys()):
            yield Problem(f"{place}.{name}", "is not asked for")
    elif error.validator == "type":
        yield Problem(place, f"must be {_words(error.validator_value)}")
    elif error.validator in ("enum", "const"):
        yield Problem(place, f"must be {_listed(error.validator_value)}")
    elif error.validator in ("anyOf", "oneOf"):
        yield Problem(place, "is none of what is asked for")
    else:
        yield Problem(place, f"does not satisfy {error.validator}: {_listed(error.validator_value)}")


def _words(kind: Any) -> str:
    return " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def _listed(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return " or ".join(orjson.dumps(entry).decode()[:100] for entry in values[:20])


def _bounded() -> Any:
    """Make a validator class that counts its steps."""
    left = [_MAX_STEPS]

    def counted(check: Callable[..., Any], validator: Any, value: Any, *args: Any) -> Iterator[Any]:
        left[0] -= 1 + (len(value) if isinstance(value, list | dict | str) else 0)
        if left[0] < 0:
            raise _TooMuch
        for error in check(validator, value, *args) or ():
            left[0] -= 1
            yield error

    checks = {**Draft202012Validator.VALIDATORS, "pattern": _pattern, "patternProperties": _pattern_properties}
    for unused in ("$dynamicRef", "unevaluatedItems", "unevaluatedProperties", "uniqueItems"):
        checks.pop(unused, None)  # none of them bounded by steps, none of them what a model's schema has
    bounded = {name: partial(counted, check) for name, check in checks.items()}
    return extend(Draft202012Validator, bounded)


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and re2.search(pattern, instance, _QUIET) is None:
        yield ValidationError(f"does not match {pattern}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, Mapping):
        for pattern, schema in patterns.items():
            for name, value in instance.items():
                if re2.search(pattern, name, _QUIET):
                    yield from validator.descend(value, schema, path=name, schema_path=pattern)
