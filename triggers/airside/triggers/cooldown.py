"""`cooldown`: at most one firing per key in that time, counted from the last one that was let through."""

from collections import OrderedDict
from typing import Any

from airside.events.wire import Micros
from airside.triggers.keys import Key


class Cooldown:
    """When each key last fired, as far back as that matters."""

    def __init__(self) -> None:
        self._fired: OrderedDict[Key, Micros] = OrderedDict()

    def allows(self, key: Key, time: Micros, length: Micros) -> bool:
        """Tell whether the key may fire, and remember that it did."""
        fired = self._fired
        while fired and time - next(iter(fired.values())) >= length:
            fired.popitem(last=False)
        last = fired.get(key)
        if last is not None and time - last < length:
            return False
        fired[key] = time
        fired.move_to_end(key)
        return True

    def last(self, key: Key) -> Micros | None:
        """Say when the key last fired, if that is remembered."""
        return self._fired.get(key)

    def save(self) -> Any:
        """Give the state as plain values."""
        return list(self._fired.items())

    def load(self, state: Any) -> None:
        """Take on a saved state."""
        self._fired = OrderedDict((tuple(key), time) for key, time in state)
