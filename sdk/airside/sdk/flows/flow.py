"""`@flow`: a function whose calls are runs, with tasks inside."""

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from airside.sdk.flows import attempts, flow_run, futures, iterating, options
from airside.sdk.flows.exceptions import BadOption
from airside.sdk.flows.options import Delay, FlowOptions, Hook
from airside.sdk.flows.parameters import Parameters
from airside.sdk.flows.runners.base import TaskRunner
from airside.sdk.flows.states import State

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Flow(Generic[P, R]):
    """A function under `@flow`. Call it as before: it runs here, and what becomes of it is observed."""

    def __init__(self, function: Callable[P, R], chosen: FlowOptions) -> None:
        self.fn = function
        self.options = chosen
        self.parameters = Parameters(function)
        self.is_async = attempts.is_async(function)
        functools.update_wrapper(cast(Callable[..., Any], self), function)

    @property
    def name(self) -> str:
        """The flow's name: the function's, with `-` for `_`, unless told otherwise."""
        return self.options.name

    def __repr__(self) -> str:
        return f"<Flow {self.name}>"

    def __get__(self, instance: object, owner: type | None = None) -> "Flow[..., R]":
        if instance is None:
            return self
        return Flow(cast(Callable[..., R], self.fn.__get__(instance, owner)), self.options)

    def with_options(self, **changed: Any) -> "Flow[P, R]":
        """Give the same flow with other options; those of `@flow`."""
        return Flow(self.fn, _options(self.fn, options.changed(_given(self.options), changed)))

    @overload
    def run(  # type: ignore[overload-overlap] # a coroutine is an R too: the first that fits counts
        self: "Flow[P, Coroutine[Any, Any, T]]", *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, State[T]]: ...
    @overload
    def run(self, *args: P.args, **kwargs: P.kwargs) -> State[R]: ...

    def run(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run the flow here and give its final State; of a coroutine function give the coroutine that does.

        What the function raises is in the state. Raises BadParameters, and what ends a program.
        """
        return cast(Callable[..., Any], self)(*args, return_state=True, **kwargs)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the flow here and give its value; of a coroutine function give the coroutine.

        `return_state=True` gives the final State instead; type checkers know that of `run`. Raises what the function
        raises, after the retries, and BadParameters for values that do not fit the annotations.
        """
        return_state = bool(kwargs.pop("return_state", False))
        values = self.parameters.bind(args, kwargs)
        if attempts.is_generator(self.fn):
            made = iterating.each_async(self, values) if self.is_async else iterating.each(self, values)
            return cast(R, made)
        if self.is_async:
            return cast(R, self._call_async(values, return_state=return_state))
        state = flow_run.execute(self, values)
        return cast(R, state if return_state else futures.values_in(state.result()))

    async def _call_async(self, values: Mapping[str, Any], *, return_state: bool) -> Any:
        state = await flow_run.execute_async(self, values)
        return state if return_state else futures.values_in(state.result())

    def deploy(self, name: str, **options: Any) -> str:
        """Create or update the deployment `flow/name` on the server; gives that name. Only metadata is sent.

        Options: `cron`, `every` (`10m`, or seconds), `rrule`, `at`, each one or a list, with `timezone` and `anchor`,
        or `schedules` as in the file; `queue`, `parameters`, `tags`, `priority`, `concurrency`, `retries`, `timeout`,
        `storage`, `infrastructure`, `on_lost`, as in the file of `airside deployments build`. Without `storage` the
        code is this flow's file where it lies. Raises InvalidDeployment, BadOption and ClientError.
        """
        from airside.sdk.deploying import sending  # noqa: PLC0415 - most flows are not deployed from Python

        return sending.deploy(self, name, **options)

    def serve(self, name: str = "served", *, limit: int = 4, **options: Any) -> None:
        """Deploy the flow and carry out its runs from here, in processes of their own, until Ctrl-C.

        `limit` is how many at once; the other options are those of `deploy`. The deployment is paused at the end.
        """
        from airside.sdk.deploying import sending  # noqa: PLC0415

        sending.serve(self, name, limit=limit, **options)

    def new_runner(self) -> TaskRunner:
        """Give the runner of the tasks that a run submits."""
        chosen = self.options.task_runner
        if chosen is None:
            from airside.sdk.flows.runners.threads import ThreadRunner  # noqa: PLC0415 - it imports what a run needs

            return ThreadRunner()
        runner = chosen() if isinstance(chosen, type) else chosen
        if not isinstance(runner, TaskRunner):
            raise BadOption(f"task_runner of {self.name} must be a TaskRunner, not {type(runner).__name__}")
        return runner

    def source_version(self) -> str | None:
        """Give a short digest of the function's source: the version of a flow that names none."""
        try:
            return sha256(inspect.getsource(self.fn).encode()).hexdigest()[:12]
        except (OSError, TypeError):
            return None


@overload
def flow(function: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(
    *,
    name: str | None = ...,
    version: str | None = ...,
    tags: Iterable[str] = ...,
    description: str | None = ...,
    retries: int = ...,
    retry_delay: Delay = ...,
    retry_jitter: float = ...,
    retry_if: Callable[..., bool] | None = ...,
    timeout: float | timedelta | None = ...,
    task_runner: TaskRunner | type[TaskRunner] | None = ...,
    validate_parameters: bool = ...,
    log_prints: bool | None = ...,
    persist_result: bool | None = ...,
    result_storage: str | None = ...,
    run_name: str | Callable[..., str] | None = ...,
    on_running: Hook | Sequence[Hook] | None = ...,
    on_completed: Hook | Sequence[Hook] | None = ...,
    on_failure: Hook | Sequence[Hook] | None = ...,
    on_crashed: Hook | Sequence[Hook] | None = ...,
    on_cancellation: Hook | Sequence[Hook] | None = ...,
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...


def flow(function: Callable[..., Any] | None = None, /, **given: Any) -> Any:
    """Make a flow of a function; as `@flow` or `@flow(retries=2, …)`. The function stays callable as it was.

    `timeout` is in seconds, per attempt. `task_runner` runs the tasks it submits (default: threads). Parameters are
    validated by their annotations unless `validate_parameters` is off. Hooks are called as `hook(flow, run, state)`.
    Raises BadOption.
    """
    if function is None:
        return lambda decorated: flow_of(decorated, given)
    if given or not (callable(function) or isinstance(function, classmethod)):
        raise BadOption("write @flow, or @flow(name=…, …) with keywords only")
    return flow_of(function, given)


def flow_of(function: Callable[..., Any], given: Mapping[str, Any]) -> Flow[..., Any]:
    """Make a flow with these options. Raises BadOption."""
    if isinstance(function, staticmethod | classmethod):
        raise BadOption("put @flow under @staticmethod or @classmethod, next to the function")
    return Flow(function, _options(function, given))


def _options(function: Callable[..., Any], given: Mapping[str, Any]) -> FlowOptions:
    known = set(inspect.signature(FlowOptions).parameters) - {"hooks"} | set(options.HOOKS)
    if unknown := sorted(set(given) - known):
        raise BadOption(f"@flow knows no option {unknown[0]!r}; it knows {', '.join(sorted(known))}")
    return FlowOptions(**options.common(function, given))


def _given(chosen: FlowOptions) -> dict[str, Any]:
    """Write options as they could have been given."""
    names = set(inspect.signature(FlowOptions).parameters) - {"hooks"}
    hooks = {name: chosen.hooks[kind] for name, kind in options.HOOKS.items() if kind in chosen.hooks}
    return {name: getattr(chosen, name) for name in names} | hooks
