"""The event clock: what time it is by the events' own clocks, for rules that judge by those.

It stands at the newest own time that has come, and goes on with the log's clock while nothing comes. An event that
comes late therefore holds it back: whoever waits for a moment by the events' own clocks waits until the log has caught
up. It never runs ahead of the log's clock. Events that the plane itself writes do not move it.
"""

from datetime import datetime
from typing import Any

from airside.events.wire import Micros, to_micros
from airside.triggers.timers import Timers


class EventClock:
    """The event clock of one workspace, with the deadlines that pass by it. Without any event it is the log's clock."""

    __slots__ = ("_last", "_newest", "timers")

    def __init__(self) -> None:
        self.timers = Timers()
        self._newest: Micros | None = None
        self._last: Micros = 0

    @property
    def lag(self) -> Micros:
        """How far the event clock is behind the log's."""
        return 0 if self._newest is None else self._last - self._newest

    @property
    def next_deadline(self) -> Micros | None:
        """The earliest deadline, by the log's clock as the event clock stands now."""
        deadline = self.timers.next_deadline
        return None if deadline is None else deadline + self.lag

    def observe(self, time: datetime, clock: Micros) -> None:
        """Take in an event by its own time; `clock` is the log's."""
        own = min(to_micros(time), clock)
        self._newest = own if self._newest is None else max(self._newest, own)
        self._last = clock

    def save(self) -> Any:
        """Give the state as plain values."""
        return [self._newest, self._last, self.timers.save()]

    def load(self, state: Any) -> None:
        """Take on a saved state."""
        self._newest, self._last, timers = state
        self.timers.load(timers)
