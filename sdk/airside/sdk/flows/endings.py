"""Telling how runs ended while their callers go on: one after the other, each behind the events before it.

A flow that ended has nothing to wait for: its value is there. What the log makes of the end is asked in a thread; the
end of the process waits for it.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from airside.sdk.flows.reporting import Change

#: So many ends wait at most; then their callers do.
_MOST: Final = 100
#: The end of a process waits so long for a plane that answers; what is not decided then is told as it happened.
_FINISH_SECONDS: Final = 15.0
_log = logging.getLogger("airside")

#: Does what is needed to have a change told.
Tell = Callable[[], None]


class Endings:
    """The ends of runs of one process, in the order they came."""

    def __init__(self, give_up: Callable[[Change], object]) -> None:
        self._give_up = give_up
        self._fresh()

    def _fresh(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Change, Tell]] = deque()  # the first of them is being told
        self._thread: threading.Thread | None = None

    def put(self, change: Change, tell: Tell) -> bool:
        """Have `tell` called when it is its turn; False when the caller must do it, since this cannot."""
        if self._process != os.getpid():
            self._fresh()  # a forked child: what waits is its parent's
        with self._changed:
            if len(self._waiting) >= _MOST or not self._runs():
                return False
            self._waiting.append((change, tell))
            self._changed.notify_all()
        return True

    def wait(self, seconds: float) -> bool:
        """Wait until all are told, at most so long; tells whether they are."""
        if self._process != os.getpid() or threading.current_thread() is self._thread:
            return True
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def finish(self) -> None:
        """Wait at the end of the process, then give up what is still waiting: an id counts once, if both succeed."""
        if self._process != os.getpid():
            return
        try:
            self.wait(_FINISH_SECONDS)
        finally:
            with self._changed:
                left = [change for change, _ in self._waiting]
                self._waiting.clear()
            for change in left:
                self._give_up(change)

    def _runs(self) -> bool:
        """Start the thread if there is none; False where none can be had. Call it with the lock."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="airside-endings", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                first = self._waiting[0]
            change, tell = first
            try:
                tell()
            except Exception:  # noqa: BLE001 - later ones must be told all the same
                _log.exception("the end of a run could not be asked for; it is told as it happened")
                self._give_up(change)
            with self._changed:
                if self._waiting and self._waiting[0] is first:  # else it was given up
                    self._waiting.popleft()
                self._changed.notify_all()
