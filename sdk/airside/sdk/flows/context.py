"""Which run the code that asks belongs to. Follows threads and coroutines that flows start."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airside.sdk.flows.exceptions import FlowError, RunCancelled
from airside.sdk.flows.reporting import Reporter, Run

if TYPE_CHECKING:
    import asyncio

    from airside.sdk.flows.flow import Flow
    from airside.sdk.flows.futures import Future
    from airside.sdk.flows.runners.base import TaskRunner
    from airside.sdk.flows.task import Task

#: Between looks whether a run that is paused is to end.
PAUSE_LOOK_SECONDS: Final = 0.2


class Stop:
    """The wish that a run ends early, or that it begins nothing. Who works for it looks here, or is told."""

    def __init__(self, parent: "Stop | None" = None) -> None:
        self._asked = threading.Event()
        self._reason = ""
        self._closed = ""
        self._told: dict[Callable[[str], object], None] = {}
        self._lock = threading.Lock()
        self._go_on = threading.Event()
        self._go_on.set()
        self._parent = parent
        if parent is not None:
            parent.tell(self.ask)

    @property
    def asked(self) -> bool:
        """Whether the run is to end."""
        return self._asked.is_set()

    @property
    def closed(self) -> bool:
        """Whether nothing may begin any more."""
        return bool(self._closed) or self._asked.is_set()

    @property
    def reason(self) -> str:
        """Why, in words for people."""
        return self._reason or self._closed

    def close(self, reason: str) -> None:
        """Keep work that has not begun from beginning; what runs goes on."""
        self._closed = self._closed or reason

    @property
    def paused(self) -> bool:
        """Whether somebody has paused the run, or one around it: nothing is to begin now, unless the run is to end."""
        return not self.asked and self._pausing() is not None

    def pause(self) -> None:
        """Let nothing begin until `go_on`; what runs goes on."""
        self._go_on.clear()

    def go_on(self) -> None:
        """Let things begin again."""
        self._go_on.set()

    def wait_while_paused(self) -> None:
        """Return when things may begin, or the run is to end."""
        while not self.asked and (pausing := self._pausing()) is not None:
            pausing._go_on.wait(PAUSE_LOOK_SECONDS)

    def _pausing(self) -> "Stop | None":
        found: Stop | None = self
        while found is not None and found._go_on.is_set():
            found = found._parent
        return found

    def leave(self) -> None:
        """Be over: a parent's wish does not concern this any more."""
        if self._parent is not None:
            self._parent.forget(self.ask)

    def ask(self, reason: str) -> None:
        """Wish it, once; whoever asked to be told is told in this thread."""
        with self._lock:
            if self._asked.is_set():
                return
            self._reason = reason
            self._asked.set()
            told = list(self._told)
        for call in told:
            call(reason)

    def tell(self, call: Callable[[str], object]) -> None:
        """Call `call(reason)` when it is wished, at once if it was."""
        with self._lock:
            self._told[call] = None
            late = self._asked.is_set()
        if late:
            call(self._reason)

    def forget(self, call: Callable[[str], object]) -> None:
        """Tell this one no more."""
        with self._lock:
            self._told.pop(call, None)

    def check(self) -> None:
        """Raise RunCancelled when the run is to end."""
        if self._asked.is_set():
            raise RunCancelled(self._reason)

    def sleep(self, seconds: float) -> None:
        """Sleep, but not on when the run is to end: then raise RunCancelled."""
        self._asked.wait(seconds)
        self.check()


@dataclass(slots=True, kw_only=True)
class FlowContext:
    """What belongs to one run of a flow. `stop` is the run's; `work` that of what runs inside it in this attempt."""

    flow: "Flow[..., Any]"
    run: Run
    parameters: Mapping[str, Any]
    tags: frozenset[str]
    reporter: Reporter
    runner: "TaskRunner"
    stop: Stop
    work: Stop
    loop: "asyncio.AbstractEventLoop | None" = None
    parent: "FlowContext | None" = None
    #: The path of the run's own results: its id, below a parent the same in each process that carries the parent on.
    scope: str = ""
    #: In another process, the part of that path which tells this call of a task from the others: each counts alone.
    branch: str = ""
    #: What this process carries on (a suspending.Resumption), and what it leaves for the next (a suspending.Left).
    resumed: Any = None
    suspended: Any = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    futures: "list[Future[Any]]" = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def number(self, name: str) -> int:
        """Count the calls of one task in this run, from 0."""
        with self.lock:
            self.calls[name] += 1
            return self.calls[name] - 1


@dataclass(slots=True, kw_only=True)
class TaskContext:
    """What belongs to one run of a task."""

    task: "Task[..., Any]"
    run: Run
    parameters: Mapping[str, Any]
    tags: frozenset[str]
    started: datetime = field(default_factory=lambda: datetime.now(UTC))


flow_context: ContextVar[FlowContext | None] = ContextVar("airside_flow", default=None)
task_context: ContextVar[TaskContext | None] = ContextVar("airside_task", default=None)
#: The transaction (a transactions.Transaction) that tasks called here belong to.
transaction: ContextVar[Any] = ContextVar("airside_transaction", default=None)
_tags: ContextVar[frozenset[str]] = ContextVar("airside_tags", default=frozenset())


class NoRun(FlowError, RuntimeError):
    """This works inside a flow or task only."""


def current_flow() -> FlowContext:
    """Give the flow run that this code belongs to. Raises NoRun outside of one."""
    found = flow_context.get()
    if found is None:
        raise NoRun("there is no flow run here: call this from a function under @flow, or from a task it runs")
    return found


def current_run() -> FlowContext | TaskContext | None:
    """Give the innermost run that this code belongs to; None outside of any."""
    return task_context.get() or flow_context.get()


def current_tags() -> frozenset[str]:
    """Give the tags that `tags()` set around this code."""
    return _tags.get()


@contextmanager
def tags(*names: str) -> Iterator[frozenset[str]]:
    """Give all runs that begin inside the block these tags, in addition to their own."""
    token = _tags.set(_tags.get() | frozenset(names))
    try:
        yield _tags.get()
    finally:
        _tags.reset(token)
