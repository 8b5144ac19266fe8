"""The view `automations`: the rules that are in force, and how often each has fired."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import duckdb

from airside.coordinator.views import tables
from airside.coordinator.views.fold import own as own_events
from airside.coordinator.views.fold.base import Entry
from airside.coordinator.views.fold.keyed import Ident, Keyed, KeyedFold
from airside.coordinator.views.fold.own import AutomationSwitched, AutomationWritten, FiringDecided
from airside.events import vocabulary
from airside.events.wire import Micros, to_micros

_COLUMNS: Final = {
    "revision": tables.NUMBER,
    "enabled": tables.FLAG,
    "severity": tables.TEXT,
    "description": tables.TEXT,
    "document": tables.TEXT,
    "created": tables.MOMENT,
    "updated": tables.MOMENT,
    "last_triggered": tables.MOMENT,
    "firings": tables.NUMBER,
    "deleted": tables.FLAG,
    "last_position": tables.NUMBER,
}


@dataclass(slots=True)
class Automation:
    """One automation. Deleted ones stay, for the sake of their firings."""

    revision: int
    enabled: bool
    severity: str | None
    description: str | None
    document: bytes
    created: Micros
    updated: Micros
    last_triggered: Micros | None
    firings: int
    deleted: bool
    last_position: int

    def copy(self) -> "Automation":
        """Copy it."""
        return replace(self)

    def rewrite(self, written: AutomationWritten, entry: Entry) -> None:
        """Take over a new document."""
        document = own_events.document(written)
        if self.deleted:
            self.created, self.deleted = entry.received, False
        self.revision, self.enabled = written.revision, document.enabled
        self.severity, self.description = document.severity, document.description
        self.document = bytes(written.document)
        self.updated, self.last_position = entry.received, entry.record.position

    def switch(self, event_type: str, entry: Entry) -> None:
        """Note that it was enabled, disabled or deleted."""
        if event_type == vocabulary.AUTOMATION_DELETED:
            self.deleted = True
        else:
            self.enabled = event_type == vocabulary.AUTOMATION_ENABLED
        self.updated, self.last_position = entry.received, entry.record.position

    def fire(self, decided: FiringDecided, entry: Entry) -> None:
        """Count a firing."""
        self.firings += 1
        self.last_triggered = max(self.last_triggered or 0, to_micros(decided.time))
        self.last_position = entry.record.position


def _from_row(*cells: Any) -> Automation:
    return Automation(*cells)


def _to_row(row: Automation) -> tuple[Any, ...]:
    return (
        row.revision,
        row.enabled,
        row.severity,
        row.description,
        row.document,
        row.created,
        row.updated,
        row.last_triggered,
        row.firings,
        row.deleted,
        row.last_position,
    )


class Automations(KeyedFold[Automation]):
    """Folds what is done to automations, and by them."""

    def __init__(self) -> None:
        super().__init__(Keyed("automations", _COLUMNS, from_row=_from_row, to_row=_to_row))

    def fold(self, con: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> None:
        """Note changes of automations, and firings. What is said of an unknown one changes nothing here."""
        relevant = [(entry, ident) for entry in entries if (ident := _ident(entry)) is not None]
        self._rows.load(con, dict.fromkeys(ident for _, ident in relevant))
        for entry, ident in relevant:
            self._fold(entry, ident)

    def _fold(self, entry: Entry, ident: Ident) -> None:
        own, now = entry.own, entry.received
        if isinstance(own, AutomationWritten) and self._rows.get(ident) is None:
            new = Automation(0, True, None, None, b"{}", now, now, None, 0, False, entry.record.position)
            self._rows.put(ident, new)
        row = self._rows.change(ident)
        if row is None:
            return
        if isinstance(own, AutomationWritten):
            row.rewrite(own, entry)
        elif isinstance(own, AutomationSwitched):
            row.switch(entry.record.event.type, entry)
        elif isinstance(own, FiringDecided):
            row.fire(own, entry)


def _ident(entry: Entry) -> Ident | None:
    if entry.own is None:
        return None
    own, workspace = entry.own, entry.record.event.workspace
    if isinstance(own, AutomationWritten | AutomationSwitched):
        return workspace, own.name
    if isinstance(own, FiringDecided) and own.outcome == "triggered":
        return workspace, own.automation
    return None
