"""Limits of this process alone, for programs that have no server."""

import threading
import time
from collections import deque
from typing import Final

from airside.sdk.limiting.exceptions import LimitTimedOut


class LocalLimit:
    """At most so many slots at once, first come first served."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._used = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    def acquire(self, name: str, slots: int, timeout: float | None) -> None:
        """Wait for room. Raises LimitTimedOut."""
        me = object()
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._queue.append(me)
            try:
                while self._queue[0] is not me or self._used + slots > self.slots:
                    left = None if end is None else end - time.monotonic()
                    if left is not None and left <= 0:
                        raise LimitTimedOut(f"no room in {name} within {timeout:g} s")
                    self._changed.wait(left)
                self._used += slots
            finally:
                self._queue.remove(me)
                self._changed.notify_all()

    def release(self, slots: int) -> None:
        """Give slots back."""
        with self._changed:
            self._used -= slots
            self._changed.notify_all()


class LocalRates:
    """Rates by name, each a token bucket kept as the moment until which what was taken is paid for."""

    def __init__(self) -> None:
        self._paid: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, name: str, occupy: int, slots: int, per: float, most: float | None) -> float:
        """Give the seconds after which to go on. Raises LimitTimedOut when they are more than `most`."""
        now = time.monotonic()
        with self._lock:
            paid = max(self._paid.get(name, 0.0), now) + occupy * per / slots
            delay = max(0.0, paid - per - now)
            if most is not None and delay > most:
                raise LimitTimedOut(f"{name} gives room in {delay:.3g} s only")
            self._paid[name] = paid
        return delay


limits: Final[dict[str, LocalLimit]] = {}
rates: Final = LocalRates()
