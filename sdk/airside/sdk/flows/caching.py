"""Which results a task may take instead of running, and which it leaves for others.

A key comes from `cache_key`, or from a policy: INPUTS, SOURCE, TASK, RUN, put together with `+`. Whatever the policy,
results of different tasks are kept apart.
"""

import inspect
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airside.sdk.flows import context, naming, results
from airside.sdk.flows.digests import digest
from airside.sdk.flows.exceptions import BadOption
from airside.sdk.flows.results import Kept, Unkeepable
from airside.sdk.flows.storage import Storage, storage

if TYPE_CHECKING:
    from airside.sdk.flows.task import Task
    from airside.sdk.flows.task_run import Call

_log = logging.getLogger("airside.flows")


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """What two calls must have in common for one to take the other's result. `INPUTS - "name"` leaves out one input."""

    parts: frozenset[str]
    without: frozenset[str] = frozenset()

    def __add__(self, other: "CachePolicy") -> "CachePolicy":
        if not isinstance(other, CachePolicy):
            return NotImplemented
        return CachePolicy(self.parts | other.parts, self.without | other.without)

    def __sub__(self, name: str) -> "CachePolicy":
        if not isinstance(name, str):
            return NotImplemented
        return CachePolicy(self.parts, self.without | {name})

    def key(self, task: "Task[..., Any]", values: Mapping[str, Any], run: str | None) -> str | None:
        """Make the key of a call; None when it is not to be cached. Raises Unkeepable."""
        if not self.parts or ("run" in self.parts and run is None):
            return None
        found: dict[str, Any] = {"task": identity(task)}
        if "inputs" in self.parts:
            found["inputs"] = digest(inputs(task, values, self.without))
        if "source" in self.parts:
            found["source"] = _source(task)
        if "run" in self.parts:
            found["run"] = run
        return digest(found)


#: The same values of the parameters; of a method, also the same instance by value.
INPUTS: Final = CachePolicy(frozenset({"inputs"}))
#: The same source code of the function (not of what it calls).
SOURCE: Final = CachePolicy(frozenset({"source"}))
#: The same task, whatever it is called with.
TASK: Final = CachePolicy(frozenset({"task"}))
#: The same flow run.
RUN: Final = CachePolicy(frozenset({"run"}))
#: No caching.
NONE: Final = CachePolicy(frozenset())


@dataclass(slots=True)
class Place:
    """Where the result of one call is looked for and left; may be sent to another process. `form`: see `results`."""

    where: Storage
    name: str
    key: str
    seconds: float | None
    refresh: bool
    form: str

    def find(self) -> Kept | None:
        """Give the result that is there already."""
        return None if self.refresh else results.find(self.where, self.name, seconds=self.seconds)

    def keep(self, value: Any) -> dict[str, Any] | None:
        """Leave a result, and give the reference to it; None, with a warning, when that is not possible."""
        try:
            return results.keep(self.where, self.name, value, seconds=self.seconds, form=self.form)
        except (Unkeepable, OSError) as error:
            _log.warning("a result is not kept: %s", error)
            return None


def place(call: "Call") -> Place | None:
    """Say where the result of a call with its final values belongs; None when it is not to be kept. Never raises."""
    chosen = call.task.options
    flow = context.flow_context.get()
    persist = chosen.persist_result
    if persist is None and flow is not None:
        persist = flow.flow.options.persist_result
    try:
        where = chosen.result_storage
        if where is None and flow is not None:
            where = flow.flow.options.result_storage
        if (key := _key(call, flow)) is not None:
            name = f"cache/{key[:2]}/{key}"
            return Place(storage(where), name, key, chosen.cache_for, chosen.refresh_cache, results.default_form())
        if persist and flow is not None:
            key = _occurrence(call, flow)
            return Place(storage(where), f"runs/{flow.scope}/{key}", key, None, False, results.default_form())
    except Exception as error:  # noqa: BLE001 - people's functions and objects; the task can run without
        _log.warning("the result of %s is neither looked for nor kept: %s: %s", call.run.name, _kind(error), error)
    return None


def check(cache_key: Any, policy: Any) -> None:
    """Refuse options that are none. Raises BadOption."""
    if cache_key is not None and not callable(cache_key) and not (isinstance(cache_key, str) and cache_key):
        raise BadOption(
            "cache_key must be a text like 'sales-{day}', or a function of (context, parameters) giving one"
        )
    if policy is not None and not isinstance(policy, CachePolicy):
        raise BadOption("cache_policy must be one of INPUTS, SOURCE, TASK, RUN, NONE, or several with `+`")


def identity(task: "Task[..., Any]") -> str:
    """Name a task in the same way in every process."""
    module = task.fn.__module__
    if module == "__main__":
        module = Path(getattr(sys.modules["__main__"], "__file__", None) or "main").stem
    return f"{module}.{task.fn.__qualname__}/{task.name}"


def inputs(task: "Task[..., Any]", values: Mapping[str, Any], without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Give what a call depends on: its values, and of a method its instance."""
    found = {name: value for name, value in values.items() if name not in without}
    bound = getattr(task.fn, "__self__", None)
    return found if bound is None else {**found, "(self)": bound}


def _key(call: "Call", flow: "context.FlowContext | None") -> str | None:
    chosen = call.task.options
    run = flow.scope if flow is not None else None
    if chosen.cache_key is not None:
        if isinstance(chosen.cache_key, str):
            return sha256(naming.filled("cache_key", chosen.cache_key, chosen, call.values).encode()).hexdigest()
        about = context.TaskContext(task=call.task, run=call.run, parameters=call.values, tags=call.tags)
        given = chosen.cache_key(about, dict(call.values))
        if given is None:
            return None
        if not isinstance(given, str) or not given:
            raise BadOption(f"cache_key must give a text or None, not {type(given).__name__}")
        return sha256(given.encode()).hexdigest()
    policy = chosen.cache_policy
    if policy is None and (chosen.cache_for is not None or chosen.refresh_cache):
        policy = INPUTS
    return policy.key(call.task, call.values, run) if policy is not None else None


def _occurrence(call: "Call", flow: "context.FlowContext") -> str:
    """Name the nth call of a task with these inputs in this run: the same in another process that carries it on."""
    same = digest([identity(call.task), inputs(call.task, call.values)])
    number = flow.number(f"result {same}")
    return digest([same, number, flow.branch] if flow.branch else [same, number])


def _source(task: "Task[..., Any]") -> str:
    try:
        return inspect.getsource(task.fn)
    except (OSError, TypeError):
        code = getattr(task.fn, "__code__", None)
        return code.co_code.hex() if code is not None else identity(task)


def _kind(error: Exception) -> str:
    return type(error).__name__
