"""Which firing led to which: so that rules that set each other off come to an end."""

from collections import OrderedDict
from typing import Any, Final

from airside.events.wire import WireEvent

MAX_FIRINGS: Final = 100_000  # remembered depths; the oldest are forgotten first


class Chains:
    """How deep in a chain of cause and effect the recent firings are."""

    def __init__(self) -> None:
        self._depths: OrderedDict[str, int] = OrderedDict()

    def note(self, firing_id: str, depth: int) -> None:
        """Remember a firing."""
        depths = self._depths
        depths[firing_id] = depth
        depths.move_to_end(firing_id)
        if len(depths) > MAX_FIRINGS:
            depths.popitem(last=False)

    def depth_of(self, event: WireEvent) -> int:
        """Say how deep an event is: a firing itself, what an action did on one, or what followed from that."""
        return max((self._depths.get(each, 0) for each in (event.id, *event.causes)), default=0)

    def save(self) -> Any:
        """Give the state as plain values."""
        return list(self._depths.items())

    def load(self, state: Any) -> None:
        """Take on a saved state."""
        self._depths = OrderedDict(state)
