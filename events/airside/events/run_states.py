"""The states of a run and the changes between them, as data: one table for process, agent, plane and people.

A run begins in one of `INITIAL`. In a terminal state it stays, but for `crashed`: that is the plane's verdict about a
process that fell silent, and the process itself may correct it when it is heard again. A retry by hand is a new run.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """What a run is doing. The value is the last word of the event's type, as in `flow_run.failed`."""

    SCHEDULED = "scheduled"
    LATE = "late"
    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"  # its process waits for an answer
    SUSPENDED = "suspended"  # its process has ended; it goes on in another one
    RESUMED = "resumed"  # answered; about to go on
    RETRYING = "retrying"  # an attempt failed; another one follows
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CRASHED = "crashed"  # its process was lost
    CANCELLED = "cancelled"
    CACHED = "cached"  # a task whose result was known already
    SKIPPED = "skipped"  # a task that was not to run


#: The highest number of a change. No run changes so often; and there is room above it for what the plane itself adds.
MAX_SEQ: Final = 2**31

_S = State
#: What the runs of flows never are.
TASK_ONLY: Final = frozenset({_S.CACHED, _S.SKIPPED})
TERMINAL: Final = frozenset({_S.COMPLETED, _S.FAILED, _S.CRASHED, _S.CANCELLED, _S.CACHED, _S.SKIPPED})
#: A run in one of these has a process that works on it, and is expected to be heard of.
ALIVE: Final = frozenset({_S.RUNNING, _S.PAUSED, _S.RETRYING, _S.CANCELLING})
INITIAL: Final = frozenset({_S.SCHEDULED, _S.PENDING, _S.RUNNING, _S.CACHED, _S.SKIPPED})

_STOPS: Final = frozenset({_S.CANCELLING, _S.CANCELLED, _S.CRASHED, _S.FAILED})
_ENDS: Final = _STOPS | {_S.COMPLETED}

#: For each state, what may come next.
CHANGES: Final[Mapping[State, frozenset[State]]] = {
    # Paused before any process works on it, a run is held in its queue, and waits there again when it is resumed.
    _S.SCHEDULED: _STOPS | {_S.LATE, _S.PENDING, _S.RUNNING, _S.SKIPPED, _S.PAUSED},
    _S.LATE: _STOPS | {_S.PENDING, _S.RUNNING, _S.PAUSED},
    # An agent that gives a run back, or loses its lease, makes it `scheduled` again.
    _S.PENDING: _STOPS | {_S.SCHEDULED, _S.RUNNING, _S.CACHED, _S.SKIPPED},
    _S.RUNNING: _ENDS | {_S.PAUSED, _S.SUSPENDED, _S.RETRYING, _S.CACHED, _S.SKIPPED},
    _S.PAUSED: _STOPS | {_S.RESUMED, _S.SUSPENDED, _S.SCHEDULED},
    _S.SUSPENDED: _STOPS | {_S.RESUMED},
    _S.RESUMED: _STOPS | {_S.SCHEDULED, _S.PENDING, _S.RUNNING},
    _S.RETRYING: _STOPS | {_S.SCHEDULED, _S.PENDING, _S.RUNNING, _S.PAUSED, _S.SUSPENDED},
    _S.CANCELLING: _ENDS - {_S.CANCELLING},
    _S.CRASHED: frozenset({_S.RUNNING, _S.COMPLETED, _S.FAILED, _S.CANCELLED}),
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.CACHED: frozenset(),
    _S.SKIPPED: frozenset(),
}


def may_change(last: State | None, following: State) -> bool:
    """Tell whether a run whose last state is `last` (None: it is new) may change to `following`."""
    return following in (INITIAL if last is None else CHANGES[last])


def of_type(event_type: str) -> State | None:
    """Give the state that `flow_run.<state>` or `task_run.<state>` names; None for any other type."""
    kind, _, word = event_type.partition(".")
    if kind not in {"flow_run", "task_run"} or word not in _VALUES:
        return None
    state = State(word)
    return None if kind == "flow_run" and state in TASK_ONLY else state


_VALUES: Final = frozenset(State)
