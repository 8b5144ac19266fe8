"""`@task`: a function whose calls inside flows are runs of their own."""

import functools
import inspect
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from contextvars import copy_context
from datetime import timedelta
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from airside.events.run_states import State as Kind
from airside.sdk.flows import attempts, caching, context, futures, interrupts, options, task_run, transactions
from airside.sdk.flows.exceptions import BadOption, BadParameters
from airside.sdk.flows.futures import AllowFailure, Future, Unmapped
from airside.sdk.flows.options import Delay, Hook, TaskOptions
from airside.sdk.flows.parameters import Parameters
from airside.sdk.flows.states import State
from airside.sdk.flows.transactions import TransactionHook

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Task(Generic[P, R]):
    """A function under `@task`. Call it as before; `submit` and `map` run it beside others."""

    def __init__(self, function: Callable[P, R], chosen: TaskOptions) -> None:
        self.fn = function
        self.options = chosen
        self.parameters = Parameters(function)
        self.is_async = attempts.is_async(function)
        if chosen.cache_key is not None or chosen.cache_policy is not None:
            caching.check(chosen.cache_key, chosen.cache_policy)
        #: What transactions call when they end; see `on_commit` and `on_rollback`.
        self.commit_hooks: list[TransactionHook] = []
        self.rollback_hooks: list[TransactionHook] = []
        self.collecting = attempts.listed(function)
        functools.update_wrapper(cast(Callable[..., Any], self), function)

    @property
    def name(self) -> str:
        """The task's name: the function's, with `-` for `_`, unless told otherwise."""
        return self.options.name

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __get__(self, instance: object, owner: type | None = None) -> "Task[..., R]":
        if instance is None:
            return self
        return self._hooked(Task(cast(Callable[..., R], self.fn.__get__(instance, owner)), self.options))

    def on_commit(self, hook: TransactionHook) -> TransactionHook:
        """Call `hook(transaction)` when a transaction in which this task completed is committed: `@load.on_commit`."""
        transactions.check_hook(hook)
        self.commit_hooks.append(hook)
        return hook

    def on_rollback(self, hook: TransactionHook) -> TransactionHook:
        """Call `hook(transaction)` when one in which this task completed is rolled back: `@load.on_rollback`."""
        transactions.check_hook(hook)
        self.rollback_hooks.append(hook)
        return hook

    def _hooked(self, other: "Task[..., Any]") -> "Task[..., R]":
        other.commit_hooks, other.rollback_hooks = self.commit_hooks, self.rollback_hooks
        return other

    def with_options(self, **changed: Any) -> "Task[P, R]":
        """Give the same task with other options; those of `@task`."""
        made: Task[P, R] = Task(self.fn, _options(self.fn, options.changed(_given(self.options), changed)))
        self._hooked(made)
        return made

    @overload
    def run(  # type: ignore[overload-overlap] # a coroutine is an R too: the first that fits counts
        self: "Task[P, Coroutine[Any, Any, T]]", *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, State[T]]: ...
    @overload
    def run(self, *args: P.args, **kwargs: P.kwargs) -> State[R]: ...

    def run(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run the task here and give its final State; of a coroutine function give the coroutine that does."""
        return cast(Callable[..., Any], self)(*args, return_state=True, **kwargs)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the task here and give its value; of a coroutine function give the coroutine.

        `return_state=True` gives the final State instead; type checkers know that of `run`. `wait_for=[…]` waits for
        futures first. Raises what the function raises, after the retries.
        """
        return_state = bool(kwargs.pop("return_state", False))
        call = self._prepare(args, kwargs)
        if self.is_async:
            return cast(R, self._call_async(call, return_state=return_state))
        for future in call.waits_for:
            future.wait()
        state = task_run.execute(call)
        _note(call, state)
        return cast(R, state if return_state else state.result())

    async def _call_async(self, call: task_run.Call, *, return_state: bool) -> Any:
        for future in call.waits_for:
            await future.wait_async()
        state = await task_run.execute_async(call)
        _note(call, state)
        return state if return_state else state.result()

    @overload
    def submit(
        self: "Task[P, Coroutine[Any, Any, T]]", *args: Any, wait_for: Sequence[Any] = ..., **kwargs: Any
    ) -> Future[T]: ...
    @overload
    def submit(self, *args: Any, wait_for: Sequence[Any] = ..., **kwargs: Any) -> Future[R]: ...

    def submit(self, *args: Any, wait_for: Sequence[Any] = (), **kwargs: Any) -> Future[Any]:
        """Give the run to the flow's task runner and return its future at once.

        Futures among the arguments, also in lists and dicts, become their values before the run begins; if one does not
        complete, this run is skipped. Raises NoRun outside of a flow.
        """
        flow = context.current_flow()
        call = self._prepare(args, {**kwargs, "wait_for": wait_for})
        future: Future[Any] = Future(call.run, self.name)
        if (around := context.transaction.get()) is not None:
            around.await_also(future, self, call.values)
        with interrupts.Shield():
            with flow.lock:
                flow.futures.append(future)
            call.reporter.report(call.run.change(Kind.PENDING))
            if not call.waits_for:
                _start(flow, call, future)
            else:
                future.waits_for = call.waits_for
                futures.after(call.waits_for, functools.partial(copy_context().run, _start, flow, call, future))
        return future

    @overload
    def map(
        self: "Task[P, Coroutine[Any, Any, T]]", *args: Any, wait_for: Sequence[Any] = ..., **kwargs: Any
    ) -> "Futures[T]": ...
    @overload
    def map(self, *args: Any, wait_for: Sequence[Any] = ..., **kwargs: Any) -> "Futures[R]": ...

    def map(self, *args: Any, wait_for: Sequence[Any] = (), **kwargs: Any) -> "Futures[Any]":
        """Submit once for each item of the iterable arguments, which must be equally long; `unmapped(x)` stays whole.

        Texts, bytes and mappings are values, not iterables to take apart. Raises BadParameters.
        """
        values = self.parameters.bind(args, kwargs)
        spread = {name: list(value) for name, value in values.items() if _is_spread(value)}
        lengths = {len(items) for items in spread.values()}
        if not spread:
            raise BadParameters(f"{self.name}.map: give at least one iterable; submit() runs it once")
        if len(lengths) > 1:
            shown = ", ".join(f"{name}: {len(items)}" for name, items in spread.items())
            raise BadParameters(f"{self.name}.map: iterables of different lengths ({shown})")
        whole = {n: v.value if isinstance(v, Unmapped) else v for n, v in values.items() if n not in spread}
        made = []
        for number in range(lengths.pop()):
            one = whole | {name: items[number] for name, items in spread.items()}
            positional, named = self.parameters.call(one)
            made.append(self.submit(*positional, wait_for=wait_for, **named))
        return Futures(made)

    def _prepare(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> task_run.Call:
        wait_for = kwargs.get("wait_for", ())
        if isinstance(wait_for, Future | AllowFailure):
            wait_for = (wait_for,)
        own = {name: value for name, value in kwargs.items() if name != "wait_for"}
        return task_run.prepare(self, self.parameters.bind(args, own), list(wait_for))


class Futures(list[Future[R]]):
    """The futures of a `map`."""

    holds_futures = True

    def result(self, *, raise_on_failure: bool = True) -> list[R]:
        """Wait for all and give their values, in order."""
        return [future.result(raise_on_failure=raise_on_failure) for future in self]

    def wait(self) -> list[State[R]]:
        """Wait for all and give their final states."""
        return [future.wait() for future in self]

    def __await__(self) -> Generator[Any, None, list[R]]:
        values: list[R] = []
        for future in self:
            value = yield from future.__await__()
            values.append(value)
        return values


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
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
    cache_key: str | Callable[..., str | None] | None = ...,
    cache_for: float | timedelta | None = ...,
    cache_policy: Any = ...,
    refresh_cache: bool = ...,
    persist_result: bool | None = ...,
    result_storage: str | None = ...,
    concurrency: str | Sequence[str] | None = ...,
    log_prints: bool | None = ...,
    run_name: str | Callable[..., str] | None = ...,
    on_running: Hook | Sequence[Hook] | None = ...,
    on_completed: Hook | Sequence[Hook] | None = ...,
    on_failure: Hook | Sequence[Hook] | None = ...,
    on_crashed: Hook | Sequence[Hook] | None = ...,
    on_cancellation: Hook | Sequence[Hook] | None = ...,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(function: Callable[..., Any] | None = None, /, **given: Any) -> Any:
    """Make a task of a function; as `@task` or `@task(retries=3, …)`. The function stays callable as it was.

    `retries` more attempts follow a failure, after `retry_delay` (seconds, a list of them, or a function of the retry's
    number), lengthened by up to the share `retry_jitter`, if `retry_if(error)` agrees. `timeout` in seconds is per
    attempt. Hooks are called as `hook(task, run, state)`. Raises BadOption.
    """
    if function is None:
        return lambda decorated: task_of(decorated, given)
    if given or not (callable(function) or isinstance(function, classmethod)):
        raise BadOption("write @task, or @task(name=…, …) with keywords only")
    return task_of(function, given)


def task_of(function: Callable[..., Any], given: Mapping[str, Any]) -> Task[..., Any]:
    """Make a task with these options. Raises BadOption."""
    if isinstance(function, staticmethod | classmethod):
        raise BadOption("put @task under @staticmethod or @classmethod, next to the function")
    return Task(function, _options(function, given))


def _options(function: Callable[..., Any], given: Mapping[str, Any]) -> TaskOptions:
    known = set(inspect.signature(TaskOptions).parameters) - {"hooks"} | set(options.HOOKS)
    if unknown := sorted(set(given) - known):
        raise BadOption(f"@task knows no option {unknown[0]!r}; it knows {', '.join(sorted(known))}")
    return TaskOptions(**options.common(function, given))


def _given(chosen: TaskOptions) -> dict[str, Any]:
    """Write options as they could have been given."""
    names = set(inspect.signature(TaskOptions).parameters) - {"hooks"}
    hooks = {name: chosen.hooks[kind] for name, kind in options.HOOKS.items() if kind in chosen.hooks}
    return {name: getattr(chosen, name) for name in names} | hooks


def _is_spread(value: Any) -> bool:
    if isinstance(value, str | bytes | bytearray | Mapping | Unmapped | Future | State | type):
        return False
    return hasattr(value, "__iter__")


def _note(call: task_run.Call, state: State[Any]) -> None:
    """Let the transaction around the call know that it completed."""
    around = context.transaction.get()
    if around is not None and state.kind is Kind.COMPLETED:
        around.add(call.task, call.values, state.value)


def _start(flow: context.FlowContext, call: task_run.Call, future: Future[Any]) -> None:
    """Hand the call to the runner, in the context that it was submitted in."""
    try:
        flow.runner.start(call, future)
    except Exception as error:  # noqa: BLE001 - the runner is broken; the flow must not wait for ever
        future.settle(task_run.give_up(call, error))
    finally:
        future.started = True
