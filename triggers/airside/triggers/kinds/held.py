"""Events that came before the one that opens their bucket: kept for a while, in case that one is only late."""

from collections import OrderedDict
from typing import Any, Final

import msgspec

from airside.events.wire import Micros
from airside.triggers.entry import EventRef
from airside.triggers.keys import Key
from airside.triggers.kinds.base import as_key

MAX_HELD: Final = 10_000  # per trigger; the oldest are forgotten first


class Held(msgspec.Struct, array_like=True):
    """An event that waits: its own time, the log's clock when it came, and the event."""

    key: Key
    own: Micros
    clock: Micros
    ref: EventRef


class HeldEvents:
    """The waiting events of a trigger, oldest first. Forgotten after `horizon` on the log's clock."""

    def __init__(self, horizon: Micros) -> None:
        self._horizon = horizon
        self._events: OrderedDict[str, Held] = OrderedDict()
        self._of_key: dict[Key, dict[str, None]] = {}

    def add(self, held: Held) -> None:
        """Keep one more."""
        while self._events:
            oldest = next(iter(self._events.values()))
            if len(self._events) < MAX_HELD and held.clock - oldest.clock <= self._horizon:
                break
            self.remove(oldest)
        self._events[held.ref.id] = held
        self._of_key.setdefault(held.key, {})[held.ref.id] = None

    def inside(self, key: Key, start: Micros, end: Micros | None, clock: Micros) -> list[Held]:
        """List what waits for the key with its own time in a window, by that time."""
        waiting = [self._events[event] for event in self._of_key.get(key, ())]
        found = [each for each in waiting if each.own >= start and (end is None or each.own < end)]
        return sorted((each for each in found if clock - each.clock <= self._horizon), key=lambda each: each.own)

    def remove(self, held: Held) -> None:
        """Forget one."""
        del self._events[held.ref.id]
        others = self._of_key[held.key]
        del others[held.ref.id]
        if not others:
            del self._of_key[held.key]

    def forget(self, key: Key) -> None:
        """Forget all of a key."""
        for event in self._of_key.pop(key, ()):
            del self._events[event]

    def save(self) -> Any:
        """Give the state as plain values."""
        return [msgspec.to_builtins(held) for held in self._events.values()]

    def load(self, state: Any) -> None:
        """Take on a saved state."""
        self._events.clear()
        self._of_key.clear()
        for saved in state:
            held = msgspec.convert(saved, Held)
            held.key = as_key(held.key)
            self.add(held)
