"""The order of firings by the events' own clocks, for sequences whose producers deliver late."""

from typing import Any, Final

import msgspec

from airside.triggers.keys import Key
from airside.triggers.kinds.base import as_key
from airside.triggers.kinds.compound import CompoundSpec, Fired

MAX_KEPT: Final = 1_000  # firings of one key; the oldest are forgotten first


class OwnOrder:
    """The firings of each key that are still near enough by the log's clock."""

    def __init__(self, spec: CompoundSpec) -> None:
        self._spec = spec
        self.kept: dict[Key, list[Fired]] = {}

    def add(self, key: Key, fired: list[Fired]) -> tuple[Fired, ...] | None:
        """Take in firings. Gives one for each step, in order, when there are some, and begins anew then."""
        now = fired[-1].moment
        kept = [*self.kept.pop(key, ()), *fired]
        kept = [each for each in kept if self._spec.is_near(each.moment, now)][-MAX_KEPT:]
        chain = self.chain(kept)
        if len(chain) == len(self._spec.children):
            return chain
        self.kept[key] = kept
        self._drop_idle(now)
        return None

    def chain(self, kept: list[Fired]) -> tuple[Fired, ...]:
        """Give as many steps as were done, the earliest of each. One entry never serves as two steps."""
        found: list[Fired] = []
        for each in sorted(kept, key=_order):
            if each.child == len(found) and (not found or _order(each) > _order(found[-1])):
                found.append(each)
        return tuple(found)

    def _drop_idle(self, now: int) -> None:
        """Forget keys whose firings are all too old; those untouched for longest come first."""
        while self.kept:
            oldest = next(iter(self.kept))
            if self._spec.is_near(self.kept[oldest][-1].moment, now):
                return
            del self.kept[oldest]

    def save(self) -> Any:
        """Give the state as plain values."""
        return [[key, msgspec.to_builtins(kept)] for key, kept in self.kept.items()]

    def load(self, state: Any) -> None:
        """Take on a saved state."""
        self.kept = {as_key(key): msgspec.convert(kept, list[Fired]) for key, kept in state}


def _order(fired: Fired) -> tuple[int, int]:
    return fired.occurred, fired.position
