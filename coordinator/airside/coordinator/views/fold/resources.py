"""The view `resources`: what was last seen of everything that events are about or involve."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import orjson

from airside.coordinator.views import tables
from airside.coordinator.views.fold.base import Entry
from airside.coordinator.views.fold.keyed import Ident, Keyed, KeyedFold
from airside.events import Record
from airside.events.wire import Micros, WireRelated, WireResource

MAX_TYPES: Final = 100  # event types remembered per resource; the ones seen longest ago go first
MAX_LABELS: Final = 256  # labels merged per resource, or as many as one event brings

#: Verbs that only say that something lives.
_NO_STATE: Final = frozenset({"heartbeat"})

_COLUMNS: Final = {
    "kind": tables.TEXT,
    "name": tables.TEXT,
    "labels": tables.TEXT,
    "first_seen": tables.MOMENT,
    "last_seen": tables.MOMENT,
    "last_position": tables.NUMBER,
    "last_type": tables.TEXT,
    "last_event_id": tables.TEXT,
    "state": tables.TEXT,
    "last_by_type": tables.TEXT,
}


@dataclass(slots=True)
class Resource:
    """One resource. Both dicts are in the order of their last change, the latest at the end."""

    kind: str
    name: str
    labels: dict[str, str]
    first_seen: Micros
    last_seen: Micros
    last_position: int
    last_type: str | None = None
    last_event_id: str | None = None
    state: str | None = None
    last_by_type: dict[str, dict[str, Any]] = field(default_factory=dict)

    def copy(self) -> "Resource":
        """Copy it so far that changing the copy leaves this one as it is."""
        return Resource(
            self.kind,
            self.name,
            self.labels.copy(),
            self.first_seen,
            self.last_seen,
            self.last_position,
            self.last_type,
            self.last_event_id,
            self.state,
            self.last_by_type.copy(),
        )

    def see(self, seen: WireResource | WireRelated, record: Record) -> None:
        """Note that an event is about this resource or involves it."""
        if seen.kind:
            self.kind = seen.kind
        if seen.name:
            self.name = seen.name
        self.last_seen = max(self.last_seen, record.received)
        self.last_position = record.position
        if seen.labels and not seen.labels.items() <= self.labels.items():
            self._label(seen.labels)

    def happen(self, record: Record) -> None:
        """Note what an event says about this resource."""
        event = record.event
        self.last_type, self.last_event_id = event.type, event.id
        verb = event.type.rpartition(".")[2]
        if verb not in _NO_STATE:
            self.state = verb
        types = self.last_by_type
        types.pop(event.type, None)
        types[event.type] = {"position": record.position, "time": event.time, "id": event.id}
        if len(types) > MAX_TYPES:
            del types[next(iter(types))]

    def _label(self, new: dict[str, str]) -> None:
        labels = self.labels
        for key, value in new.items():
            if labels.get(key) != value:
                labels.pop(key, None)
                labels[key] = value
        most = max(MAX_LABELS, len(new))
        while len(labels) > most:
            del labels[next(iter(labels))]


def _from_row(kind: str, name: str, labels: str, *between: Any) -> Resource:
    first_seen, last_seen, last_position, last_type, last_event_id, state, last_by_type = between
    return Resource(
        kind,
        name,
        orjson.loads(labels),
        first_seen,
        last_seen,
        last_position,
        last_type,
        last_event_id,
        state,
        orjson.loads(last_by_type),
    )


def _to_row(row: Resource) -> tuple[Any, ...]:
    return (
        row.kind,
        row.name,
        orjson.dumps(row.labels),
        row.first_seen,
        row.last_seen,
        row.last_position,
        row.last_type,
        row.last_event_id,
        row.state,
        orjson.dumps(row.last_by_type, option=orjson.OPT_UTC_Z),
    )


class Resources(KeyedFold[Resource]):
    """Folds each event into its resource and the related ones."""

    def __init__(self) -> None:
        super().__init__(Keyed("resources", _COLUMNS, from_row=_from_row, to_row=_to_row))

    def fold(self, con: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> None:
        """See each event's resource and the related ones."""
        idents: dict[Ident, None] = {}
        for entry in entries:
            event = entry.record.event
            idents[event.workspace, event.resource.id] = None
            for related in event.related:
                idents[event.workspace, related.id] = None
        self._rows.load(con, idents)
        for entry in entries:
            record = entry.record
            for related in record.event.related:
                self._see(related, record)
            self._see(record.event.resource, record).happen(record)

    def _see(self, seen: WireResource | WireRelated, record: Record) -> Resource:
        ident = (record.event.workspace, seen.id)
        row = self._rows.change(ident)
        if row is None:
            now = record.received
            row = Resource(seen.kind, seen.name, {}, now, now, record.position)
            self._rows.put(ident, row)
        row.see(seen, record)
        return row
