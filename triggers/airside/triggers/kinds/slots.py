"""Several windows of one key, each with a slot: the key and the id of the event that opened it."""

from collections.abc import Collection, Iterable

from airside.triggers.keys import Key


class Slots:
    """Which slots of a key are open, and which were breached, each in the order in which that happened."""

    def __init__(self, parts: int) -> None:
        self._parts = parts
        self._open: dict[Key, dict[Key, None]] = {}
        self._breached: dict[Key, dict[Key, None]] = {}

    def open(self, slot: Key) -> Key:
        """Note that a slot is open, and give it."""
        self._open.setdefault(slot[: self._parts], {})[slot] = None
        return slot

    def close(self, slot: Key) -> None:
        """Note that it no longer is."""
        self._take(self._open, slot)

    def note_breach(self, slot: Key) -> None:
        """Note that it was breached."""
        self._breached.setdefault(slot[: self._parts], {})[slot] = None

    def forget_breach(self, slot: Key) -> None:
        """Note that the breach is over or forgotten."""
        self._take(self._breached, slot)

    def of(self, key: Key) -> Iterable[Key]:
        """Give the open slots of a key, oldest first."""
        return self._open.get(key, ())

    def oldest_breach(self, key: Key, remembered: Collection[Key]) -> Key | None:
        """Give the oldest breach of a key that is still remembered; those that are not are dropped."""
        while slots := self._breached.get(key):
            slot = next(iter(slots))
            if slot in remembered:
                return slot
            self._take(self._breached, slot)
        return None

    def load(self, open_slots: Iterable[Key], breached: Iterable[Key]) -> None:
        """Begin with what was saved."""
        for slot in open_slots:
            self.open(slot)
        for slot in breached:
            self.note_breach(slot)

    def _take(self, slots: dict[Key, dict[Key, None]], slot: Key) -> None:
        of_key = slots.get(slot[: self._parts])
        if of_key is not None:
            of_key.pop(slot, None)
            if not of_key:
                del slots[slot[: self._parts]]
