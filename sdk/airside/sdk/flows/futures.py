"""What `submit` gives: the future of a task's run. Futures may be passed to other tasks, also inside containers."""

import concurrent.futures
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airside.events.run_states import State as Kind
from airside.sdk.flows import context
from airside.sdk.flows.exceptions import FlowError, UpstreamFailed
from airside.sdk.flows.reporting import Reporter, Run
from airside.sdk.flows.states import State, describe

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")
_DEPTH = 5
_MOMENT = 0.005


class Future(Generic[R]):
    """The run of a submitted task. Wait for it with `result()`, or `await` it in async code."""

    def __init__(self, run: Run, task_name: str) -> None:
        self.run = run
        self.task_name = task_name
        self._state: concurrent.futures.Future[State[R]] = concurrent.futures.Future()
        self._work: Callable[[], State[R]] | None = None
        self._claim = threading.Lock()
        #: The event loop that the run is on, for a coroutine task.
        self.loop: asyncio.AbstractEventLoop | None = None
        #: What must have ended before the run begins, and whether the runner has it.
        self.waits_for: Sequence[Future[Any]] = ()
        self.started = False

    def __repr__(self) -> str:
        return f"<Future of {self.run.name}: {self.run.state.value if self.run.state else 'new'}>"

    def done(self) -> bool:
        """Tell whether the run has ended."""
        return self._state.done()

    @property
    def state(self) -> State[R] | None:
        """The run's final state; None while it has not ended."""
        return self._state.result() if self._state.done() else None

    def wait(self, timeout: float | None = None) -> State[R]:
        """Wait for the end, at most so many seconds, and give the final state. Raises TimeoutError."""
        if not self._state.done():
            _refuse_blocking_a_loop(self)
            if timeout is None and context.task_context.get() is not None:
                _work_off(self)
        return self._state.result(timeout)

    def result(self, timeout: float | None = None, *, raise_on_failure: bool = True) -> R:
        """Wait for the end and give the value, or raise the run's error. Raises TimeoutError."""
        return self.wait(timeout).result(raise_on_failure=raise_on_failure)

    def __await__(self) -> Generator[Any, None, R]:
        import asyncio  # noqa: PLC0415 - who awaits has it; plain flows do without

        state = yield from asyncio.wrap_future(self._state).__await__()
        return state.result()

    async def wait_async(self) -> State[R]:
        """Wait for the end without blocking the event loop, and give the final state."""
        import asyncio  # noqa: PLC0415

        return await asyncio.wrap_future(self._state)

    def on_done(self, call: Callable[["Future[R]"], None]) -> None:
        """Call when the run has ended, at once if it has; in the thread that ends it."""
        self._state.add_done_callback(lambda _: call(self))

    def settle(self, state: State[R]) -> None:
        """End with this state; who runs the task calls it, once."""
        try:
            self._state.set_result(state)
        except concurrent.futures.InvalidStateError:
            pass  # it was given up before

    def offer(self, work: Callable[[], State[R]]) -> None:
        """Let a thread that waits for this future do the work itself, if nobody has begun it."""
        self._work = work

    def claim(self) -> Callable[[], State[R]] | None:
        """Take the work; None if somebody has."""
        with self._claim:
            work, self._work = self._work, None
            return work

    def drop(self, reason: str, reporter: Reporter) -> None:
        """End as cancelled if nobody has begun the work."""
        if self.claim() is not None:
            reporter.report(self.run.change(Kind.CANCELLED, reason))
            self.settle(State(Kind.CANCELLED, reason))

    def run_here(self) -> None:
        """Do the work in this thread if it waits in a queue. Raises what ends more than the run."""
        if (work := self.claim()) is None:
            return
        try:
            self.settle(work())
        except BaseException as error:
            self.settle(given_up(error))
            raise


class Unmapped(Generic[R]):
    """A value that `map` passes to each call as it is."""

    def __init__(self, value: R) -> None:
        self.value = value


class AllowFailure(Generic[R]):
    """A future whose failure is passed on as its error, instead of keeping the next task from running."""

    def __init__(self, future: Future[R]) -> None:
        self.future = future


def unmapped(value: R) -> Unmapped[R]:
    """Mark a value that `map` must not take apart."""
    return Unmapped(value)


def allow_failure(future: Future[R]) -> AllowFailure[R]:
    """Mark a future whose failure the next task will handle: it is given the error in place of the value."""
    return AllowFailure(future)


def find(value: Any, depth: int = _DEPTH, *, allowed: bool = True) -> Iterator[Future[Any]]:
    """Give the futures in a value: itself, or in lists, tuples, sets and dicts; those that may fail if `allowed`."""
    if isinstance(value, Future):
        yield value
    elif isinstance(value, AllowFailure):
        if allowed:
            yield value.future
    elif depth and _holds(value):
        for item in value.values() if isinstance(value, dict) else value:
            yield from find(item, depth - 1, allowed=allowed)


def resolve(value: Any, depth: int = _DEPTH) -> Any:
    """Put results in the place of futures that have ended. Raises UpstreamFailed for one that did not complete."""
    if isinstance(value, Future):
        return _value_of(value)
    if isinstance(value, AllowFailure):
        return value.future.wait().result(raise_on_failure=False)
    if isinstance(value, Unmapped):
        return value.value
    if not depth or not _holds(value) or not any(True for _ in find(value, depth)):
        return value
    if isinstance(value, dict):
        return {key: resolve(item, depth - 1) for key, item in value.items()}
    return _plain(value)(resolve(item, depth - 1) for item in value)


def after(futures: Iterable[Future[Any]], call: Callable[[], None]) -> None:
    """Call when all of these have ended, at once if they have."""
    waiting = [future for future in futures if not future.done()]
    if not waiting:
        call()
        return
    lock, left = threading.Lock(), len(waiting)

    def ended(_future: Future[Any]) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            call()

    for future in waiting:
        future.on_done(ended)


def concurrent_wait(futures: Iterable[Future[Any]], seconds: float | None = None) -> bool:
    """Wait until all have ended, at most so many seconds; tells whether they have."""
    end = None if seconds is None else time.monotonic() + seconds
    try:
        for future in futures:
            future.wait(None if end is None else max(end - time.monotonic(), 0))
    except TimeoutError:
        return False
    return True


async def all_ended(futures: Iterable[Future[Any]]) -> None:
    """Wait until all have ended, without blocking the event loop."""
    for future in futures:
        await future.wait_async()


def states_in(value: Any) -> list[State[Any]] | None:
    """Give the final states that a returned value holds, as states or futures; None if it holds none."""
    found = list(_states(value, _DEPTH))
    return found or None


def values_in(value: Any, depth: int = _DEPTH) -> Any:
    """Put values in the place of the futures and states of a returned value, errors where there is no value."""
    if isinstance(value, Future):
        return value.wait().result(raise_on_failure=False)
    if isinstance(value, State):
        return value.result(raise_on_failure=False)
    if not depth or not _holds(value) or states_in(value) is None:
        return value
    if isinstance(value, dict):
        return {key: values_in(item, depth - 1) for key, item in value.items()}
    return _plain(value)(values_in(item, depth - 1) for item in value)


def _states(value: Any, depth: int) -> Iterator[State[Any]]:
    if isinstance(value, Future):
        yield value.wait()
    elif isinstance(value, State):
        yield value
    elif depth and _holds(value):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _states(item, depth - 1)


def _value_of(future: Future[Any]) -> Any:
    state = future.wait()
    if not state.is_completed:
        raise UpstreamFailed(f"{future.run.name} is {state.kind.value}: {state.message}".rstrip(": ")) from state.error
    return state.value


def given_up(error: BaseException) -> State[Any]:
    """Make the state of a run that was left by an error which ends more than the run."""
    kind = Kind.CRASHED if isinstance(error, Exception | SystemExit) else Kind.CANCELLED
    return State(kind, describe(error), error=error)


def _work_off(wanted: Future[Any]) -> None:
    """Do in this thread what a task waits for and nobody has begun: tasks that wait must not starve their own pool."""
    order: dict[Future[Any], None] = {}
    stack = [(wanted, False)]
    while stack:
        future, ready = stack.pop()
        if ready:
            order[future] = None
        elif future not in order and not future.done():
            stack.append((future, True))
            stack += [(needed, False) for needed in future.waits_for]
    for future in order:
        while not future.started and not future.done():  # between the end of what it needs and its own beginning
            try:
                future._state.result(_MOMENT)
            except TimeoutError:
                continue
        future.run_here()
        future._state.result()


def _refuse_blocking_a_loop(future: Future[Any]) -> None:
    """A future that runs on this thread's event loop can never end while the thread waits."""
    if future.loop is None:
        return
    import asyncio  # noqa: PLC0415

    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    if running is future.loop:
        raise FlowError(f"{future.run.name} runs on this event loop: write `await future`, not `future.result()`")


def _holds(value: Any) -> bool:
    """Tell whether to look inside: plain containers, and the list that `map` gives."""
    return type(value) in _CONTAINERS or getattr(type(value), "holds_futures", False) is True


def _plain(value: Any) -> Any:
    return type(value) if type(value) in _CONTAINERS else list


_CONTAINERS = (list, tuple, set, dict)
