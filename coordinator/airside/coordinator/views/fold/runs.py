"""The view `runs`: one row per run, whoever runs it, and what it is doing.

A row is what the greatest fact about the run says (see `airside.events.run_facts`), so neither late events nor the
borders of batches change what it becomes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import duckdb
import orjson

from airside.coordinator.views import tables
from airside.coordinator.views.fold.base import Entry
from airside.coordinator.views.fold.keyed import Keyed, KeyedFold
from airside.events import Record, run_facts, run_states
from airside.events.run_facts import RunFact
from airside.events.run_states import State
from airside.events.wire import Micros

_COLUMNS: Final = {
    "source": tables.TEXT,
    "kind": tables.TEXT,
    "job": tables.TEXT,
    "job_name": tables.TEXT,
    "name": tables.TEXT,
    "url": tables.TEXT,
    "parent": tables.TEXT,
    "state": tables.TEXT,
    "started": tables.MOMENT,
    "ended": tables.MOMENT,
    "duration": tables.REAL,
    "attempt": tables.NUMBER,
    "labels": tables.TEXT,
    "first_seen": tables.MOMENT,
    "last_seen": tables.MOMENT,
    "first_position": tables.NUMBER,
    "last_position": tables.NUMBER,
    "state_time": tables.MOMENT,
    "generation": tables.NUMBER,
    "told_duration": tables.REAL,
}
_SECOND: Final = 1_000_000


@dataclass(slots=True)
class Run:
    """One run. `generation`, `state_time` and `told_duration` are those of the fact that the state is of."""

    source: str
    kind: str
    job: str | None
    job_name: str | None
    name: str | None
    url: str | None
    parent: str | None
    state: State
    started: Micros | None
    attempt: int | None
    labels: dict[str, str]
    first_seen: Micros
    last_seen: Micros
    first_position: int
    last_position: int
    state_time: Micros
    generation: int
    told_duration: float | None

    def copy(self) -> "Run":
        """Copy it. The labels are never changed in place."""
        return replace(self)

    @property
    def ended(self) -> Micros | None:
        """When the run ended, if it has."""
        return self.state_time if self.state in run_states.TERMINAL else None

    @property
    def duration(self) -> float | None:
        """How many seconds the run took: as it says itself, or else from its start to its end."""
        if self.told_duration is not None or self.ended is None or self.started is None:
            return self.told_duration
        return max(0, self.ended - self.started) / _SECOND

    def note(self, fact: RunFact, record: Record) -> None:
        """Note what one event says."""
        self.job, self.job_name = (fact.job, fact.job_name) if fact.job else (self.job, self.job_name)
        self.name, self.parent = fact.name or self.name, fact.parent or self.parent
        self.url = fact.url or self.url
        self.kind = fact.kind
        self.labels = record.event.resource.labels or self.labels
        self.last_seen, self.last_position = max(self.last_seen, record.received), record.position
        if fact.attempt is not None:
            self.attempt = max(self.attempt or 0, fact.attempt)
        if fact.generation > self.generation:
            self.started = fact.started
        elif fact.generation == self.generation and fact.started is not None:
            self.started = fact.started if self.started is None else min(self.started, fact.started)
        if fact.order >= self._order:
            self.state, self.state_time, self.generation = fact.state, fact.time, fact.generation
            self.told_duration = fact.duration

    @property
    def _order(self) -> tuple[int, bool, Micros]:
        final = self.state in run_states.TERMINAL and self.state is not State.CRASHED
        return self.generation, final, self.state_time


class Runs(KeyedFold[Run]):
    """Folds what events say about runs."""

    def __init__(self) -> None:
        super().__init__(Keyed("runs", _COLUMNS, from_row=_from_row, to_row=_to_row))

    def fold(self, con: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> None:
        """Note each fact about a run."""
        found = [(fact, entry.record) for entry in entries if (fact := run_facts.of(entry.record.event))]
        self._rows.load(con, dict.fromkeys((record.event.workspace, fact.run) for fact, record in found))
        for fact, record in found:
            ident = (record.event.workspace, fact.run)
            row = self._rows.change(ident)
            if row is None:
                row = _begin(fact, record)
                self._rows.put(ident, row)
            row.note(fact, record)


def _begin(fact: RunFact, record: Record) -> Run:
    return Run(
        source=fact.source,
        kind=fact.kind,
        job=fact.job,
        job_name=fact.job_name,
        name=fact.name,
        url=fact.url,
        parent=fact.parent,
        state=fact.state,
        started=fact.started,
        attempt=fact.attempt,
        labels=record.event.resource.labels,
        first_seen=record.received,
        last_seen=record.received,
        first_position=record.position,
        last_position=record.position,
        state_time=fact.time,
        generation=fact.generation,
        told_duration=fact.duration,
    )


def _from_row(*row: Any) -> Run:
    values = dict(zip(_COLUMNS, row, strict=True))
    del values["ended"], values["duration"]  # made of the others
    values["state"], values["labels"] = State(values["state"]), orjson.loads(values["labels"])
    return Run(**values)


def _to_row(row: Run) -> tuple[Any, ...]:
    return tuple(orjson.dumps(row.labels) if name == "labels" else getattr(row, name) for name in _COLUMNS)
