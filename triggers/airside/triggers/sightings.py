"""Events that a question about a rule came across, by what they did or why they did nothing. The last ones are kept."""

from collections import Counter, deque
from typing import Any, Final

import msgspec

from airside.triggers.entry import Entry
from airside.triggers.misses import Miss

_KEPT: Final = 20  # events of each group that are shown
_MAX_OTHER_KEYS: Final = 1_000  # distinct keys that are counted one by one
_MAX_IDS: Final = 100_000  # ids by which repeats are told; the oldest are forgotten first


class _Group:
    def __init__(self) -> None:
        self._total = 0
        self._events: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def add(self, entry: Entry, part: str, **more: Any) -> None:
        self._total += 1
        self._events.append({**entry.ref().to_dict(), "filter": part, **more})

    def to_dict(self) -> dict[str, Any]:
        return {"total": self._total, "events": list(self._events)}


class Sightings:
    """What was seen. Each method takes one event and the filter that was asked."""

    def __init__(self) -> None:
        self._groups = {name: _Group() for name in ("counted", "missed", "duplicates", "keyless", "ignored")}
        self._others: Counter[tuple[str, ...]] = Counter()
        self._other_events = 0
        self._ids: dict[tuple[str, str], None] = {}

    def counted(self, entry: Entry, part: str) -> None:
        """Note an event that met the filter, unless it did so before."""
        seen = (part, entry.event.id)
        if seen in self._ids:
            self._groups["duplicates"].add(entry, part)
            return
        self._ids[seen] = None
        if len(self._ids) > _MAX_IDS:
            del self._ids[next(iter(self._ids))]
        self._groups["counted"].add(entry, part)

    def missed(self, entry: Entry, part: str, miss: Miss) -> None:
        """Note an event of the right type that did not pass."""
        self._groups["missed"].add(entry, part, miss=msgspec.to_builtins(miss))

    def without_key(self, entry: Entry, part: str, missing: list[str]) -> None:
        """Note an event that lacks parts of the key."""
        self._groups["keyless"].add(entry, part, missing=missing)

    def ignored(self, entry: Entry, part: str, why: str) -> None:
        """Note an event that came while the rule did not run."""
        self._groups["ignored"].add(entry, part, why=why)

    def other_key(self, key: tuple[str, ...]) -> None:
        """Note an event that met the filter for another key."""
        self._other_events += 1
        if key in self._others or len(self._others) < _MAX_OTHER_KEYS:
            self._others[key] += 1

    def to_dict(self) -> dict[str, Any]:
        """Give everything as a JSON object."""
        common = [{"key": list(key), "events": count} for key, count in self._others.most_common(_KEPT)]
        return {
            **{name: group.to_dict() for name, group in self._groups.items()},
            "other_keys": {"events": self._other_events, "keys": len(self._others), "most_common": common},
        }
