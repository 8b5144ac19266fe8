"""`@materialize`: a task that makes a table or another data set, and says so when it has."""

import functools
import inspect
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlsplit

from airside.sdk.emitting import api
from airside.sdk.flows import artifacts
from airside.sdk.flows.exceptions import BadOption
from airside.sdk.flows.task import Task, task_of

_metadata: ContextVar[dict[str, Any] | None] = ContextVar("airside_metadata", default=None)
_UPSTREAM: Final = "upstream"


def materialize(
    *made: str, upstream: Iterable[str] = (), **options: Any
) -> Callable[[Callable[..., Any]], Task[..., Any]]:
    """Make a task that emits `table.updated` for each `table://…` it is named for, when it has completed.

    `upstream` are the ids of what it reads. The kind of event follows the id: `file://…` gives `file.updated`. A
    returned number is told as `rows`; more is told with `add_metadata`. Other options are those of `@task`. A cached
    result tells nothing: nothing was made. Raises BadOption.
    """
    ids, sources = [_checked("materialize", one) for one in made], _texts(upstream)
    if not ids:
        raise BadOption('write @materialize("table://warehouse/sales"): the id of what the task makes')

    def decorate(function: Callable[..., Any]) -> Task[..., Any]:
        return task_of(_telling(function, ids, sources), options)

    return decorate


def add_metadata(**facts: Any) -> None:
    """Add facts, as `rows=42`, to what the running `@materialize` task tells. Raises BadOption elsewhere."""
    found = _metadata.get()
    if found is None:
        raise BadOption("add_metadata() belongs in a function under @materialize")
    found.update(facts)


def _telling(function: Callable[..., Any], ids: list[str], sources: list[str]) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise BadOption("@materialize takes functions that return, not generators")
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def made_async(*args: Any, **kwargs: Any) -> Any:
            token = _metadata.set({})
            try:
                value = await function(*args, **kwargs)
                _tell(ids, sources, value)
            finally:
                _metadata.reset(token)
            return value

        return made_async

    @functools.wraps(function)
    def made(*args: Any, **kwargs: Any) -> Any:
        token = _metadata.set({})
        try:
            value = function(*args, **kwargs)
            _tell(ids, sources, value)
        finally:
            _metadata.reset(token)
        return value

    return made


def _tell(ids: list[str], sources: list[str], value: Any) -> None:
    facts = dict(_metadata.get() or {})
    if isinstance(value, int) and not isinstance(value, bool):
        facts.setdefault("rows", value)
    related = [*artifacts.around(), *((_UPSTREAM, source) for source in sources)]
    for one in ids:
        kind = _kind(one)
        resource = {"id": one, "kind": kind, "name": one.rstrip("/").rpartition("/")[2]}
        api.emit(f"{kind}.updated", resource, related=related, payload=facts)


def _kind(one: str) -> str:
    scheme = urlsplit(one).scheme
    return scheme if scheme in ("table", "view", "file", "model", "topic", "dashboard") else "dataset"


def _texts(upstream: Iterable[str]) -> list[str]:
    if isinstance(upstream, str):
        raise BadOption(f'upstream must be a list of ids: ["{upstream}"]')
    return [_checked("upstream", one) for one in upstream]


def _checked(option: str, one: Any) -> str:
    if not isinstance(one, str) or not urlsplit(one).scheme or "://" not in one or len(one) > 1_000:
        raise BadOption(f"{option}: {one!r} must be an id like table://warehouse/sales")
    return one
