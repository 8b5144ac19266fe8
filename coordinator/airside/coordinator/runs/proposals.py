"""Changes of runs are proposed; the log decides.

A proposal names the number of the last change that its proposer saw. The change is written on the condition that the
run's last change is still the one it was checked against. So of any number of proposers at any number of coordinators
one wins, without a lock or a leader, and the others learn what the run is now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from airside.coordinator.runs import present as presents
from airside.coordinator.runs.exceptions import NotAllowed, RunChanged
from airside.coordinator.runs.present import Present
from airside.events import run_states, subjects
from airside.events.exceptions import Conflict, LogRefused
from airside.events.log import Log, outgoing
from airside.events.run_states import State
from airside.events.wire import MAX_BYTES, Record, WireEvent

#: Roles of what a run came from.
_ORIGIN: Final = frozenset({"deployment", "queue"})
_MAX_CAUSES: Final = 16
#: A conflict that left the run as it was is tried again so often: the broker was between two writes.
_TRIES: Final = 4


class Names(Protocol):
    """Other names of resources, see `airside.events.aliases`."""

    def apply(self, events: Sequence[WireEvent]) -> Sequence[WireEvent]: ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """A change is on the log."""

    position: int
    state: State
    seq: int


class Proposals:
    """Writes changes of flow runs, if the run is as their proposer saw it."""

    def __init__(self, log: Log, names: Names) -> None:
        self._log = log
        self._names = names

    async def propose(self, event: WireEvent, state: State, expected: int) -> Accepted:
        """Write the change whose number is `expected` + 1. Proposing the same again is harmless.

        Raises RunChanged, NotAllowed, LogUnavailable, LogFull, LogRefused.
        """
        event = self._names.apply([event])[0]
        run = event.resource.id
        among = subjects.flow_run_changes(event.workspace, run)
        message = outgoing(event)
        if len(message.data) > MAX_BYTES:
            raise LogRefused(f"the change takes {len(message.data):,} bytes; at most {MAX_BYTES:,} do")
        for _ in range(_TRIES):
            now = await presents.read(self._log, event.workspace, run)
            if now is not None and _is_same(now.record, event):
                return Accepted(now.position, now.state, now.seq)
            check(now, state, expected)
            if now is not None and presents.is_set_to_end(now) and event.source != presents.SOURCE:
                raise NotAllowed(f"somebody set the run to {now.state}, and so it stays", now)
            message = outgoing(_with_origin(event, now))
            try:
                position, known = await self._log.append(message, expected_last=now.position if now else 0, among=among)
            except Conflict:
                continue
            if not known:
                return Accepted(position, state, expected + 1)
            break  # the broker remembers the id: ours that came twice, or another's of the same number
        now = await presents.read(self._log, event.workspace, run)
        if now is not None and _is_same(now.record, event):
            return Accepted(now.position, now.state, now.seq)
        raise RunChanged(_changed(now), now)


def check(now: Present | None, state: State, expected: int) -> None:
    """Compare a proposal with the run as it is. Raises RunChanged, NotAllowed."""
    if (now.seq if now else 0) != expected:
        raise RunChanged(_changed(now), now)
    last = now.state if now else None
    if not run_states.may_change(last, state):
        possible = run_states.INITIAL if last is None else run_states.CHANGES[last]
        words = ", ".join(sorted(word for word in possible if word not in run_states.TASK_ONLY)) or "nothing"
        what = f"a run that is {last} changes" if last else "a new run begins"
        raise NotAllowed(f"{what} to {words}, not to {state}", now)


def _with_origin(event: WireEvent, now: Present | None) -> WireEvent:
    """Keep what a run is a run of, and what led to it: its process may know neither.

    A rule that starts again and again what fails again and again is told by its causes.
    """
    if now is None:
        return event
    before, told = now.record.event, {one.role for one in event.related}
    kept = tuple(one for one in before.related if one.role in _ORIGIN and one.role not in told)
    causes = tuple(dict.fromkeys((*event.causes, *before.causes)))[:_MAX_CAUSES]
    if not kept and causes == event.causes:
        return event
    return msgspec.structs.replace(event, related=(*event.related, *kept), causes=causes)


def _is_same(stored: Record, event: WireEvent) -> bool:
    there = stored.event
    return there.id == event.id and there.type == event.type and there.time == event.time


def _changed(now: Present | None) -> str:
    if now is None:
        return "nobody has heard of this run; propose its first change with `expected` 0"
    return f"the run is {now.state} since its change {now.seq}; somebody else changed it"
