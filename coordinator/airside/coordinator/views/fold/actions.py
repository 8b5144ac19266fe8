"""The view `actions`: what each firing asks for, from the moment it is due to its result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import duckdb
import orjson

from airside.coordinator.views import tables
from airside.coordinator.views.fold.base import Entry
from airside.coordinator.views.fold.keyed import Ident, Keyed, KeyedFold
from airside.coordinator.views.fold.own import ActionDone, FiringDecided
from airside.events import vocabulary
from airside.events.wire import Micros

_STATES: Final = {
    vocabulary.ACTION_SUCCEEDED: "succeeded",
    vocabulary.ACTION_FAILED: "failed",
    vocabulary.ACTION_RETRIED: "retried",
}
#: A state gives way to one at least as far on: a retry that is told late does not undo a result.
_RANK: Final = {"pending": 0, "retried": 1, "failed": 2, "succeeded": 3}

_COLUMNS: Final = {
    "firing": tables.TEXT,
    "automation": tables.TEXT,
    "kind": tables.TEXT,
    "index": tables.NUMBER,
    "state": tables.TEXT,
    "attempts": tables.NUMBER,
    "result": tables.TEXT,
    "error": tables.TEXT,
    "updated": tables.MOMENT,
    "last_position": tables.NUMBER,
}


@dataclass(slots=True)
class Action:
    """One action of one firing."""

    firing: str
    automation: str
    kind: str
    index: int
    state: str
    attempts: int
    result: bytes | None
    error: str | None
    updated: Micros
    last_position: int

    def copy(self) -> "Action":
        """Copy it."""
        return replace(self)

    def note(self, done: ActionDone, entry: Entry) -> None:
        """Note one outcome."""
        self.attempts = max(self.attempts, done.attempt)
        self.updated, self.last_position = entry.received, entry.record.position
        state = _STATES[entry.record.event.type]
        if _RANK[state] >= _RANK[self.state]:
            self.state, self.error = state, done.error
            self.result = None if done.result is None else orjson.dumps(done.result)


def _to_row(row: Action) -> tuple[Any, ...]:
    return (
        row.firing,
        row.automation,
        row.kind,
        row.index,
        row.state,
        row.attempts,
        row.result,
        row.error,
        row.updated,
        row.last_position,
    )


class Actions(KeyedFold[Action]):
    """Opens a row for each action of a firing and notes what came of it."""

    def __init__(self) -> None:
        super().__init__(Keyed("actions", _COLUMNS, from_row=_from_row, to_row=_to_row))

    def fold(self, con: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> None:
        """Note firings' actions as due, and what came of actions."""
        relevant = [entry for entry in entries if isinstance(entry.own, FiringDecided | ActionDone)]
        self._rows.load(con, [ident for entry in relevant for ident in _idents(entry)])
        for entry in relevant:
            self._fold(entry)

    def _fold(self, entry: Entry) -> None:
        own, workspace = entry.own, entry.record.event.workspace
        if isinstance(own, FiringDecided):
            for index, listed in enumerate(own.listed_actions()):
                ident = _ident(workspace, entry.record.event.id, index)
                if self._rows.get(ident) is None:
                    self._rows.put(ident, _pending(entry, entry.record.event.id, own.automation, listed.kind, index))
        elif isinstance(own, ActionDone):
            ident = _ident(workspace, own.firing, own.index)
            row = self._rows.change(ident)
            if row is None:
                row = _pending(entry, own.firing, own.automation, own.action, own.index)
                self._rows.put(ident, row)
            row.note(own, entry)


def _from_row(*cells: Any) -> Action:
    return Action(*cells)


def _pending(entry: Entry, firing: str, automation: str, kind: str, index: int) -> Action:
    return Action(
        firing,
        automation,
        kind,
        index,
        "pending",
        0,
        None,
        None,
        entry.received,
        entry.record.position,
    )


def _ident(workspace: str, firing: str, index: int) -> Ident:
    return workspace, f"{firing}.{index}"


def _idents(entry: Entry) -> list[Ident]:
    own, event = entry.own, entry.record.event
    if isinstance(own, FiringDecided):
        return [_ident(event.workspace, event.id, index) for index in range(len(own.listed_actions()))]
    if isinstance(own, ActionDone):
        return [_ident(event.workspace, own.firing, own.index)]
    return []
