"""Turns: each automation has a lane of its own, so that the firings of one keep none of another waiting.

A lane holds a few firings in memory. What does not fit is postponed: the broker sends it again about when there will be
room, and meanwhile hands out what other automations fired. Pure: no clock, no broker; `now` is monotonic seconds.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

M = TypeVar("M")

#: Firings that wait in memory; each is kept alive at the broker.
_HELD_BY_LANE: Final = 128
_HELD: Final = 2_048
_MIN_WAIT_SECONDS: Final = 0.5
_MAX_WAIT_SECONDS: Final = 60.0
_FIRST_RATE: Final = 100.0  # firings a second, until it is known better
#: Better too early, and be postponed again, than find the lane empty.
_HASTE: Final = 1.5
_RATE_OVER_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Lane(Generic[M]):
    held: deque[M] = field(default_factory=deque)
    running: int = 0
    rate: float = _FIRST_RATE
    done: int = 0  # since `since`
    since: float = 0.0
    postponed_to: float = 0.0

    def finished(self, now: float) -> None:
        self.done += 1
        passed = now - self.since
        if passed >= _RATE_OVER_SECONDS:
            self.rate = max(1.0, self.done / passed)
            self.done, self.since = 0, now


class Lanes(Generic[M]):
    """Decides which firing is worked on next. `places` are those at once, `share` those of one automation."""

    def __init__(self, places: int, share: int) -> None:
        self._places = places
        self._share = share
        self._lanes: dict[str, _Lane[M]] = {}
        self._turns: OrderedDict[str, None] = OrderedDict()  # lanes that hold something and may run more
        self._running = 0
        self._held = 0

    def put(self, name: str, firing: M, now: float) -> float | None:
        """Take a firing; gives None, or the seconds after which it should come again since there is no room."""
        lane = self._lanes.setdefault(name, _Lane(since=now))
        if len(lane.held) < _HELD_BY_LANE and (self._held < _HELD or not lane.held):
            lane.held.append(firing)
            self._held += 1
            self._enter(name, lane)
            return None
        pace = lane.rate * _HASTE
        lane.postponed_to = max(lane.postponed_to, now + len(lane.held) / pace) + 1 / pace
        return min(max(lane.postponed_to - now, _MIN_WAIT_SECONDS), _MAX_WAIT_SECONDS)

    def next(self) -> tuple[str, M] | None:
        """Give the firing that is to be begun now, and its lane; None when there is none or no place."""
        if self._running >= self._places or not self._turns:
            return None
        name, _ = self._turns.popitem(last=False)
        lane = self._lanes[name]
        firing = lane.held.popleft()
        self._held -= 1
        self._running += 1
        lane.running += 1
        if not lane.held:
            lane.postponed_to = 0.0
        self._enter(name, lane)  # behind the others
        return name, firing

    def finished(self, name: str, now: float) -> None:
        """Note that a firing that was begun is done with."""
        lane = self._lanes[name]
        self._running -= 1
        lane.running -= 1
        lane.finished(now)
        self._enter(name, lane)
        if not lane.running and not lane.held:
            del self._lanes[name]

    def held(self) -> list[M]:
        """List what waits for its turn."""
        return [firing for lane in self._lanes.values() for firing in lane.held]

    def empty(self) -> list[M]:
        """Give up what waits for its turn."""
        given = self.held()
        for lane in self._lanes.values():
            lane.held.clear()
        self._turns.clear()
        self._held = 0
        return given

    def _enter(self, name: str, lane: _Lane[M]) -> None:
        if lane.held and lane.running < self._share and name not in self._turns:
            self._turns[name] = None
