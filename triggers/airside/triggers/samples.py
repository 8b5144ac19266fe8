"""What an event contributes to a metric: a number from its payload, or how long a run took.

A run took as long as its event says under `duration` (in seconds), or else the time from its last `running` or
`started` event to this one, by the producer's clock. Which run an event is about says `airside.events.run_facts`: two
runs of one job may overlap. Other events count for their resource.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from airside.events import run_facts
from airside.events.wire import Micros, WireEvent
from airside.triggers import paths
from airside.triggers.aggregates import Number
from airside.triggers.durations import SECOND
from airside.triggers.entry import Entry

DURATION: Final = "duration"
START_TYPES: Final = (
    "*.running",
    "*.started",
    "dbt.*.started",
    "airflow.*.running",
    "openlineage.run.start",
    "prefect.flow-run.Running",
    "prefect.task-run.Running",
)
_STARTS: Final = frozenset({"running", "started", "start", "Running"})
_EXACT: Final = 2.0**53  # larger floats stay floats: as whole numbers they would not fit where they are saved
MAX_STARTS: Final = 100_000  # runs whose start is remembered; the oldest are forgotten first

Measure: TypeAlias = Callable[[Entry], Number | None]


def measure(path: str) -> Measure:
    """Turn a JSONPath into a function to the first number that it finds."""
    values_of = paths.compile_path(path)

    def get(entry: Entry) -> Number | None:
        return next((_plain(value) for value in values_of(entry.payload) if type(value) in (int, float)), None)

    return get


def _plain(value: Number) -> Number:
    """Write 2.0 as 2, so that equal samples look equal."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


def _run(event: WireEvent) -> str:
    return run_facts.run_of(event) or event.resource.id


class Durations:
    """When runs started, and from that how long they took."""

    def __init__(self) -> None:
        self._starts: dict[str, Micros] = {}
        self._given = measure("$.duration")

    @staticmethod
    def is_start(entry: Entry) -> bool:
        """Tell whether the event is the start of a run."""
        return entry.event.type.rpartition(".")[2] in _STARTS

    def start(self, entry: Entry) -> None:
        """Remember the start of a run."""
        run = _run(entry.event)
        self._starts.pop(run, None)
        self._starts[run], _ = entry.occurred()
        if len(self._starts) > MAX_STARTS:
            del self._starts[next(iter(self._starts))]

    def __call__(self, entry: Entry) -> Number | None:
        given = self._given(entry)
        if given is not None:
            return given
        start = self._starts.get(_run(entry.event))
        if start is None:
            return None
        end, _ = entry.occurred()
        return _plain(max(0, end - start) / SECOND)

    def save(self) -> Any:
        """Give the state as plain values."""
        return list(self._starts.items())

    def load(self, state: Any) -> None:
        """Take on a saved state."""
        self._starts = {run: start for run, start in state}  # noqa: C416  # the pairs are lists
