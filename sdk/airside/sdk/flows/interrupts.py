"""Interrupting Python code that runs too long, or is to stop: in any thread, at the next bytecode.

The main thread is also woken from a blocking call, by a signal; other threads are not, since no interpreter can.
The technique is `PyThreadState_SetAsyncExc`, documented in Python's C API for this purpose.

People's code runs in `limited` blocks, our own around it in a `Shield`. Both are on one stack a thread, and an
exception is only ever sent while people's code is on top: a state that is being told is told to the end. What was
wished meanwhile is raised when people's code goes on.
"""

import ctypes
import heapq
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from airside.sdk.flows.context import Stop
from airside.sdk.flows.exceptions import RunCancelled, RunTimedOut

R = TypeVar("R")


class Interrupted(BaseException):
    """Raised in the code that is to end. Passes through inner runs up to the block that it is meant for."""


class _Scope:
    """One call of people's code that can be interrupted once, and never after it has ended."""

    __slots__ = ("here", "reason", "text")

    def __init__(self, here: "_Here") -> None:
        self.here = here
        self.reason: type[BaseException] | None = None
        self.text = ""

    def cancel(self, text: str) -> None:
        self.here.interrupt(self, RunCancelled, text)

    def time_out(self, text: str) -> None:
        self.here.interrupt(self, RunTimedOut, text)


class _Here:
    """What runs in one thread, innermost last: scopes of people's code, None for our own."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._stack: list[_Scope | None] = []
        self._sent = False

    def push(self, scope: _Scope | None) -> int:
        """Enter; gives the depth to leave to. What was sent and has not arrived is taken back."""
        with self._lock:
            self._take_back()
            self._stack.append(scope)
            return len(self._stack) - 1

    def pop(self, depth: int) -> bool:
        """Leave; tells whether code that goes on now is to be interrupted. May be repeated."""
        with self._lock:
            self._take_back()
            del self._stack[depth:]
            return bool(self._stack) and self._stack[-1] is not None and self._wanted()

    def interrupt(self, scope: _Scope, reason: type[BaseException], text: str) -> None:
        with self._lock:
            if scope.reason is not None or scope not in self._stack:
                return
            scope.reason, scope.text = reason, text
            if self._stack[-1] is None:
                return
            self._sent = True
            _raise_in(self._thread, ctypes.py_object(Interrupted))
            if self._thread == threading.main_thread().ident:
                _wake_main()

    def wanted(self) -> bool:
        """Tell whether something on the stack is to end."""
        with self._lock:
            return self._wanted()

    def _wanted(self) -> bool:
        return any(scope is not None and scope.reason is not None for scope in self._stack)

    def _take_back(self) -> None:
        if self._sent:
            _raise_in(self._thread, None)
            self._sent = False


class _Threads(threading.local):
    def __init__(self) -> None:
        self.here = _Here()


_threads = _Threads()


class Shield:
    """Keeps interrupts out of the block: for our own steps between calls of people's code."""

    __slots__ = ("_depth", "_here")

    def __enter__(self) -> None:
        self._here = _threads.here
        self._depth = self._here.push(None)

    def __exit__(self, *_: object) -> None:
        if self._here.pop(self._depth):
            raise Interrupted


def limited(function: Callable[[], R], seconds: float | None = None, stop: Stop | None = None) -> R:
    """Call for at most so many seconds, and no longer than until `stop` is asked.

    Raises RunTimedOut or RunCancelled; a call that went on regardless counts as interrupted all the same. Raises
    Interrupted when a block around this one is to end.
    """
    here = _threads.here
    scope = _Scope(here)
    depth = here.push(scope)
    alarm = None
    try:
        if seconds is not None:
            alarm = _clock.at(time.monotonic() + seconds, scope, f"took longer than {seconds:g} s")
        if stop is not None:
            stop.tell(scope.cancel)
        if here.wanted():
            raise Interrupted
        value = function()
    except Interrupted:
        _leave(here, depth)
        if scope.reason is None:
            raise
        raise scope.reason(scope.text) from None
    finally:
        try:
            _leave(here, depth)
        except Interrupted:  # it arrived where `_leave` begins, before that could catch it
            _leave(here, depth)
        if stop is not None:
            stop.forget(scope.cancel)
        if alarm is not None:
            _clock.forget(alarm)
    if scope.reason is not None:
        raise scope.reason(scope.text)
    return value


def _leave(here: _Here, depth: int) -> None:
    """Leave a block; an interrupt that arrives just before counts by its scope's reason."""
    while True:
        try:
            here.pop(depth)
        except Interrupted:
            continue
        return


class _Clock:
    """One daemon thread that interrupts scopes when their time is over."""

    def __init__(self) -> None:
        self._alarms: list[tuple[float, int, _Scope, str]] = []
        self._dropped: set[int] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._numbers = itertools.count()

    def at(self, moment: float, scope: _Scope, text: str) -> int:
        with self._changed:
            number = next(self._numbers)
            heapq.heappush(self._alarms, (moment, number, scope, text))
            if self._thread is None or not self._thread.is_alive():  # a forked child has none
                self._thread = threading.Thread(target=self._run, name="airside-timeouts", daemon=True)
                self._thread.start()
            if self._alarms[0][1] == number:
                self._changed.notify()
            return number

    def forget(self, number: int) -> None:
        with self._changed:
            self._dropped.add(number)
            if len(self._dropped) > 256 and len(self._dropped) * 2 > len(self._alarms):
                self._alarms = [alarm for alarm in self._alarms if alarm[1] not in self._dropped]
                heapq.heapify(self._alarms)
                self._dropped.clear()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._alarms:
                    self._dropped.clear()
                    self._changed.wait()
                    continue
                moment, number, scope, text = self._alarms[0]
                left = moment - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                heapq.heappop(self._alarms)
                if number in self._dropped:
                    self._dropped.discard(number)
                    continue
            scope.time_out(text)


_clock = _Clock()


def _renew() -> None:
    """Begin anew in a forked child, where the thread is gone and locks may be held by nobody."""
    global _clock, _threads  # noqa: PLW0603
    _clock = _Clock()
    _threads = _Threads()


os.register_at_fork(after_in_child=_renew)


def _raise_in(thread: int, error: "ctypes.py_object[type[BaseException]] | None") -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)


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
