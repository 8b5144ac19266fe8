"""What pydantic found wrong, put in plain words and on the right line."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from airside.triggers import actions, kinds
from airside.triggers.exceptions import Problem
from airside.triggers.model import Automation
from airside.triggers.nodes import Path, Tree, show_path
from airside.triggers.suggestions import did_you_mean

_KEY: Final = "[key]"  # how pydantic marks a mistake in a mapping's key

_WORDS: Final = {
    "string_type": "must be text; put it in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping: keys with values below",
    "model_type": "must be a mapping: keys with values below",
    "model_attributes_type": "must be a mapping: keys with values below",
    "tuple_type": "must be a list",
    "string_too_short": "must not be empty",
}


def at(tree: Tree, path: Path, message: str, *, of_key: bool = False) -> Problem:
    """Make a problem of a message about a value (or its key)."""
    line, column = tree.place(path, of_key=of_key)
    return Problem(line, column, show_path(path[1:]), message)


def explain(error: ValidationError, tree: Tree, path: Path) -> Iterator[Problem]:
    """Turn the errors of one automation into problems. `path` leads to the automation in the file."""
    for entry in error.errors(include_url=False):
        location = [part for part in entry["loc"] if not str(part).startswith("\0")]
        is_key = bool(location) and location[-1] == _KEY
        if is_key:
            location.pop()
        kind = entry["type"]
        if kind == "too_short" and len(entry["input"]) >= entry["ctx"]["min_length"]:
            continue  # long enough as written; its entries have their own problems
        of_key = is_key or kind == "extra_forbidden"
        if kind == "missing":
            message = f"`{location.pop()}` is missing"
        elif kind == "extra_forbidden":
            message = _unknown_key(str(location[-1]), entry["loc"])
        else:
            message = _message(entry)
        yield at(tree, (*path, *location), message, of_key=of_key)


def _message(entry: Any) -> str:
    context = entry.get("ctx", {})
    kind = entry["type"]
    if kind in _WORDS:
        return f"{_WORDS[kind]}{_hint(entry)}"
    if kind == "literal_error":
        known = context["expected"].replace("'", "").replace(" or ", ", ")
        return f"must be one of {known}{did_you_mean(entry['input'], known.split(', '))}"
    if kind == "string_pattern_mismatch":
        return "must be 1 to 80 of a-z, 0-9, `_`, `.` and `-`, starting with a letter or digit"
    if kind == "string_too_long":
        return f"must be at most {context['max_length']:,} characters"
    if kind == "too_short":
        return f"must have at least {context['min_length']}"
    if kind == "too_long":
        return f"must have at most {context['max_length']:,}"
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = context.get("ge", context.get("le"))
        return f"must be at {'least' if 'ge' in context else 'most'} {bound:,}"
    return str(entry["msg"]).removeprefix("Value error, ")


def _hint(entry: Any) -> str:
    """Say how it would be written right, where that is plain."""
    written, where = entry["input"], entry["loc"][-1:]
    if where == ("where",):
        return ', here JSONPaths and what must hold of them, as {"$.rows": {gt: 0}}'
    if entry["type"] == "int_type" and isinstance(written, str) and written.strip().isdigit():
        return f"; write {written.strip()} without quotes"
    return ""


def _unknown_key(key: str, location: tuple[str | int, ...]) -> str:
    known = _known_keys(location[:-1])
    hint = did_you_mean(key, known)
    if not hint and not any(part == "trigger" for part in location) and key in _trigger_keys():
        hint = "; it belongs under `trigger`"
    if not hint and known:
        hint = f"; known here are {', '.join(known)}"
    return f"unknown key `{key}`{hint}"


def _trigger_keys() -> set[str]:
    return {key for kind in kinds.kinds().values() for key in _names(kind.spec)}


def _names(model: type[BaseModel]) -> list[str]:
    """List a model's keys as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """Follow a location through the models, to the one whose key is unknown."""
    models: list[type[BaseModel]] = [Automation]
    tagged = {tag: kind.spec for tag, kind in kinds.kinds().items()}
    tagged_actions = {f"\0{name}": model for name, model in actions.actions().items()}
    for part in location:
        if part in tagged or part in tagged_actions:
            models = [tagged.get(str(part)) or tagged_actions[str(part)]]
        elif isinstance(part, str):
            fields = [model.model_fields[part] for model in models if part in model.model_fields]
            models = [found for field in fields for found in _models_in(field.annotation)] or models
    return list(dict.fromkeys(name for model in models for name in _names(model)))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from _models_in(get_args(annotation)[0])
    elif get_origin(annotation) in (tuple, list, dict, Union, UnionType):
        for each in get_args(annotation):
            yield from _models_in(each)
