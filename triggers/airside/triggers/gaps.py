"""When the plane itself was blind: holes between the ticks on the log."""

from collections import deque
from typing import Any, Final

from airside.events.wire import Micros
from airside.triggers.durations import MINUTE, SECOND

TICK_INTERVAL: Final = 10 * SECOND
BLIND_AFTER: Final = 30 * SECOND  # three ticks missing: the way into the log was closed
MAX_HOLD: Final = 5 * MINUTE  # how long a verdict waits for outboxes to empty after a hole
_MAX_GAPS: Final = 1_000  # remembered holes; the oldest is forgotten first


class Gaps:
    """The holes seen so far. A log without any tick has none."""

    def __init__(self) -> None:
        self._last_tick: Micros | None = None
        self._gaps: deque[tuple[Micros, Micros]] = deque(maxlen=_MAX_GAPS)

    def tick(self, clock: Micros) -> None:
        """Note a tick."""
        if self._last_tick is not None and clock - self._last_tick > BLIND_AFTER:
            self._gaps.append((self._last_tick, clock))
        self._last_tick = clock

    def run_on(self, clock: Micros) -> None:
        """Take the plane for awake until then; only for a clock that is moved on without ticks."""
        if self._last_tick is not None:
            self._last_tick = max(self._last_tick, clock)

    def within(self, start: Micros, end: Micros, now: Micros) -> list[tuple[Micros, Micros]]:
        """List the holes that overlap the window, oldest first; one that lasts until `now` is among them."""
        found = [gap for gap in self._gaps if gap[0] < end and gap[1] > start]
        last = self._last_tick
        if last is not None and now - last > BLIND_AFTER and last < end and now > start:
            found.append((last, now))
        return found

    def blind_for(self, start: Micros, end: Micros, now: Micros) -> Micros:
        """Sum up how long the plane was blind inside the window."""
        holes = self.within(start, end, now)
        return sum(min(end, hole_end) - max(start, hole_start) for hole_start, hole_end in holes)

    def hold_until(self, start: Micros, end: Micros, now: Micros) -> Micros | None:
        """Say until when a verdict on the window should wait: as long again as the hole, at most five minutes."""
        holes = self.within(start, end, now)
        if not holes:
            return None
        longest = max(hole_end - hole_start for hole_start, hole_end in holes)
        return holes[-1][1] + min(longest, MAX_HOLD)

    def save(self) -> Any:
        """Give the state as plain values."""
        return [self._last_tick, list(self._gaps)]

    def load(self, state: Any) -> None:
        """Take on a saved state."""
        self._last_tick = state[0]
        self._gaps = deque(((start, end) for start, end in state[1]), maxlen=_MAX_GAPS)
