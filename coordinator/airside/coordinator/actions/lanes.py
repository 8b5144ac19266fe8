"""Turns: each automation has a lane of its own, so that the firings of one keep none of another waiting.

A lane holds firings in memory. What does not fit is postponed: the broker sends it again about when there will be room,
and meanwhile hands out what other automations fired. Pure: no clock, no broker; `now` is monotonic seconds.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

M = TypeVar("M")

_MIN_WAIT_SECONDS: Final = 0.5
_MAX_WAIT_SECONDS: Final = 60.0
_FIRST_RATE: Final = 100.0  # firings a second, until it is known better
#: Better too early, and be postponed again, than find the lane empty.
_HASTE: Final = 1.5
_RATE_OVER_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Room:
    """How much may wait for its turn, by the weights that are given with firings."""

    of_lane: int
    of_all: int


@dataclass(slots=True)
class _Lane(Generic[M]):
    held: deque[tuple[M, int]] = field(default_factory=deque)
    weight: int = 0  # of what is held
    running: int = 0
    rate: float = _FIRST_RATE
    done: int = 0  # since `since`
    since: float = 0.0
    idle: bool = False  # was, since `since`: it could have done more
    postponed_to: float = 0.0

    def finished(self, now: float) -> None:
        self.done += 1
        passed = now - self.since
        if passed >= _RATE_OVER_SECONDS:
            rate = max(1.0, self.done / passed)
            self.rate = max(rate, self.rate) if self.idle else rate
            self.done, self.since, self.idle = 0, now, False


class Lanes(Generic[M]):
    """Decides which firing is worked on next. `places` are those at once, `share` those of one automation."""

    def __init__(self, places: int, share: int, room: Room) -> None:
        self._places = places
        self._share = share
        self._room = room
        self._lanes: dict[str, _Lane[M]] = {}
        self._turns: OrderedDict[str, None] = OrderedDict()  # lanes that hold something and may run more
        self._running = 0
        self._held = 0

    def put(self, name: str, firing: M, now: float, weight: int = 1) -> float | None:
        """Take a firing; gives None, or the seconds after which it should come again since there is no room."""
        lane = self._lanes.setdefault(name, _Lane(since=now))
        if lane.weight < self._room.of_lane and (self._held < self._room.of_all or not lane.held):
            lane.held.append((firing, weight))
            lane.weight += weight
            self._held += weight
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
        firing, weight = lane.held.popleft()
        self._held -= weight
        lane.weight -= weight
        self._running += 1
        lane.running += 1
        if not lane.held:
            lane.postponed_to, lane.idle = 0.0, True
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
        return [firing for lane in self._lanes.values() for firing, _ in lane.held]

    def empty(self) -> list[M]:
        """Give up what waits for its turn."""
        given = self.held()
        for lane in self._lanes.values():
            lane.held.clear()
            lane.weight = 0
        self._turns.clear()
        self._held = 0
        return given

    def _enter(self, name: str, lane: _Lane[M]) -> None:
        if lane.held and lane.running < self._share and name not in self._turns:
            self._turns[name] = None
