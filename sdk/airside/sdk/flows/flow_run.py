"""One run of a flow: begins, runs the function with its tasks around it, and decides how it ended."""

import functools
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Token
from typing import TYPE_CHECKING, Any, Final

from airside.events import run_states
from airside.events.run_states import State as Kind
from airside.sdk.flows import (
    attempts,
    beginning,
    context,
    futures,
    interrupts,
    logs,
    reporting,
    retries,
    suspending,
    task_run,
)
from airside.sdk.flows.context import FlowContext, Stop
from airside.sdk.flows.exceptions import RunCancelled, RunRefused, RunSuspended, RunTimedOut
from airside.sdk.flows.hooks import call_hooks
from airside.sdk.flows.prints import printed
from airside.sdk.flows.states import State, describe, failed, from_return

if TYPE_CHECKING:
    import asyncio

    from airside.sdk.flows.flow import Flow

#: So long a run that is to end waits for its tasks to stop. What does not stop then is left behind.
_GRACE_SECONDS: Final = 5.0


class Terminated(SystemExit):
    """SIGTERM arrived while a flow ran. Ends the program with exit code 143, as the signal itself would."""

    def __init__(self) -> None:
        super().__init__(143)


def execute(flow: "Flow[..., Any]", values: Mapping[str, Any]) -> State[Any]:
    """Run a plain flow to its end. What the function raises is in the state; what ends a program is raised too."""
    with interrupts.Shield():
        life = Life(flow, values)
        with life.around(), life.inside():
            try:
                if (state := life.begin()) is not None:
                    return state
                while True:
                    try:
                        attempts.hold(life.stop)
                        life.attempt()
                        value = attempts.call(life.work, timeout=flow.options.timeout, stop=life.stop, sink=life.sink)
                        life.wait_for_tasks()
                        state = from_return(value, futures.states_in(value))
                    except BaseException as error:  # noqa: BLE001 - each kind has its end
                        delay = life.after(life.abandon(error))
                        if delay is None:
                            return life.end(error)
                    else:
                        return life.finish(state)
                    interrupts.limited(functools.partial(time.sleep, delay), None, life.stop)
            except BaseException as error:  # noqa: BLE001 - also while it waited for the next attempt
                return life.end(error)


async def execute_async(flow: "Flow[..., Any]", values: Mapping[str, Any]) -> State[Any]:
    """Run a coroutine flow to its end, as `execute`."""
    import asyncio  # noqa: PLC0415 - who awaits has it; plain flows do without

    life = Life(flow, values, asyncio.get_running_loop())
    with life.around(), life.inside():
        try:
            await futures.all_ended(futures.find(dict(values)))
            if (state := life.begin()) is not None:
                return state
            while True:
                try:
                    await attempts.ahold(life.stop)
                    life.attempt()
                    value = await attempts.acall(
                        life.work, timeout=flow.options.timeout, stop=life.stop, sink=life.sink
                    )
                    await attempts.acall(life.tasks_ended, timeout=None, stop=life.stop)
                    state = from_return(value, futures.states_in(value))
                except BaseException as error:  # noqa: BLE001 - each kind has its end
                    delay = life.after(await life.abandon_async(error))
                    if delay is None:
                        return life.end(error)
                else:
                    return life.finish(state)
                await attempts.acall(functools.partial(asyncio.sleep, delay), timeout=None, stop=life.stop)
        except BaseException as error:  # noqa: BLE001 - also while it waited for the next attempt
            return life.end(error)


class Life:
    """The changes of one flow run: what is the same for plain and coroutine flows."""

    def __init__(
        self, flow: "Flow[..., Any]", values: Mapping[str, Any], loop: "asyncio.AbstractEventLoop | None" = None
    ) -> None:
        self._flow = flow
        self._options = flow.options
        self.values = values
        parent, outer = context.flow_context.get(), context.task_context.get()
        self.stop = Stop(parent.work if parent is not None else None)
        self._reporter = parent.reporter if parent is not None else reporting.reporter()
        resumed = beginning.resumption(flow) if parent is None else None
        self._run, tags = beginning.new_run(flow, values, parent, outer, resumed)
        if resumed is not None:
            self._run.attempt, self._run.name = resumed.left.attempt - 1, resumed.left.name
            self.values = values = resumed.left.parameters
        self._context = FlowContext(
            flow=flow,
            run=self._run,
            parameters=values,
            tags=tags,
            reporter=self._reporter,
            runner=flow.new_runner(),
            stop=self.stop,
            work=Stop(self.stop),
            loop=loop,
            parent=parent,
            scope=self._run.id
            if parent is None
            else f"{parent.scope}/{parent.branch}{beginning.safe(flow.name)}-{parent.number('flow ' + flow.name)}",
            resumed=resumed,
        )
        self.sink = printed if flow.options.log_prints else None
        self._ended = False
        self._terminated = False

    @contextmanager
    def around(self) -> Iterator[None]:
        """Open and close what the run needs as long as it lives: its runner, the signal handler, its heartbeat."""
        logs.set_up()
        self._context.runner.open()
        try:
            with self._terminable(), self._reporter.attend(self._run, self.stop) as attendant:
                suspending.taking_up(self._context, attendant)
                yield
        finally:
            self._context.runner.close()
            self._context.work.leave()
            self.stop.leave()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Make this the run that the code of the block belongs to."""
        outer: Token[Any] = context.task_context.set(None)
        token = context.flow_context.set(self._context)
        try:
            yield
        finally:
            context.flow_context.reset(token)
            context.task_context.reset(outer)

    def begin(self) -> State[Any] | None:
        """Check the parameters; give the final state of a run that cannot begin."""
        try:
            self.values = futures.resolve(dict(self.values))
            if self._options.validate_parameters:
                self.values = self._flow.parameters.validate(self.values)
        except Exception as error:  # noqa: BLE001 - validators are people's code
            return self._final(failed(error))
        self._context.parameters = self.values
        return None

    def attempt(self) -> None:
        """Ask to run. Raises RunCancelled or RunRefused when somebody has decided otherwise."""
        self._context.work.leave()
        self._context.work = Stop(self.stop)
        self._context.calls.clear()  # what was kept in an earlier attempt is found by the same numbers
        self.stop.check()
        self._run.attempt += 1
        self._resume()
        self._propose(Kind.RUNNING)
        suspending.taken_up(self._context)
        call_hooks(self._flow, self._run, State(Kind.RUNNING))

    def _resume(self) -> None:
        """Take the answer that a suspended run waits for, and say so where nobody else has."""
        resumed: suspending.Resumption | None = self._context.resumed
        if resumed is None:
            return
        suspending.answer_of_plane(self._context, resumed)
        if self._run.state is Kind.SUSPENDED:
            given = {"input": resumed.given} if resumed.given else {}
            self._propose(Kind.RESUMED, by="process", **given)

    def work(self) -> Any:
        """Call the function."""
        args, kwargs = self._flow.parameters.call(self.values)
        return self._flow.fn(*args, **kwargs)

    def wait_for_tasks(self) -> None:
        """Wait until the tasks have ended. Raises RunCancelled when the run is to end before."""
        if waiting := self._unfinished():
            interrupts.limited(functools.partial(futures.concurrent_wait, waiting), None, self.stop)

    async def tasks_ended(self) -> None:
        """Wait until the tasks have ended, without blocking the event loop."""
        await futures.all_ended(self._unfinished())

    def abandon(self, error: BaseException) -> BaseException:
        """Keep tasks that have not begun from beginning, and wait for the others; gives what the run ends with."""
        try:
            if not self._give_up_tasks(error):
                self.wait_for_tasks()
                return error
        except BaseException as stronger:  # noqa: BLE001 - cancelled, or interrupted from the keyboard
            self._give_up_tasks(stronger)
            error = stronger
        try:
            futures.concurrent_wait(self._unfinished(), _GRACE_SECONDS)
        except BaseException:  # noqa: BLE001, S110 - asked twice: then without grace
            pass
        return error

    async def abandon_async(self, error: BaseException) -> BaseException:
        """Do as `abandon`, without blocking the event loop."""
        try:
            if not self._give_up_tasks(error):
                await attempts.acall(self.tasks_ended, timeout=None, stop=self.stop)
                return error
        except BaseException as stronger:  # noqa: BLE001
            self._give_up_tasks(stronger)
            error = stronger
        try:
            await attempts.acall(self.tasks_ended, timeout=_GRACE_SECONDS, stop=None)
        except BaseException:  # noqa: BLE001, S110
            pass
        return error

    def _give_up_tasks(self, error: BaseException) -> bool:
        """Drop tasks that have not begun; ask those that run to stop, unless the function merely failed."""
        if isinstance(error, suspending.Suspending):
            return False
        reason = f"the flow ended: {describe(error)}"
        stop = self._context.work
        stop.close(reason)
        for future in self._unfinished():
            future.drop(reason, self._reporter)
        ask = isinstance(error, RunTimedOut) or not isinstance(error, Exception)
        if ask:
            stop.ask(reason)
        return ask

    def _unfinished(self) -> "list[futures.Future[Any]]":
        with self._context.lock:
            self._context.futures = [future for future in self._context.futures if not future.done()]
            return list(self._context.futures)

    def after(self, error: BaseException) -> float | None:
        """Give the seconds to wait before the next attempt; None when there is none."""
        attempt = self._run.attempt
        if not isinstance(error, Exception) or not retries.wanted(self._options, attempt, error):
            return None
        delay = retries.delay(self._options, attempt, error)
        text = f"{describe(error)}; attempt {attempt + 1} of {self._options.retries + 1} follows in {delay:.3g} s"
        self._propose(Kind.RETRYING, text, error, delay_seconds=round(delay, 6))
        return delay

    def finish(self, state: State[Any]) -> State[Any]:
        """End as the returned value decides."""
        return self._final(state)

    def end(self, error: BaseException) -> State[Any]:
        """End without a value. What was to end the whole program is raised again."""
        if self._ended:
            raise error
        if isinstance(error, RunRefused):
            return State(self._run.state or Kind.FAILED, str(error), error=error)
        if isinstance(error, Exception):
            return self._final(failed(error))
        if isinstance(error, RunCancelled):
            return self._final(State(Kind.CANCELLED, str(error) or "cancelled", error=error))
        if isinstance(error, suspending.Suspending):
            state = self._final(State(Kind.SUSPENDED, str(error), error=RunSuspended()), **error.payload)
            if state.kind is Kind.SUSPENDED:
                suspending.told(self._context)
            return state
        text = task_run.left_by(error)
        if self._terminated:
            cancelled = self.stop.asked  # then the signal is how it was made to stop
            text = self.stop.reason if cancelled else "terminated by SIGTERM"
            self._final(State(Kind.CANCELLED if cancelled else Kind.CRASHED, text, error=error))
        elif text is not None:
            self._final(State(Kind.CANCELLED, text, error=error))
        else:
            self._final(State(Kind.CRASHED, describe(error), error=error))
        raise error

    def _final(self, state: State[Any], **payload: Any) -> State[Any]:
        self._ended = True
        if self._run.state is None and self._run.seq == 0:
            self._propose(Kind.PENDING)  # a run can only fail that was about to begin
        if state.kind is not self._run.state:
            error = state.error if state.kind in (Kind.FAILED, Kind.CRASHED) else None
            try:
                self._propose(state.kind, state.message, error, **payload)
            except (RunCancelled, RunRefused) as refused:
                now = self._run.state
                state = State(now if now in run_states.TERMINAL else Kind.CANCELLED, str(refused), error=refused)
        suspending.note_end(self._context, state.kind)
        call_hooks(self._flow, self._run, state)
        return state

    @contextmanager
    def _terminable(self) -> Iterator[None]:
        """Let SIGTERM end the flow as an exception would, so that its end is told; only where nobody handles it yet."""
        main = threading.current_thread() is threading.main_thread()
        if self._context.parent is not None or not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            yield
            return

        def terminate(_number: int, _frame: object) -> None:
            self._terminated = True
            raise Terminated

        signal.signal(signal.SIGTERM, terminate)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

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
