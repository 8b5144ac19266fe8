"""Materialising runs of schedules, and looking after those that wait.

Any number of coordinators do the same. A run's id follows from deployment, revision, schedule and moment, and its first
change is written on the condition that there is none: so each run exists once, also across crashes and restarts.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airside.coordinator.deployments import runs as deployed
from airside.coordinator.deployments.book import Book, Held
from airside.coordinator.engine.ticks import wall_clock
from airside.coordinator.runs import Proposals, RunChanged, commands
from airside.coordinator.runs import present as presents
from airside.coordinator.scheduling import slots
from airside.coordinator.work.stream import WorkStream
from airside.events.deployments import Schedule
from airside.events.durations import MINUTE, SECOND
from airside.events.exceptions import LogError
from airside.events.log import Log
from airside.events.run_states import State
from airside.events.wire import Micros

_LOOK_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.1
#: A run that no agent has taken so long after its time is late.
LATE_AFTER: Final = MINUTE
_AT_ONCE: Final = 32
_MOST_KNOWN: Final = 100_000
_NEVER: Final[Micros] = 2**62
_log = logging.getLogger("airside.scheduler")
#: Gives (workspace, run, position of what was last heard of it) of the runs that the views know to wait.
Waiting = Callable[[], Awaitable[Iterable[tuple[str, str, int]]]]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A run that waits, as it was when it was looked at: there is no need to before one of these changes."""

    position: int
    deployment: str
    held_at: int
    again: Micros


class Scheduler:
    """Looks every few seconds, and at once when a deployment has changed."""

    def __init__(self, log: Log, book: Book, proposals: Proposals, work: WorkStream, waiting: Waiting) -> None:
        self._log = log
        self._book = book
        self._proposals = proposals
        self._work = work
        self._waiting = waiting
        self._woken = asyncio.Event()
        self._places = asyncio.Semaphore(_AT_ONCE)
        #: For each schedule of each revision, the last moment whose run is there.
        self._done: dict[tuple[str, str, int, str], Micros] = {}
        #: When a schedule's next run comes near enough to be made.
        self._needed: dict[tuple[str, str, int, str], Micros] = {}
        self._armed: set[tuple[str, str, int]] = set()
        self._seen: dict[tuple[str, str], _Seen] = {}
        #: How often was looked.
        self.looks = 0

    async def wake(self) -> None:
        """Look at once."""
        self.look_soon()

    def look_soon(self) -> None:
        """Look as soon as a look that goes on has ended."""
        self._woken.set()

    async def run(self) -> None:
        """Schedule until cancelled."""
        while True:
            self._woken.clear()
            try:
                await self.look(wall_clock())
            except LogError as error:
                _log.warning("runs are not scheduled: %s", error)
            self.looks += 1
            try:
                await asyncio.sleep(_PAUSE_SECONDS)  # many may wake it at once
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def look(self, now: Micros) -> None:
        """Do all that is due. `now` is the wall clock. Raises LogError."""
        await self.materialise(now)
        await self.tidy(now)

    async def materialise(self, now: Micros) -> None:
        """Write the runs that were missed and are to be made up for, and the next ones. Raises LogError."""
        held = [one for one in self._book.deployments.values() if one.document.enabled]
        known = {(one.workspace, one.name, one.revision) for one in held}
        self._done = {key: due for key, due in self._done.items() if key[:3] in known}
        self._needed = {key: due for key, due in self._needed.items() if key[:3] in known}
        wanted = []
        needed = {}
        for one in held:
            for schedule in one.document.schedules:
                key = (one.workspace, one.name, one.revision, schedule.name)
                if schedule.enabled and now >= self._needed.get(key, 0):
                    wanted += [(one, schedule, due) for due in self._due(one, schedule, now)]
                    needed[key] = slots.needed(schedule, now)
        await asyncio.gather(*(self._write(*entry) for entry in wanted))
        for one, schedule, due in wanted:  # only when all are there: what failed is tried again
            key = (one.workspace, one.name, one.revision, schedule.name)
            self._done[key] = max(self._done.get(key, 0), due)
        self._needed |= needed

    async def tidy(self, now: Micros) -> None:
        """Look at the runs that wait: cancel what a newer revision took back, arm what is not, call late what is."""
        if len(self._armed) > _MOST_KNOWN:
            self._armed.clear()  # to arm a run again is harmless
        waiting = list(await self._waiting())
        before, self._seen = self._seen, {}
        changed = []
        for workspace, run, position in waiting:
            seen = before.get((workspace, run))
            if seen is not None and seen.position == position and now < seen.again and self._is_as(workspace, seen):
                self._seen[workspace, run] = seen
            else:
                changed.append((workspace, run, position))
        await asyncio.gather(*(self._look_after(*one, now) for one in changed))

    def _is_as(self, workspace: str, seen: _Seen) -> bool:
        held = self._book.deployments.get((workspace, seen.deployment))
        return (held.position if held else 0) == seen.held_at

    def _due(self, held: Held, schedule: Schedule, now: Micros) -> list[Micros]:
        done = self._done.get((held.workspace, held.name, held.revision, schedule.name), held.since)
        found = slots.missed(schedule, done, now) + slots.ahead(schedule, now)
        return [due for due in found if due > done]

    async def _write(self, held: Held, schedule: Schedule, due: Micros) -> None:
        run = deployed.id_of_slot(held, schedule.name, due)
        parameters = held.document.parameters | schedule.parameters
        event = deployed.scheduled(
            held, run, due, parameters, created_by=f"schedule {schedule.name}", schedule=schedule.name
        )
        async with self._places:
            try:
                await self._proposals.propose(event, State.SCHEDULED, 0)
            except RunChanged as error:
                if error.present is None or error.present.state is not State.SCHEDULED:
                    return
            await self._work.put(held.workspace, held.document.queue, held.document.priority, run, due)
            self._armed.add((held.workspace, run, 1))

    async def _look_after(self, workspace: str, run: str, position: int, now: Micros) -> None:
        async with self._places:
            found = await presents.read(self._log, workspace, run)
            if found is None or not presents.waits(found):
                return
            payload = await presents.scheduled(self._log, found)
            name = payload.get("deployment")
            if not isinstance(name, str):
                return
            held = self._book.deployments.get((workspace, name))
            if deployed.is_void(payload, held):
                await self._change(found, State.CANCELLED, payload, "the deployment was paused, changed or deleted")
                await self._work.forget(workspace, run.rpartition("/")[2])
                return
            await self._arm(workspace, run, found.seq, payload)
            due = deployed.due_of(payload)
            is_timed = found.state is State.SCHEDULED and due is not None
            if is_timed and due is not None and now - due > LATE_AFTER:
                late = round((now - due) / SECOND, 3)
                await self._change(found, State.LATE, payload, f"not started {late:g} s after its time", late_by=late)
            again = due + LATE_AFTER if is_timed and due is not None else _NEVER
            self._seen[workspace, run] = _Seen(position, name, held.position if held else 0, again)

    async def _arm(self, workspace: str, run: str, seq: int, payload: Mapping[str, Any]) -> None:
        """Let a run wait in its queue, unless this coordinator knows that it does."""
        bare = run.rpartition("/")[2]
        key = (workspace, bare, seq)
        if key in self._armed:
            return
        due = deployed.due_of(payload)
        await self._work.put_missing(workspace, str(payload.get("queue")), int(payload.get("priority", 5)), bare, due)
        self._armed.add(key)

    async def _change(
        self, found: presents.Present, state: State, payload: Mapping[str, Any], text: str, **more: Any
    ) -> None:
        event = commands.following(found, state, deployed.carried(payload) | {"message": text, **more})
        try:
            await self._proposals.propose(event, state, found.seq)
        except RunChanged:
            pass  # somebody was first, or an agent has taken it
