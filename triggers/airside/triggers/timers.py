"""Deadlines in the order in which they pass: a heap whose cancelled entries are passed over."""

import heapq
from typing import Any, Final

from airside.events.wire import Micros

_SMALL: Final = 1_024  # a heap below this is never worth rebuilding


class Timers:
    """Pending deadlines. Those at the same moment pass in the order they were set."""

    def __init__(self) -> None:
        #: Moments with handles; those that were taken back are still among them.
        self.heap: list[tuple[Micros, int]] = []
        self._live: dict[int, tuple[Micros, int, Any]] = {}
        self._next_handle = 1

    def __len__(self) -> int:
        return len(self._live)

    def set(self, deadline: Micros, rule: int, token: Any) -> int:
        """Add a deadline for a rule and give the handle that cancels it."""
        handle = self._next_handle
        self._next_handle = handle + 1
        self._live[handle] = (deadline, rule, token)
        heapq.heappush(self.heap, (deadline, handle))
        return handle

    def cancel(self, handle: int) -> None:
        """Take back a deadline; one that has passed or was taken back already is fine."""
        if self._live.pop(handle, None) and len(self.heap) > _SMALL and len(self.heap) > 2 * len(self._live):
            self._rebuild()

    def move(self, handle: int, deadline: Micros, rule: int, token: Any) -> int:
        """Take back a deadline and add another in its place, at the end of those of its moment."""
        live = self._live
        if live.pop(handle, None) and len(self.heap) > _SMALL and len(self.heap) > 2 * len(live):
            self._rebuild()
        handle = self._next_handle
        self._next_handle = handle + 1
        live[handle] = (deadline, rule, token)
        heapq.heappush(self.heap, (deadline, handle))
        return handle

    def _rebuild(self) -> None:
        """Leave out what was taken back."""
        self.heap = [(deadline, each) for each, (deadline, _, _) in self._live.items()]
        heapq.heapify(self.heap)

    @property
    def next_deadline(self) -> Micros | None:
        """Give the earliest pending deadline."""
        while self.heap and self.heap[0][1] not in self._live:
            heapq.heappop(self.heap)
        return self.heap[0][0] if self.heap else None

    def due(self, now: Micros) -> bool:
        """Tell quickly whether a deadline may lie before `now`; True also for one that was taken back."""
        return bool(self.heap) and self.heap[0][0] < now

    def pop_before(self, now: Micros) -> tuple[Micros, int, Any] | None:
        """Take the earliest deadline that lies before `now`: its moment, rule and token."""
        heap, live = self.heap, self._live
        while heap and heap[0][0] < now:
            passed = live.pop(heapq.heappop(heap)[1], None)
            if passed:
                return passed
        return None

    def save(self) -> Any:
        """Give the state as plain values."""
        return [self._next_handle, [[handle, *timer] for handle, timer in self._live.items()]]

    def load(self, state: Any) -> None:
        """Take on a saved state."""
        self._next_handle, live = state
        self._live = {handle: (deadline, rule, _token(token)) for handle, deadline, rule, token in live}
        self._rebuild()


def _token(value: Any) -> Any:
    return tuple(_token(item) for item in value) if isinstance(value, list) else value
