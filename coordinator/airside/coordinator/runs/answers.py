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
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry

from airside.events.exceptions import Problem

MAX_BYTES: Final = 64 * 1024
_MAX_STEPS: Final = 50_000
_MAX_PROBLEMS: Final = 20


class BadSchema(ValueError):
    """The run's schema cannot be used to check answers."""


class _TooMuch(Exception):
    """The answer takes too long to check."""


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
                yield Problem(f"{place}.{name}", "is required")
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
    if isinstance(instance, str) and re2.search(pattern, instance) is None:
        yield ValidationError(f"does not match {pattern}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, Mapping):
        for pattern, schema in patterns.items():
            for name, value in instance.items():
                if re2.search(pattern, name):
                    yield from validator.descend(value, schema, path=name, schema_path=pattern)
