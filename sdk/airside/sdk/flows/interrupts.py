"""Interrupting Python code that runs too long, or is to stop: in any thread, at the next bytecode.

The main thread is also woken from a blocking call, by a timer signal; other threads are not, since no interpreter can.
The technique is `PyThreadState_SetAsyncExc`, documented in Python's C API for this purpose.
"""

import ctypes
import heapq
import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from airside.sdk.flows.context import Stop
from airside.sdk.flows.exceptions import RunCancelled, RunTimedOut


class Interrupted(BaseException):
    """Raised in the code that is to end; never seen outside of `limited`."""


class _Target:
    """One piece of code that can be interrupted once, and never after it has ended."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._running = True
        self.reason: type[BaseException] | None = None
        self.text = ""

    def interrupt(self, reason: type[BaseException], text: str) -> None:
        with self._lock:
            if not self._running or self.reason is not None:
                return
            self.reason, self.text = reason, text
            _raise_in(self._thread)
            if self._thread == threading.main_thread().ident:
                _wake_main()

    def end(self) -> None:
        """Be done: an interrupt that was asked for and has not arrived yet is taken back."""
        with self._lock:
            self._running = False
            if self.reason is not None:
                _take_back(self._thread)


@contextmanager
def limited(seconds: float | None, stop: Stop | None) -> Iterator[None]:
    """Run the block for at most so many seconds, and no longer than until `stop` is asked.

    Raises RunTimedOut or RunCancelled; an interrupted block that went on regardless counts as interrupted all the same.
    """
    if seconds is None and stop is None:
        yield
        return
    target = _Target()

    def stopped(reason: str) -> None:
        target.interrupt(RunCancelled, reason)

    alarm = None
    if seconds is not None:
        alarm = _clock.at(time.monotonic() + seconds, target, f"took longer than {seconds:g} s")
    if stop is not None:
        stop.tell(stopped)
    try:
        try:
            yield
        finally:
            target.end()
            if stop is not None:
                stop.forget(stopped)
            if alarm is not None:
                _clock.forget(alarm)
    except Interrupted:
        if target.reason is None:
            raise  # meant for a block around this one
        raise target.reason(target.text) from None
    if target.reason is not None:
        raise target.reason(target.text)


class _Clock:
    """One daemon thread that interrupts targets when their time is over."""

    def __init__(self) -> None:
        self._alarms: list[tuple[float, int, _Target, str]] = []
        self._dropped: set[int] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._numbers = itertools.count()

    def at(self, moment: float, target: _Target, text: str) -> int:
        with self._changed:
            number = next(self._numbers)
            heapq.heappush(self._alarms, (moment, number, target, text))
            if self._thread is None or not self._thread.is_alive():  # a forked child has none
                self._thread = threading.Thread(target=self._run, name="airside-timeouts", daemon=True)
                self._thread.start()
            self._changed.notify()
            return number

    def forget(self, number: int) -> None:
        with self._changed:
            self._dropped.add(number)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._alarms and self._alarms[0][1] in self._dropped:
                    self._dropped.discard(heapq.heappop(self._alarms)[1])
                if not self._alarms:
                    self._dropped.clear()
                    self._changed.wait()
                    continue
                moment, _, target, text = self._alarms[0]
                left = moment - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                heapq.heappop(self._alarms)
            target.interrupt(RunTimedOut, text)


_clock = _Clock()


def _renew() -> None:
    """Begin anew in a forked child, where the thread is gone and its lock may be held by nobody."""
    global _clock  # noqa: PLW0603
    _clock = _Clock()


os.register_at_fork(after_in_child=_renew)


def _raise_in(thread: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Interrupted))


def _take_back(thread: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)


def _wake_main() -> None:
    """End a blocking call of the main thread with a signal that does nothing else, where one can be had."""
    if hasattr(signal, "pthread_kill") and _has_wake_handler:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGURG)


def ready_to_wake() -> None:
    """Prepare to wake the main thread; only it can. SIGURG is ignored by default, so nothing else relies on it here."""
    global _has_wake_handler  # noqa: PLW0603
    if _has_wake_handler or threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGURG"):
        return
    if signal.getsignal(signal.SIGURG) in (signal.SIG_DFL, None):
        signal.signal(signal.SIGURG, _nothing)
        _has_wake_handler = True


def _nothing(_number: int, _frame: object) -> None:
    """Let the interpreter look for an exception that was sent to it."""


_has_wake_handler = False
