"""One run of a task, from its first state to its last."""

import functools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import Token
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airside.events import run_states
from airside.events.run_states import State as Kind
from airside.sdk.emitting import message
from airside.sdk.flows import attempts, caching, context, futures, interrupts, limited, naming, reporting, retries
from airside.sdk.flows.context import FlowContext, Stop, TaskContext
from airside.sdk.flows.exceptions import RunCancelled, UpstreamFailed
from airside.sdk.flows.hooks import call_hooks
from airside.sdk.flows.prints import printed
from airside.sdk.flows.reporting import Reporter, Run
from airside.sdk.flows.states import State, describe, failed

if TYPE_CHECKING:
    import asyncio

    from airside.sdk.flows.task import Task

R = TypeVar("R")
#: So many upstream runs are named on an event; a fan-in of thousands would not fit.
_MAX_UPSTREAM: Final = 50
#: What ends a run from outside of its function, in words; and cancelled coroutines.
_LEFT: Final[Mapping[type[BaseException], str]] = {
    interrupts.Interrupted: "the run around it was ended",
    KeyboardInterrupt: "interrupted from the keyboard",
}


@dataclass(slots=True, kw_only=True)
class Call:
    """A task with the values of one call, ready to be run here or elsewhere. `values` may hold futures at first."""

    task: "Task[..., Any]"
    run: Run
    values: Mapping[str, Any]
    tags: frozenset[str]
    reporter: Reporter
    stop: Stop | None
    waits_for: Sequence["futures.Future[Any]"] = ()
    needs: Sequence["futures.Future[Any]"] = ()
    loop: "asyncio.AbstractEventLoop | None" = None
    #: The number of this call of the task in its flow run, from 0.
    number: int = 0
    #: Where the result is looked for and left, once that `is_placed`: before the call went to another process.
    place: caching.Place | None = None
    is_placed: bool = False

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function."""
        return self.task.is_async


def prepare(task: "Task[..., Any]", values: Mapping[str, Any], wait_for: list[Any]) -> Call:
    """Make the call of a task in the present context: its run with name, tags and relations."""
    flow, outer = context.flow_context.get(), context.task_context.get()
    number = flow.number(task.name) if flow is not None else 0
    upstream = list(dict.fromkeys(futures.find({**values, "": wait_for} if wait_for else dict(values))))
    tags = task.options.tags | context.current_tags()
    labels, tag_resources = naming.tagged(tags)
    run = Run(
        kind="task_run",
        id=message.uuid7(),
        name=naming.run_name(task.options, values, f"{task.name}-{number}"),
        related=[*_around(task, flow, outer), *_upstream(upstream), *tag_resources],
        labels=labels,
        details={"version": task.options.version} if task.options.version else {},
    )
    return Call(
        task=task,
        run=run,
        values=values,
        tags=tags,
        reporter=flow.reporter if flow is not None else reporting.reporter(),
        stop=flow.work if flow is not None else None,
        waits_for=upstream,
        needs=list(futures.find(wait_for, allowed=False)) if wait_for else (),
        loop=flow.loop if flow is not None else None,
        number=number,
    )


def execute(call: Call) -> State[Any]:
    """Run a plain task to its end. What the function raises is in the state; what ends a program is raised too."""
    with interrupts.Shield():
        life = _Life(call)
        if (state := life.begin()) is not None:
            return state
        token = life.enter()
        try:
            while True:
                try:
                    attempts.hold(call.stop)
                    with limited.held(call):
                        life.attempt()
                        value = attempts.call(life.work, timeout=life.timeout, stop=call.stop, sink=life.sink)
                except BaseException as error:  # noqa: BLE001 - each kind has its end
                    delay = life.after(error)
                    if delay is None:
                        return life.end(error)
                else:
                    return life.complete(value)
                try:
                    interrupts.limited(functools.partial(time.sleep, delay), None, call.stop)
                except BaseException as error:  # noqa: BLE001
                    return life.end(error)
        finally:
            context.task_context.reset(token)


async def execute_async(call: Call) -> State[Any]:
    """Run a coroutine task to its end, as `execute`."""
    import asyncio  # noqa: PLC0415 - who awaits has it; plain tasks do without

    life = _Life(call)
    try:
        state = await _off_loop(life.begin) if life.keeps else life.begin()
    except asyncio.CancelledError as error:
        return life.end(error)
    if state is not None:
        return state
    token = life.enter()
    try:
        while True:
            try:
                await attempts.ahold(call.stop)
                async with limited.held_async(call):
                    life.attempt()
                    value = await attempts.acall(life.work, timeout=life.timeout, stop=call.stop, sink=life.sink)
            except BaseException as error:  # noqa: BLE001 - each kind has its end
                delay = life.after(error)
                if delay is None:
                    return life.end(error)
            else:
                return await _off_loop(life.complete, value) if life.keeps else life.complete(value)
            try:
                await attempts.acall(functools.partial(asyncio.sleep, delay), timeout=None, stop=call.stop)
            except BaseException as error:  # noqa: BLE001
                return life.end(error)
    finally:
        context.task_context.reset(token)


async def _off_loop(function: Callable[..., R], *args: Any) -> R:
    """Call in a thread, and be done with it whatever happens here: a change is told once."""
    import asyncio  # noqa: PLC0415

    work = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


class _Life:
    """The changes of one task run: what is the same for plain and coroutine tasks."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._options = call.task.options
        self.timeout = self._options.timeout
        self.keeps = call.place is not None if call.is_placed else _keeps(call)
        self._place: caching.Place | None = None
        self.sink = printed if self._options.log_prints else None

    def begin(self) -> State[Any] | None:
        """Give the final state of a run that need not or cannot begin."""
        call = self._call
        if call.stop is not None and call.stop.closed:
            return self._final(State(Kind.CANCELLED, call.stop.reason))
        try:
            if call.waits_for or any(isinstance(value, futures.Unmapped) for value in call.values.values()):
                call.values = futures.resolve(dict(call.values))
            for future in call.needs:
                futures.resolve(future)
        except UpstreamFailed as error:
            return self._final(State(Kind.SKIPPED, str(error), error=error))
        return self._known() if self.keeps else None

    def _known(self) -> State[Any] | None:
        """Give the state of a run whose result is known already."""
        call = self._call
        self._place = call.place if call.is_placed else caching.place(call)
        found = self._place.find() if self._place is not None else None
        if found is None:
            return None
        payload = {"cache_key": self._place.key, "result": found.reference} if self._place is not None else {}
        return self._final(State(Kind.CACHED, value=found.value), **payload)

    def enter(self) -> Token[TaskContext | None]:
        """Make this the innermost run of the code that follows."""
        call = self._call
        return context.task_context.set(
            TaskContext(task=call.task, run=call.run, parameters=call.values, tags=call.tags)
        )

    def attempt(self) -> None:
        """Say that an attempt begins."""
        run = self._call.run
        run.attempt += 1
        self._call.reporter.report(run.change(Kind.RUNNING))
        call_hooks(self._call.task, run, State(Kind.RUNNING))

    def work(self) -> Any:
        """Call the function."""
        args, kwargs = self._call.task.parameters.call(self._call.values)
        return self._call.task.collecting(*args, **kwargs)

    def after(self, error: BaseException) -> float | None:
        """Give the seconds to wait before the next attempt; None when there is none."""
        run = self._call.run
        if not isinstance(error, Exception) or run.state is not Kind.RUNNING:
            return None  # it is to end, or could not begin
        if not retries.wanted(self._options, run.attempt, error):
            return None
        delay = retries.delay(self._options, run.attempt, error)
        text = f"{describe(error)}; attempt {run.attempt + 1} of {self._options.retries + 1} follows in {delay:.3g} s"
        self._call.reporter.report(run.change(Kind.RETRYING, text, error, delay_seconds=round(delay, 6)))
        return delay

    def complete(self, value: Any) -> State[Any]:
        """End with a value; a returned state is the run's own."""
        if isinstance(value, State) and value.is_final:
            return self._final(value)
        kept = self._place.keep(value) if self._place is not None else None
        payload = {"result": kept} if kept is not None else {}
        return self._final(State(Kind.COMPLETED, value=value), **payload)

    def end(self, error: BaseException) -> State[Any]:
        """End without a value. What was to end the whole program is raised again."""
        if self._call.run.state in run_states.TERMINAL:
            raise error
        if isinstance(error, Exception):
            return self._final(failed(error))
        if isinstance(error, RunCancelled):
            return self._final(State(Kind.CANCELLED, str(error) or "cancelled", error=error))
        text = left_by(error)
        if text is not None:
            self._final(State(Kind.CANCELLED, text, error=error))
        else:
            self._final(State(Kind.CRASHED, describe(error), error=error))
        raise error

    def _final(self, state: State[Any], **payload: Any) -> State[Any]:
        run = self._call.run
        error = state.error if state.kind in (Kind.FAILED, Kind.CRASHED) else None
        if run.state is None and state.kind not in run_states.INITIAL:
            self._call.reporter.report(run.change(Kind.PENDING))
        self._call.reporter.report(run.change(state.kind, state.message, error, **payload))
        call_hooks(self._call.task, run, state)
        return state


@lru_cache(maxsize=1_024)
def _named(kind: str, *names: str) -> dict[str, Any]:
    """Write a flow or task as a related resource; nobody changes these."""
    return reporting.related(kind, kind, *names)


def _around(task: "Task[..., Any]", flow: FlowContext | None, outer: TaskContext | None) -> Iterator[dict[str, Any]]:
    """Give what the run belongs to: its task, the flow and its run, the task run that called it."""
    names = (task.name,) if flow is None else (flow.flow.name, task.name)
    yield _named("task", *names)
    if flow is not None:
        yield _named("flow", flow.flow.name)
        yield reporting.related_run("flow_run", flow.run)
    if outer is not None:
        yield reporting.related_run("parent", outer.run)


def _upstream(found: Sequence["futures.Future[Any]"]) -> list[dict[str, Any]]:
    return reporting.related_task_runs("upstream", [future.run for future in found[:_MAX_UPSTREAM]])


def _keeps(call: Call) -> bool:
    """Tell whether results of this call may be looked for and kept."""
    own, flow = call.task.options, context.flow_context.get()
    if own.cache_key is not None or own.cache_policy is not None or own.cache_for is not None or own.refresh_cache:
        return True
    if own.persist_result is None:
        return flow is not None and bool(flow.flow.options.persist_result)
    return own.persist_result


def place(call: Call) -> caching.Place | None:
    """Say where the result of a call with its final values is looked for and left; None when it is not to be kept."""
    return caching.place(call) if _keeps(call) else None


def left_by(error: BaseException) -> str | None:
    """Say in words what ended a run from outside of its function; None for any other error."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and type(error) is asyncio.CancelledError:
        return "cancelled"
    return _LEFT.get(type(error))


def give_up(call: Call, error: Exception) -> State[Any]:
    """End a call that nobody could begin as crashed."""
    state: State[Any] = State(Kind.CRASHED, describe(error), error=error)
    call.reporter.report(call.run.change(state.kind, state.message, error))
    return state
