"""What runners have in common that carry tasks out elsewhere: a thread here for each call that is under way there."""

import threading
from abc import abstractmethod
from contextvars import copy_context
from typing import Any

from airside.events.run_states import State as Kind
from airside.sdk.flows.exceptions import BadOption
from airside.sdk.flows.futures import Future
from airside.sdk.flows.runners import remote
from airside.sdk.flows.runners.base import TaskRunner
from airside.sdk.flows.runners.threads import WorkerThreads
from airside.sdk.flows.runners.wire import CannotSend
from airside.sdk.flows.states import State
from airside.sdk.flows.task_run import Call


class DrivenRunner(TaskRunner):
    """Sends calls to other processes, at most `workers` at a time; the others wait here, where they can be dropped."""

    #: Whether the processes have the flow's `__main__` module.
    main_by_name = False

    def __init__(self, workers: int) -> None:
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
            raise BadOption(f"workers must be a number from 1 on, not {workers!r}")
        self.workers = workers
        self.lock = threading.Lock()
        self._users = 0
        self._threads: WorkerThreads | None = None

    def open(self) -> None:
        """Count one more flow run that needs the processes; they begin with the first task."""
        with self.lock:
            self._users += 1

    def close(self) -> None:
        """Let go of them when no flow run needs them any more."""
        with self.lock:
            self._users -= 1
            if self._users > 0:
                return
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.end()
        self.shut_down()

    def start(self, call: Call, future: Future[Any]) -> None:
        """Queue the call."""
        context = copy_context()

        def work() -> State[Any]:
            return context.run(self._carry_out, call)

        future.offer(work)
        with self.lock:
            if self._threads is None:
                self._threads = WorkerThreads(self.workers)
            self._threads.put(future)

    @abstractmethod
    def run(self, call: Call, data: bytes) -> State[Any]:
        """Have a packed call carried out, and wait for its end. What it raises makes the run crash."""

    @abstractmethod
    def shut_down(self) -> None:
        """End what was begun for runs. May be used again."""

    def _carry_out(self, call: Call) -> State[Any]:
        state = remote.resolved(call)
        if state is not None:
            return state
        try:
            data = remote.pack(call, main_by_name=self.main_by_name)
        except CannotSend as error:
            return remote.end(call, State(Kind.FAILED, str(error), error=error))
        try:
            return self.run(call, data)
        except Exception as error:  # noqa: BLE001 - whatever another system's library raises
            return remote.lost(call, error)
