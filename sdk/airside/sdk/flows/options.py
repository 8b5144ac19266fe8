"""What `@flow` and `@task` may be told, checked when the function is decorated."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeAlias

from airside.events.run_states import State as Kind
from airside.sdk.flows.exceptions import BadOption

Seconds: TypeAlias = float | timedelta
#: Seconds, the seconds before each retry, or a function of the retry's number (from 1) and the error.
Delay: TypeAlias = Seconds | Sequence[Seconds] | Callable[..., Seconds]
#: Called as `hook(decorated, run, state)` when a run reaches a state; an error in it is logged, no more.
Hook: TypeAlias = Callable[..., Any]

#: The options that are hooks, and the state that each is called in.
HOOKS: Final[Mapping[str, Kind]] = {
    "on_running": Kind.RUNNING,
    "on_completed": Kind.COMPLETED,
    "on_failure": Kind.FAILED,
    "on_crashed": Kind.CRASHED,
    "on_cancellation": Kind.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What flows and tasks have in common. Times are in seconds."""

    name: str
    version: str | None = None
    description: str = ""
    tags: frozenset[str] = frozenset()
    retries: int = 0
    retry_delay: Delay = 0.0
    retry_jitter: float = 0.0
    retry_if: Callable[..., bool] | None = None
    timeout: float | None = None
    log_prints: bool | None = None
    persist_result: bool | None = None
    result_storage: str | None = None
    run_name: str | Callable[..., str] | None = None
    hooks: Mapping[Kind, tuple[Hook, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOptions(Options):
    """What `@flow` may be told."""

    validate_parameters: bool = True
    task_runner: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions(Options):
    """What `@task` may be told."""

    cache_key: str | Callable[..., str | None] | None = None
    cache_for: float | None = None
    cache_policy: Any = None
    refresh_cache: bool = False
    concurrency: str | Sequence[str] | None = None


def common(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Check and complete what was given. Raises BadOption naming the option."""
    made = {name: value for name, value in given.items() if name not in HOOKS and value is not None}
    made["name"] = _name(given.get("name"), function)
    made["description"] = given.get("description") or inspect.getdoc(function) or ""
    made["tags"] = frozenset(_texts("tags", given.get("tags") or ()))
    retries = given.get("retries") or 0
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        raise BadOption(f"retries must be a number from 0 on, not {retries!r}")
    jitter = given.get("retry_jitter") or 0.0
    if not isinstance(jitter, int | float) or jitter < 0:
        raise BadOption(f"retry_jitter must be a share of the delay from 0 on, as 0.5, not {jitter!r}")
    _check_delay(given.get("retry_delay"))
    if given.get("retries") is None and isinstance(given.get("retry_delay"), Sequence):
        made["retries"] = len(given["retry_delay"])
    if given.get("retry_if") is not None and not callable(given["retry_if"]):
        raise BadOption("retry_if must be a function of the error")
    for name in ("timeout", "cache_for"):
        if given.get(name) is not None:
            made[name] = _positive(name, given[name])
    if given.get("concurrency") is not None:
        _check_limits(given["concurrency"])
    if made.get("result_storage") is not None:
        made["result_storage"] = str(made["result_storage"])
    made["hooks"] = {kind: _hooks(name, given[name]) for name, kind in HOOKS.items() if given.get(name) is not None}
    return made


def seconds(value: Seconds) -> float:
    """Turn a number of seconds or a timedelta into seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def changed(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Put changes over options as they could have been given; a new list of delays brings its own number of retries."""
    made = {**before, **changes}
    if "retry_delay" in changes and "retries" not in changes and isinstance(changes["retry_delay"], Sequence):
        del made["retries"]
    return made


def _check_delay(rule: Any) -> None:
    if rule is None or callable(rule):
        return
    for one in rule if isinstance(rule, list | tuple) else [rule]:
        if not isinstance(one, int | float | timedelta) or isinstance(one, bool) or not 0 <= seconds(one) < 1e9:
            raise BadOption(f"retry_delay must be seconds from 0 on, a list of them, or a function, not {rule!r}")


def _check_limits(value: Any) -> None:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple | set | frozenset) or not all(isinstance(n, str) and n for n in names):
        raise BadOption(
            f"concurrency must be the name of a limit, or a list of them, not {value!r}; "
            "`airside limits set NAME SLOTS` says how much there is of it"
        )


def _name(name: Any, function: Callable[..., Any]) -> str:
    found = name if name is not None else getattr(function, "__name__", type(function).__name__).replace("_", "-")
    if not isinstance(found, str) or not found.strip() or len(found) > 200:
        raise BadOption(f"name must be a text of 1 to 200 characters, not {found!r}")
    return found


def _texts(option: str, values: Iterable[str]) -> Iterable[str]:
    if isinstance(values, str):
        raise BadOption(f'{option} must be a list of texts: ["{values}"]')
    for value in values:
        if not isinstance(value, str) or not value:
            raise BadOption(f"{option} must be a list of texts, not hold {value!r}")
        yield value


def _positive(option: str, value: Any) -> float:
    if not isinstance(value, int | float | timedelta) or isinstance(value, bool) or seconds(value) <= 0:
        raise BadOption(f"{option} must be seconds above 0, or a timedelta, not {value!r}")
    return seconds(value)


def _hooks(option: str, value: Any) -> tuple[Hook, ...]:
    found = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(callable(hook) for hook in found):
        raise BadOption(f"{option} must be a function of (decorated, run, state), or a list of them")
    if any(inspect.iscoroutinefunction(hook) for hook in found):
        raise BadOption(f"{option} must be plain functions: nobody would await a coroutine")
    return found
