"""Tasks on threads of the flow's own process: the default."""

import os
import queue
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from airside.sdk.flows.exceptions import BadOption
from airside.sdk.flows.futures import Future, given_up
from airside.sdk.flows.runners.base import TaskRunner
from airside.sdk.flows.states import State
from airside.sdk.flows.task_run import Call, execute, execute_async

if TYPE_CHECKING:
    import asyncio


class ThreadRunner(TaskRunner):
    """Runs tasks on up to `workers` threads; coroutine tasks on the flow's event loop, or on one of their own."""

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and (not isinstance(workers, int) or workers < 1):
            raise BadOption(f"workers must be a number from 1 on, not {workers!r}")
        self._workers = workers or min(32, (os.cpu_count() or 1) + 4)
        self._lock = threading.Lock()
        self._users = 0
        self._pool: WorkerThreads | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Count one more flow run that needs the threads; they begin with the first task."""
        with self._lock:
            self._users += 1

    def close(self) -> None:
        """End the threads when no flow run needs them any more."""
        with self._lock:
            self._users -= 1
            if self._users > 0:
                return
            pool, self._pool, loop, self._loop = self._pool, None, self._loop, None
        if pool is not None:
            pool.end()
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def start(self, call: Call, future: Future[Any]) -> None:
        """Queue the call for a thread, or schedule it on a loop."""
        if call.is_async:
            self._start_async(call, future)
            return
        context = copy_context()

        def work() -> State[Any]:
            return context.run(execute, call)

        future.offer(work)
        self._threads().put(future)

    def _start_async(self, call: Call, future: Future[Any]) -> None:
        loop = call.loop or self._own_loop()
        future.loop = loop
        context = copy_context()

        async def work() -> None:
            try:
                future.settle(await execute_async(call))
            except BaseException as error:
                future.settle(given_up(error))
                raise

        def begin() -> None:
            task = loop.create_task(work(), context=context)
            _running.add(task)
            task.add_done_callback(_running.discard)
            task.add_done_callback(_seen)

        loop.call_soon_threadsafe(begin)

    def _threads(self) -> "WorkerThreads":
        with self._lock:
            if self._pool is None:
                self._pool = WorkerThreads(self._workers)
            return self._pool

    def _own_loop(self) -> "asyncio.AbstractEventLoop":
        with self._lock:
            if self._loop is None:
                import asyncio  # noqa: PLC0415 - 60 ms that plain tasks need not pay

                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_turn, args=(self._loop,), name="airside-loop", daemon=True).start()
            return self._loop


_running: "set[asyncio.Task[None]]" = set()


def _run(future: Future[Any]) -> None:
    """Do the work unless a thread that waits for it has begun; a future is settled whatever happens."""
    try:
        future.run_here()
    except BaseException:  # noqa: BLE001 - the future has it; nobody else looks at this thread
        return


class WorkerThreads:
    """Threads that begin when they are needed. Daemons: work that cannot be stopped must not keep a process alive."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._queue: queue.SimpleQueue[Future[Any] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads = 0
        self._lock = threading.Lock()

    def put(self, future: Future[Any]) -> None:
        self._queue.put(future)
        if self._threads >= self._workers or self._idle.acquire(blocking=False):
            return
        with self._lock:
            if self._threads < self._workers:
                self._threads += 1
                threading.Thread(target=self._work, name=f"airside-task-{self._threads}", daemon=True).start()

    def end(self) -> None:
        for _ in range(self._threads):
            self._queue.put(None)

    def _work(self) -> None:
        while (future := self._queue.get()) is not None:
            _run(future)
            del future
            self._idle.release()


def _turn(loop: "asyncio.AbstractEventLoop") -> None:
    import asyncio  # noqa: PLC0415

    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def _seen(task: "asyncio.Task[None]") -> None:
    """Look at the error, which the future has: asyncio would print it."""
    if not task.cancelled():
        task.exception()
