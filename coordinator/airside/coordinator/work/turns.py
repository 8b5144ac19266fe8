"""A deployment's own limit: which of its runs may be with agents, and what becomes of one too many.

The places are counted exactly (`places`). A run that finds none stands aside, so that it holds up nobody else in its
queue, and steps back in line, first of its priority, when a place is free.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from nats.aio.msg import Msg

from airside.coordinator.deployments.book import Book, Held, Queue
from airside.coordinator.runs import Accepted
from airside.coordinator.runs import present as presents
from airside.coordinator.runs.present import Present
from airside.coordinator.work.leases import Leases
from airside.coordinator.work.line import Line, since_of
from airside.coordinator.work.places import Holder, Places
from airside.coordinator.work.stream import WorkStream
from airside.events import run_states
from airside.events.log import Log
from airside.events.run_states import State
from airside.events.subjects import token

#: A place without a lease belongs to a claim that is being made, or to nobody: nobody's after so many times a lease.
_ORPHAN_LEASES: Final = 2.0
#: Come again in so many nanoseconds.
LATER: Final = b'-NAK {"delay": 2000000000}'
#: A run that changes while it is looked at is looked at again.
_TRIES: Final = 5
_NEWER: Final = "a newer run of its deployment takes its place"
_BUSY: Final = run_states.ALIVE | {State.PENDING}

Change = Callable[[Present, State, Mapping[str, Any]], Awaitable[Accepted | None]]


class Turns:
    """Gives places and takes them back. Everything raises LogError and WorkUnavailable."""

    def __init__(
        self, log: Log, book: Book, work: WorkStream, places: Places, leases: Leases, *, line: Line, change: Change
    ) -> None:
        self._log = log
        self._book = book
        self._work = work
        self._places = places
        self._leases = leases
        self._line = line
        self._change = change
        #: Since when places are seen without a lease, by the monotonic clock.
        self._orphans: dict[tuple[str, str, str, str], float] = {}
        #: Workspace, queue and kind of runs that stand aside since no agent that asked could start them.
        self._lacking: set[tuple[str, str, str]] = set()

    async def may_go(self, now: Present, held: Held, queue: Queue, message: Msg, claim: str) -> bool:
        """Take a place for a claim; where there is none, do what the deployment says, and settle the message."""
        allowed, holder = held.document.concurrency, holder_of(message.data.decode(), claim)
        if allowed is None:
            return True
        going = await self._places.take(held.workspace, held.name, holder, allowed.limit)
        if holder in going:
            return True
        if any(run == holder[0] for run, _ in going):
            await self._work.settle(message.reply, LATER)  # another claim of it begins, or was lost
            return False
        if allowed.on_full == "cancel_new":
            text = f"as many runs of {held.name} go on as may: {allowed.limit}"
            await self._change(now, State.CANCELLED, {"message": text})
            await self._work.settle(message.reply, b"+ACK")
            return False
        if allowed.on_full == "cancel_running":
            await self._make_room(held, going)
        await self._line.stand_aside(queue, held.name, holder[0], since_of(message))
        await self._work.settle(message.reply, b"+ACK")
        if len(await self._places.holders(held.workspace, held.name)) < allowed.limit:
            await self._call_back(held.workspace, token(held.name), 1)  # one left before this one stood aside
        return False

    async def lack(self, queue: Queue, kind: str, message: Msg) -> None:
        """Let a run stand aside whose kind of infrastructure the agent that asks does not have."""
        await self._line.stand_aside(queue, _lacked(kind), message.data.decode(), since_of(message))
        await self._work.settle(message.reply, b"+ACK")
        self._lacking.add((queue.workspace, queue.name, kind))

    async def call_for(self, queue: Queue, can_start: Callable[[str], bool], count: int) -> None:
        """Let so many runs step back in line for an agent that has what they need.

        Those that another coordinator let stand aside step back when all is tidied.
        """
        for key in [key for key in self._lacking if key[:2] == (queue.workspace, queue.name) and can_start(key[2])]:
            name = token(_lacked(key[2]))
            await self._call_back(queue.workspace, name, count)
            if await self._line.first_aside(queue.workspace, name) is None:
                self._lacking.discard(key)

    async def holds(self, held: Held, run: str, claim: str) -> bool:
        """Tell whether a claim has its place still."""
        if held.document.concurrency is None:
            return True
        return holder_of(run, claim) in await self._places.holders(held.workspace, held.name)

    async def leave(self, workspace: str, deployment: str, run: str, claim: str) -> None:
        """Take a claim's place back, and let the next run come."""
        if await self._places.free(workspace, deployment, holder_of(run, claim)):
            await self._call_back(workspace, token(deployment), 1)

    async def tidy(self, *, thorough: bool) -> None:
        """Take back places that belong to nobody; `thorough`: and call back whoever stands aside without need."""
        await self._take_back()
        if thorough:
            for (workspace, deployment), count in (await self._line.all_aside()).items():
                held = next((it for it in self._book.of(workspace) if token(it.name) == deployment), None)
                room = count
                if held is not None and (allowed := held.document.concurrency) is not None:
                    room = allowed.limit - len(await self._places.holders(workspace, held.name))
                await self._call_back(workspace, deployment, min(count, room))

    async def _take_back(self) -> None:
        now = time.monotonic()
        found = {
            (taken.workspace, taken.deployment, run, claim)
            for taken in self._places.all().values()
            for run, claim in taken.holders
            if not self._leases.knows(run)
        }
        self._orphans = {key: self._orphans.get(key, now) for key in found}
        for key in [
            key for key, since in self._orphans.items() if now - since > _ORPHAN_LEASES * self._work.lease_seconds
        ]:
            workspace, deployment, run, claim = key
            present = await presents.read(self._log, workspace, presents.resource_id(run))
            if await self._leases.get(run) is None and (present is None or present.state not in _BUSY):
                await self.leave(workspace, deployment, run, claim)

    async def _make_room(self, held: Held, going: Sequence[Holder]) -> None:
        """Ask the oldest run that is not asked yet to end; where all are, cancel the oldest that stands aside.

        So as many stand aside as are to end, and they are the newest.
        """
        for run, _ in going:
            if await self._end(held.workspace, run):
                return
        standing = await self._line.first_aside(held.workspace, token(held.name))
        if standing is not None:
            present = await presents.read(self._log, held.workspace, presents.resource_id(standing.run))
            if present is not None and presents.waits(present):
                await self._change(present, State.CANCELLED, {"message": _NEWER})
            await self._line.step_back(standing, None, 0)

    async def _end(self, workspace: str, run: str) -> bool:
        """Ask a run that goes on to end, or cancel one that is just being claimed; False when it is ending already."""
        for _ in range(_TRIES):
            now = await presents.read(self._log, workspace, presents.resource_id(run))
            if now is None or not run_states.may_change(now.state, State.CANCELLING):
                return False
            state = State.CANCELLED if presents.waits(now) else State.CANCELLING
            if await self._change(now, state, {"message": _NEWER}) is not None:
                return True
        return False

    async def _call_back(self, workspace: str, deployment: str, count: int) -> None:
        """Let so many of a deployment's runs that stand aside step back in line; the deployment by its token."""
        while count > 0 and (standing := await self._line.first_aside(workspace, deployment)):
            now = await presents.read(self._log, workspace, presents.resource_id(standing.run))
            if now is None or not presents.waits(now):
                await self._line.step_back(standing, None, 0)
                continue
            payload = await presents.scheduled(self._log, now)
            await self._line.step_back(standing, str(payload.get("queue")), int(payload.get("priority", 5)))
            count -= 1


def _lacked(kind: str) -> str:
    """Name what a run lacks, as no deployment is named."""
    return f"kind {kind}"


def holder_of(run: str, claim: str) -> Holder:
    """Name who has a place. Of a claim as much is told as its run's change says."""
    return run, claim[:8]
