"""One run of a flow: begins, runs the function with its tasks around it, and decides how it ended."""

import asyncio
import logging
import os
import platform
import signal
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import Token
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from airside.events.run_states import State as Kind
from airside.sdk.emitting import message
from airside.sdk.flows import attempts, context, futures, naming, reporting, retries
from airside.sdk.flows.context import FlowContext, Stop
from airside.sdk.flows.exceptions import RunCancelled, RunRefused
from airside.sdk.flows.hooks import call_hooks
from airside.sdk.flows.reporting import Run
from airside.sdk.flows.states import State, describe, failed, from_return

if TYPE_CHECKING:
    from airside.sdk.flows.flow import Flow

#: Set for the process that an agent starts: the run that it is to carry out, and how many changes it has had.
RUN_ID, RUN_SEQ = "AIRSIDE_RUN_ID", "AIRSIDE_RUN_SEQ"


class Terminated(SystemExit):
    """SIGTERM arrived while a flow ran. Ends the program with exit code 143, as the signal itself would."""

    def __init__(self) -> None:
        super().__init__(143)


def execute(flow: "Flow[..., Any]", values: Mapping[str, Any]) -> State[Any]:
    """Run a plain flow to its end. What the function raises is in the state; what ends a program is raised too."""
    life = _Life(flow, values)
    with life.around():
        if (state := life.begin()) is not None:
            return state
        while True:
            life.attempt()
            try:
                value = attempts.call(life.work, timeout=flow.options.timeout, stop=life.stop, sink=life.sink)
                futures.concurrent_wait(life.unfinished())
                return life.finish(from_return(value, futures.states_in(value)))
            except BaseException as error:  # noqa: BLE001 - each kind has its end
                life.abandon(error)
                futures.concurrent_wait(life.unfinished())
                delay = life.after(error)
                if delay is None:
                    return life.end(error)
                if not life.wait(delay):
                    return life.end(RunCancelled(life.stop.reason))


async def execute_async(flow: "Flow[..., Any]", values: Mapping[str, Any]) -> State[Any]:
    """Run a coroutine flow to its end, as `execute`."""
    life = _Life(flow, values, asyncio.get_running_loop())
    with life.around():
        if (state := life.begin()) is not None:
            return state
        while True:
            life.attempt()
            try:
                value = await attempts.acall(life.work, timeout=flow.options.timeout, stop=life.stop, sink=life.sink)
                await futures.all_ended(life.unfinished())
                return life.finish(from_return(value, futures.states_in(value)))
            except BaseException as error:  # noqa: BLE001 - each kind has its end
                life.abandon(error)
                if not isinstance(error, asyncio.CancelledError):
                    await futures.all_ended(life.unfinished())
                delay = life.after(error)
                if delay is None:
                    return life.end(error)
                await asyncio.sleep(delay)


@contextmanager
def iterating(flow: "Flow[..., Any]", values: Mapping[str, Any]) -> Iterator[Iterator[Any]]:
    """Run a generator flow: what it yields comes out as it is made, and the run ends when the generator does."""
    life = _Life(flow, values)
    with life.around():
        life.begin()
        life.attempt()
        try:
            args, kwargs = flow.parameters.call(life.values)
            yield flow.fn(*args, **kwargs)
            futures.concurrent_wait(life.unfinished())
        except GeneratorExit:
            life.end(RunCancelled("its values were not wanted any more"))
            raise
        except BaseException as error:
            life.end(error)
            raise
        life.finish(from_return(None, None))


@asynccontextmanager
async def iterating_async(flow: "Flow[..., Any]", values: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[Any]]:
    """Run an async generator flow, as `iterating`."""
    life = _Life(flow, values, asyncio.get_running_loop())
    with life.around():
        life.begin()
        life.attempt()
        try:
            args, kwargs = flow.parameters.call(life.values)
            yield flow.fn(*args, **kwargs)
            await futures.all_ended(life.unfinished())
        except BaseException as error:
            life.end(error)
            raise
        life.finish(from_return(None, None))


class _Life:
    """The changes of one flow run: what is the same for plain and coroutine flows."""

    def __init__(
        self, flow: "Flow[..., Any]", values: Mapping[str, Any], loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._flow = flow
        self._options = flow.options
        self.values = values
        parent, outer = context.flow_context.get(), context.task_context.get()
        self.stop = Stop(parent.stop if parent is not None else None)
        self._reporter = parent.reporter if parent is not None else reporting.reporter()
        self._run, tags = _new_run(flow, values, parent, outer)
        self._context = FlowContext(
            flow=flow,
            run=self._run,
            parameters=values,
            tags=tags,
            reporter=self._reporter,
            runner=flow.new_runner(),
            stop=self.stop,
            loop=loop,
            parent=parent,
        )
        self.sink = logging.getLogger("airside.prints").info if flow.options.log_prints else None

    @contextmanager
    def around(self) -> Iterator[None]:
        """Open and close what the run needs: its context, its runner, the signal handler, its heartbeat."""
        outer: Token[Any] = context.task_context.set(None)
        token = context.flow_context.set(self._context)
        self._context.runner.open()
        try:
            with _terminable(self._context.parent is None), self._reporter.attend(self._run, self.stop):
                yield
        finally:
            self._context.runner.close()
            context.flow_context.reset(token)
            context.task_context.reset(outer)

    def begin(self) -> State[Any] | None:
        """Ask to run, and check the parameters; give the final state of a run that cannot begin."""
        if not self._options.validate_parameters:
            return None
        try:
            self.values = self._flow.parameters.validate(self.values)
        except Exception as error:  # noqa: BLE001 - validators are people's code
            return self._final(failed(error))
        self._context.parameters = self.values
        return None

    def attempt(self) -> None:
        """Ask to run. Raises RunCancelled or RunRefused when somebody has decided otherwise."""
        self._run.attempt += 1
        self._propose(Kind.RUNNING)
        call_hooks(self._flow, self._run, State(Kind.RUNNING))

    def work(self) -> Any:
        """Call the function."""
        args, kwargs = self._flow.parameters.call(self.values)
        return self._flow.fn(*args, **kwargs)

    def unfinished(self) -> "list[futures.Future[Any]]":
        """Give the futures of tasks that have not ended."""
        with self._context.lock:
            return [future for future in self._context.futures if not future.done()]

    def abandon(self, error: BaseException) -> None:
        """Keep tasks that have not begun from beginning, now that the flow's function is over."""
        for future in self.unfinished():
            future.drop(f"the flow ended: {describe(error)}", self._reporter)

    def after(self, error: BaseException) -> float | None:
        """Give the seconds to wait before the next attempt; None when there is none."""
        attempt = self._run.attempt
        if not isinstance(error, Exception) or not retries.wanted(self._options, attempt, error):
            return None
        delay = retries.delay(self._options, attempt, error)
        text = f"{describe(error)}; attempt {attempt + 1} of {self._options.retries + 1} follows in {delay:.3g} s"
        self._propose(Kind.RETRYING, text, error, delay_seconds=round(delay, 6))
        return delay

    def wait(self, delay: float) -> bool:
        """Wait before the next attempt; False when the run is to end instead."""
        try:
            self.stop.sleep(delay)
        except RunCancelled:
            return False
        return True

    def finish(self, state: State[Any]) -> State[Any]:
        """End as the returned value decides."""
        return self._final(state)

    def end(self, error: BaseException) -> State[Any]:
        """End without a value. What was to end the whole program is raised again."""
        if isinstance(error, RunRefused):
            return State(self._run.state or Kind.FAILED, str(error), error=error)
        if isinstance(error, Exception):
            return self._final(failed(error))
        if isinstance(error, RunCancelled):
            return self._final(State(Kind.CANCELLED, str(error) or "cancelled", error=error))
        if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
            text = "interrupted from the keyboard" if isinstance(error, KeyboardInterrupt) else "cancelled"
            self._final(State(Kind.CANCELLED, text, error=error))
            raise error
        text = "terminated by SIGTERM" if isinstance(error, Terminated) else describe(error)
        self._final(State(Kind.CRASHED, text, error=error))
        raise error

    def _final(self, state: State[Any]) -> State[Any]:
        if state.kind is not self._run.state:
            error = state.error if state.kind in (Kind.FAILED, Kind.CRASHED) else None
            try:
                self._propose(state.kind, state.message, error)
            except (RunCancelled, RunRefused) as refused:
                state = State(Kind.CANCELLED, str(refused), error=refused)
        call_hooks(self._flow, self._run, state)
        return state

    def _propose(self, kind: Kind, text: str = "", error: BaseException | None = None, **payload: Any) -> None:
        """Change the state, or learn that somebody else has. Raises RunCancelled and RunRefused."""
        verdict = self._reporter.propose(self._run.change(kind, text, error, **payload))
        if verdict.accepted:
            return
        self._run.state, self._run.seq = verdict.state, verdict.seq
        if verdict.state is Kind.CANCELLING:
            if kind in (Kind.COMPLETED, Kind.FAILED, Kind.CANCELLED, Kind.CRASHED):
                self._reporter.propose(self._run.change(kind, text, error, **payload))
                return
            self.stop.ask("the run was cancelled")
            raise RunCancelled("the run was cancelled")
        if verdict.state is Kind.CANCELLED:
            raise RunCancelled("the run was cancelled")
        raise RunRefused(f"the run is {verdict.state.value}: somebody else has changed it")


def _new_run(
    flow: "Flow[..., Any]",
    values: Mapping[str, Any],
    parent: FlowContext | None,
    outer: "context.TaskContext | None",
) -> tuple[Run, frozenset[str]]:
    given = os.environ.pop(RUN_ID, None) if parent is None else None
    run_id = given or message.uuid7()
    tags = flow.options.tags | context.current_tags() | (parent.tags if parent is not None else frozenset())
    labels, related = naming.tagged(tags)
    related.insert(0, reporting.related("flow", "flow", flow.name))
    if parent is not None:
        related.append(reporting.related_run("parent", parent.run))
    if outer is not None:
        related.append(reporting.related_run("parent_task", outer.run))
    run = Run(
        kind="flow_run",
        id=run_id,
        name=naming.run_name(flow.options, values, f"{flow.name}-{run_id[-8:]}"),
        related=related,
        labels=labels,
        details={
            "version": flow.options.version or flow.source_version(),
            "parameter_names": list(values),
            "parameters_hash": sha256(repr(sorted(values)).encode()).hexdigest()[:16],
            "hostname": platform.node(),
            "pid": os.getpid(),
            "python": platform.python_version(),
        },
        seq=int(os.environ.pop(RUN_SEQ, "0")) if given else 0,
    )
    return run, tags


@contextmanager
def _terminable(outermost: bool) -> Iterator[None]:
    """Let SIGTERM end the flow as an exception would, so that its end is told; only where nobody handles it yet."""
    main = threading.current_thread() is threading.main_thread()
    if not outermost or not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(_number: int, _frame: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
