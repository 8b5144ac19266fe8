"""Tasks in processes of this machine: for work that Python's threads cannot do side by side, or that may die."""

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from multiprocessing.connection import Connection
from typing import Any, Final

from airside.events.run_states import State as Kind
from airside.sdk.flows.context import Stop
from airside.sdk.flows.exceptions import BadOption, RunCancelled, RunCrashed
from airside.sdk.flows.runners import remote, wire
from airside.sdk.flows.runners.driven import DrivenRunner
from airside.sdk.flows.states import State, describe
from airside.sdk.flows.task_run import Call

_METHODS: Final = ("spawn", "forkserver")
_READY_HINT: Final = 'a script that uses processes must begin its work under `if __name__ == "__main__":`'


class ProcessRunner(DrivenRunner):
    """Runs tasks in up to `workers` processes (default: one a processor).

    Parameters and results are pickled. A process that is killed takes only its own task with it, which becomes
    `crashed`. What does not stop within `grace` seconds after it was cancelled is killed.
    """

    main_by_name = True

    def __init__(self, workers: int | None = None, *, grace: float = 3.0, method: str = "spawn") -> None:
        if method not in _METHODS:
            raise BadOption(f"method must be {' or '.join(_METHODS)}, not {method!r}: a fork copies held locks")
        super().__init__(workers if workers is not None else os.cpu_count() or 1)
        self._grace = grace
        self._context: Any = multiprocessing.get_context(method)
        self._idle: list[_Worker] = []

    def run(self, call: Call, data: bytes) -> State[Any]:
        """Have a call carried out by an idle process, or by a new one."""
        with self.lock:
            worker = self._idle.pop() if self._idle else None
        if worker is None or not worker.is_alive:
            worker = _Worker(self._context)
        state = worker.carry_out(call, data, self._grace)
        with self.lock:
            keep = worker.is_alive and self._users > 0
            if keep:
                self._idle.append(worker)
        if not keep:
            worker.end()
        return state

    def shut_down(self) -> None:
        """End the processes that do nothing; the others end with what they do."""
        with self.lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()


class _Worker:
    """One process, as the flow's process sees it."""

    def __init__(self, context: Any) -> None:
        self._pipe, other = context.Pipe()
        self._sending = threading.Lock()
        self._ready = False
        self._process = context.Process(target=_work, args=(other,), name="airside-task", daemon=True)
        self._process.start()
        other.close()

    @property
    def is_alive(self) -> bool:
        return bool(self._process.is_alive())

    def end(self) -> None:
        """Let the process end by itself."""
        self._pipe.close()
        threading.Thread(target=self._process.join, args=(10.0,), daemon=True).start()

    def carry_out(self, call: Call, data: bytes, grace: float) -> State[Any]:
        killing = threading.Timer(grace, self._process.kill)
        killing.daemon = True

        def stop(reason: str) -> None:
            with contextlib.suppress(OSError, RuntimeError):
                self._send(("stop", reason))
                killing.start()

        try:
            self._send(("call", data))
            if call.stop is not None:
                call.stop.tell(stop)
            return self._receive(call)
        except (EOFError, OSError):
            return self._gone(call, grace)
        finally:
            if call.stop is not None:
                call.stop.forget(stop)
            killing.cancel()

    def _receive(self, call: Call) -> State[Any]:
        while True:
            kind, what = wire.loads(self._pipe.recv_bytes())
            self._ready = True
            if kind == "done":
                state: State[Any] = wire.loads(what)
                return state
            if kind == "bad":
                return remote.lost(call, RunCrashed(what))
            if kind != "ready":
                remote.receive(call, kind, what)

    def _gone(self, call: Call, grace: float) -> State[Any]:
        self._process.join(5.0)
        if call.stop is not None and call.stop.asked:
            text = f"killed, since it did not stop within {grace:g} s: {call.stop.reason}"
            return remote.end(call, State(Kind.CANCELLED, text, error=RunCancelled(text)))
        code = self._process.exitcode
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with {code}"
        hint = "" if self._ready else f"; {_READY_HINT}"
        return remote.lost(call, RunCrashed(f"the task's process {how}{hint}"))

    def _send(self, what: tuple[str, Any]) -> None:
        with self._sending:
            self._pipe.send_bytes(wire.dumps(what))


def _work(pipe: Connection) -> None:
    """Carry calls out, one after the other, until the flow's process closes the pipe or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the flow's process, which says what is to stop
    multiprocessing.current_process().daemon = False  # tasks may start processes of their own
    calls: queue.SimpleQueue[tuple[bytes, Stop]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, calls), name="airside-calls", daemon=True).start()
    sending = threading.Lock()

    def tell(kind: str, what: Any) -> None:
        data = wire.dumps((kind, what))
        with sending:
            pipe.send_bytes(data)

    tell("ready", None)
    while True:
        data, stop = calls.get()
        try:
            tell("done", remote.carry_out(data, tell, stop))
        except OSError:
            return
        except Exception as error:  # noqa: BLE001 - as a module that cannot be imported here
            tell("bad", f"the call could not be carried out in a process of its own: {describe(error)}")


def _listen(pipe: Connection, calls: "queue.SimpleQueue[tuple[bytes, Stop]]") -> None:
    stop = Stop()
    try:
        while True:
            kind, what = wire.loads(pipe.recv_bytes())
            if kind == "call":
                stop = Stop()
                calls.put((what, stop))
            else:
                stop.ask(what)
    except (EOFError, OSError):
        _leave()


def _leave() -> None:
    """End this process: nobody is left to hear of what it does. Events that it emitted itself are kept first."""
    from airside.sdk.emitting import emitter  # noqa: PLC0415 - at the end only

    found = emitter._process
    if found is not None:
        found.close(1.0)
    os._exit(0)
