"""A fact about a run, and reading the parts of events that such facts are made of."""

from typing import Any, Literal, TypeAlias

import msgspec

from airside.events import datasets, foreign, run_states, wire
from airside.events.limits import DEFAULT_LIMITS
from airside.events.run_states import State
from airside.events.wire import Micros, WireEvent, WireRelated

Kind: TypeAlias = Literal["run", "task"]


class RunFact(msgspec.Struct, frozen=True, kw_only=True):
    """What one event says about one run. Times are microseconds since 1970; `duration` is in seconds."""

    run: str
    source: str
    kind: Kind
    state: State
    time: Micros
    job: str | None = None
    job_name: str | None = None
    name: str | None = None
    url: str | None = None
    parent: str | None = None
    started: Micros | None = None
    duration: float | None = None
    attempt: int | None = None
    generation: int = 0

    @property
    def is_final(self) -> bool:
        """Whether no other fact of the same generation undoes this, unless it is final too and later.

        A crash is the plane's guess about a silent process, which may be heard again.
        """
        return self.state in run_states.TERMINAL and self.state is not State.CRASHED

    @property
    def ended(self) -> Micros | None:
        """When the run ended, if this is its end."""
        return self.time if self.state in run_states.TERMINAL else None

    @property
    def order(self) -> tuple[int, bool, Micros]:
        """What to compare facts about the same run by."""
        return self.generation, self.is_final, self.time


def roles_of(event: WireEvent) -> dict[str, WireRelated]:
    """Give the first related resource of each role."""
    found: dict[str, WireRelated] = {}
    for related in event.related:
        found.setdefault(related.role, related)
    return found


def first_of(roles: dict[str, WireRelated], wanted: tuple[str, ...]) -> WireRelated | None:
    """Give the related resource of the first of the roles that there is."""
    return next((roles[role] for role in wanted if role in roles), None)


def id_of(related: WireRelated | None) -> str | None:
    """Give its id."""
    return related.id if related else None


def part_of(run: str, resource: str, more: str = "") -> str:
    """Name a part of a run after the task or node that it runs."""
    name = resource.rpartition("/")[2]
    return datasets.bounded("/".join((run, name, more)).rstrip("/"), DEFAULT_LIMITS.max_id_chars)


def running_since(event: WireEvent, state: State) -> Micros | None:
    """Give when a run began, if this is what the event tells."""
    return wire.to_micros(event.time) if state is State.RUNNING else None


def payload_of(event: WireEvent) -> dict[str, Any]:
    """Read the payload; one that is damaged says nothing here, it is told of elsewhere."""
    try:
        payload: Any = event.payload_object()
    except ValueError:
        return {}
    return payload if isinstance(payload, dict) else {}


def micros_of(value: object) -> Micros | None:
    """Read a time; None for anything else."""
    moment = foreign.moment(value)
    return wire.to_micros(moment) if moment else None


def seconds_of(value: object) -> float | None:
    """Read a length of time in seconds; None for anything else."""
    return float(value) if type(value) in (int, float) and 0 <= value < 1e12 else None  # type: ignore[operator, arg-type]


def positive_of(value: object) -> int | None:
    """Read a number above 0; None for anything else."""
    number = foreign.number(value, 0)
    return number if number > 0 else None
