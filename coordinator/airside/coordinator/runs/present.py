"""The state a run is in, as the last change of it on the log says."""

import re
from dataclasses import dataclass
from typing import Any, Final

from airside.events import run_states, subjects, wire
from airside.events.log import Log, Poison
from airside.events.run_states import State
from airside.events.wire import Record

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PREFIX: Final = "run://airside/"
#: The source of the changes that the plane itself makes of runs; it takes none such from others.
SOURCE: Final = "airside://runs"
#: Stands in the payload of a change by which somebody set the state, whatever the run's process does.
SET: Final = "set"


@dataclass(frozen=True, slots=True)
class Present:
    """A run's last change: its number, its state, and the entry of the log that tells of it."""

    state: State
    seq: int
    record: Record

    @property
    def position(self) -> int:
        """Where the change stands on the log."""
        return self.record.position

    def payload(self) -> dict[str, Any]:
        """Read the change's payload; of one that is damaged nothing."""
        try:
            found = self.record.event.payload_object()
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def to_dict(self) -> dict[str, Any]:
        """Give it as the API shows it."""
        return {
            "id": self.record.event.resource.id,
            "state": str(self.state),
            "seq": self.seq,
            "position": self.position,
            "event": wire.to_dict(self.record),
        }


def resource_id(run: str) -> str:
    """Give the id of the run as a resource; a bare UUID names a run of Airside's own."""
    return f"{_PREFIX}{run}" if _UUID.fullmatch(run) else run


def change_id(run: str, seq: int, word: str = "") -> str:
    """Make the id of a run's change. Without a word it is the one that the run's own process gives."""
    name = f"{run.removeprefix(_PREFIX)}.{seq}"
    return f"{name}.{word}" if word else name


def of_record(record: Record) -> Present | None:
    """Read an entry as the change of a flow run; None for any other."""
    return _change(record, "flow_run.")


def of_task(record: Record) -> Present | None:
    """Read an entry as the change of a task run; None for any other."""
    return _change(record, "task_run.")


def _change(record: Record, kind: str) -> Present | None:
    state = run_states.of_type(record.event.type)
    if state is None or not record.event.type.startswith(kind):
        return None
    found = Present(state, 1, record)
    seq = found.payload().get("seq")
    # Others may tell of runs without counting.
    return Present(state, seq, record) if type(seq) is int and 0 < seq < 2**53 else found


async def read(log: Log, workspace: str, run: str) -> Present | None:
    """Read it from the log, where the last word is; the views may lag. None when there is no such run.

    Raises LogError.
    """
    entry = await log.last(subjects.flow_run_changes(workspace, run))
    return of_record(entry) if entry is not None and not isinstance(entry, Poison) else None


def is_set_to_end(present: Present) -> bool:
    """Tell whether somebody set the run to an end: it stays so, and a process that works on it is to end."""
    if present.state not in run_states.TERMINAL or present.record.event.source != SOURCE:
        return False
    return present.payload().get(SET) is True


async def is_to_be_cancelled(log: Log, workspace: str, present: Present) -> bool:
    """Tell whether somebody wants the run to end. A process that was away may have written over the wish since."""
    if is_set_to_end(present):
        return True
    if present.state in run_states.TERMINAL - {State.CRASHED}:
        return False
    if present.state is State.CANCELLING:
        return True
    run = present.record.event.resource.id
    return bool(await log.last_on_subject(subjects.event(workspace, run, f"flow_run.{State.CANCELLING}")))


def waits(present: Present) -> bool:
    """Tell whether a run waits for an agent: scheduled, or resumed after its process had ended."""
    if present.state is State.RESUMED:
        return present.payload().get("previous") == State.SUSPENDED
    return present.state in (State.SCHEDULED, State.LATE)


async def scheduled(log: Log, present: Present) -> dict[str, Any]:
    """Give a change's payload, with what the run was scheduled with where the change does not say it.

    What the run's own process tells says nothing of the deployment. Raises LogError.
    """
    payload = present.payload()
    if "deployment" in payload:
        return payload
    event = present.record.event
    entry = await log.last(subjects.event(event.workspace, event.resource.id, f"flow_run.{State.SCHEDULED}"))
    first = {} if entry is None or isinstance(entry, Poison) else entry.event.payload_object()
    return first | payload
