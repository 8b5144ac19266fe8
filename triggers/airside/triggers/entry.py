"""One log entry as the rules see it: the record, the engine's clock at it, the payload decoded at most once."""

from functools import lru_cache
from sys import intern
from typing import Any

import msgspec
import orjson

from airside.events import subjects
from airside.events.wire import EPOCH, MICROSECOND, Micros, Record, WireEvent, from_micros, to_micros

OCCURRED_PAST: Micros = 30 * 86_400 * 1_000_000  # an own time further back is the producer's mistake
OCCURRED_AHEAD: Micros = 5 * 60 * 1_000_000  # clocks of producers run ahead by minutes, not more


@lru_cache(maxsize=4_096)  # a firing names the same few moments several times
def iso(moment: Micros) -> str:
    """Write a moment as ISO 8601 in UTC with microseconds."""
    return from_micros(moment).isoformat(timespec="microseconds").replace("+00:00", "Z")


class EventRef(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a rule remembers of an event that counted."""

    id: str
    position: int
    type: str
    time: Micros
    received: Micros
    resource: str
    kind: str
    name: str
    time_suspect: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Give the event as firings show it."""
        shown: dict[str, Any] = {
            "id": self.id,
            "position": self.position,
            "type": self.type,
            "time": iso(self.time),
            "received": iso(self.received),
            "resource": {"id": self.resource, "kind": self.kind, "name": self.name},
        }
        if self.time_suspect:
            shown["time_suspect"] = True
        return shown


class Entry(msgspec.Struct, gc=False):
    """A record on its way through the rules. `clock` is the largest log time seen, this record included."""

    record: Record
    event: WireEvent
    clock: Micros
    _payload: Any = None

    @classmethod
    def of(cls, record: Record, clock: Micros) -> "Entry":
        """Make the entry of a record."""
        return cls(record, record.event, clock)

    @property
    def payload(self) -> Any:
        """Decode the payload; one that is damaged counts as empty."""
        if self._payload is None:
            try:
                self._payload = orjson.loads(memoryview(self.event.payload))
            except ValueError:
                self._payload = {}
        return self._payload

    @property
    def is_own(self) -> bool:
        """Tell whether the plane itself wrote the entry."""
        return subjects.is_own(self.record.subject)

    def about(self, payload: Any) -> "Entry":
        """Give the same entry with another payload: one row of an answer, to take a key from."""
        return Entry(self.record, self.event, self.clock, payload)

    def occurred(self) -> tuple[Micros, bool]:
        """Give the event's own time, held within reason of the log's, and whether it had to be held."""
        own = to_micros(self.event.time)
        held = max(self.record.received - OCCURRED_PAST, min(own, self.record.received + OCCURRED_AHEAD))
        return held, held != own

    def ref(self, *, time_suspect: bool = False) -> EventRef:
        """Give what a rule remembers of this event."""
        event = self.event
        resource = event.resource
        return EventRef(
            event.id,
            self.record.position,
            intern(event.type),  # a few, of which each would be kept a million times
            (event.time - EPOCH) // MICROSECOND,  # to_micros, without a call: a ref is made of each event that counts
            self.record.received,
            resource.id,
            intern(resource.kind),
            resource.name,
            time_suspect,
        )
