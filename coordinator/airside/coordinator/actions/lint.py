"""What can be said about an automation's actions before it ever fires."""

from collections.abc import Iterator, Mapping
from typing import Any

from airside.coordinator import templates
from airside.coordinator.actions.registry import KINDS


def problems(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Find what is wrong with the actions of a normalised automation: (path, message).

    Paths are those of the document: `actions.0.notify.title`, `on_resolve.1.webhook.headers.X-Who`.
    """
    return [
        problem
        for part in ("actions", "on_resolve")
        for number, entry in enumerate(document.get(part) or ())
        for problem in _of_entry(f"{part}.{number}", entry)
    ]


def suspicions(kind: str, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find what is probably a mistake in one action: (field, message)."""
    look = getattr(KINDS.get(kind), "suspicions", None)
    return iter(()) if look is None else look(parameters)


def _of_entry(path: str, entry: Any) -> Iterator[tuple[str, str]]:
    """Look at one action, written `{notify: {...}}` as in documents or `{kind: notify, ...}` as in firings."""
    if not isinstance(entry, Mapping):
        return
    if "kind" in entry:
        name, parameters = str(entry["kind"]), {key: value for key, value in entry.items() if key != "kind"}
    else:
        name, parameters = next(iter(entry.items()), ("", {}))
        path = f"{path}.{name}"
    if not isinstance(parameters, Mapping):
        return
    kind = KINDS.get(name)
    for field, value in parameters.items():
        if kind is None or field not in kind.plain_fields:
            yield from _of_texts(f"{path}.{field}", value)
    if kind is not None:
        for field, message in kind.problems(parameters):
            yield f"{path}.{field}", message


def _of_texts(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        for problem in templates.problems(value):
            yield path, str(problem) if problem.line > 1 else problem.message
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _of_texts(f"{path}.{key}", inner)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _of_texts(f"{path}.{number}", inner)
