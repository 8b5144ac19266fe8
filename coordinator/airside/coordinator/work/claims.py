"""Claims of agents on runs that wait.

A message of a queue only says that a run waits. The claim is a change of the run on the log, `pending`, on the
condition that the run is as it was: so a run has one claim at a time, whatever the broker gives twice. Whatever the
process of an earlier claim proposes later is refused, since its number is not the next one.
"""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg

from airside.coordinator.deployments import runs as deployed
from airside.coordinator.deployments.book import Book, Held, Queue
from airside.coordinator.deployments.store import DeploymentStore
from airside.coordinator.runs import Accepted, Proposals, RunChanged, commands
from airside.coordinator.runs import present as presents
from airside.coordinator.runs.present import Present
from airside.coordinator.work import abilities
from airside.coordinator.work.exceptions import ClaimLost
from airside.coordinator.work.leases import Leases
from airside.coordinator.work.line import Line
from airside.coordinator.work.places import Places
from airside.coordinator.work.records import Lease
from airside.coordinator.work.stream import WorkStream
from airside.coordinator.work.turns import Turns
from airside.events import run_states
from airside.events.log import Log
from airside.events.run_states import State

_POLL_SECONDS: Final = 0.5
#: So long one request may be busy with runs that it cannot claim.
_BUSY_SECONDS: Final = 5.0
#: So many runs are claimed side by side: most of a claim is waiting for the disk.
_AT_ONCE: Final = 10
#: A coordinator that stood still for so long may have had its place taken back.
_STALL_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A run that may be claimed: as it stands on the log, what it was scheduled with, and the lease it would have."""

    now: Present
    payload: Mapping[str, Any]
    held: Held
    lease: Lease
    message: Msg


class Claims:
    """Gives runs to agents, and hears what became of them."""

    def __init__(
        self,
        log: Log,
        book: Book,
        store: DeploymentStore,
        proposals: Proposals,
        *,
        work: WorkStream,
        leases: Leases,
        places: Places,
        can_start: Callable[[str, str, str], bool] = lambda workspace, agent, kind: True,
        gone_since: Callable[[str, str], str | None] = lambda workspace, agent: None,
    ) -> None:
        self._log = log
        self._book = book
        self._store = store
        self._proposals = proposals
        self._work = work
        self._leases = leases
        self.line = Line(work)
        self.turns = Turns(log, book, work, places, leases, line=self.line, change=self._change)
        self._can_start = can_start
        self._gone_since = gone_since
        self.closed = False
        self._room = asyncio.Event()
        self._turn: dict[tuple[str, str], asyncio.Lock] = {}
        work.arrived = self.wake

    async def claim(
        self,
        workspace: str,
        agent: str,
        queues: Sequence[str],
        *,
        limit: int,
        wait_seconds: float,
        left: Callable[[], Awaitable[bool]],
    ) -> list[dict[str, Any]]:
        """Claim up to `limit` runs, waiting so long for the first one. Raises LogError, WorkUnavailable."""
        until = time.monotonic() + wait_seconds
        claims: list[dict[str, Any]] = []
        while True:
            room = self._room
            for name in dict.fromkeys(queues):
                claims += await self._of_queue(self._book.queue(workspace, name), agent, limit - len(claims))
            if claims or self.closed or time.monotonic() >= until or await left():
                return claims
            try:
                async with asyncio.timeout(min(_POLL_SECONDS, max(0.0, until - time.monotonic()))):
                    await room.wait()
            except TimeoutError:
                pass

    def wake(self) -> None:
        """Look again, whoever waits for a run: one may be there."""
        room, self._room = self._room, asyncio.Event()
        room.set()

    async def renew(self, workspace: str, tokens: Sequence[str]) -> dict[str, list[str]]:
        """Keep claims; tell which are lost, and which runs somebody wants to end. Raises LogError, WorkUnavailable."""
        lost, cancel = [], []
        for token in tokens:
            try:
                lease = await self._held(workspace, token)
            except ClaimLost:
                lost.append(token)
                continue
            await self._leases.put(msgspec.structs.replace(lease, beats=lease.beats + 1))
            await self._work.settle(lease.ack, b"+WPI")
            now = await presents.read(self._log, workspace, presents.resource_id(lease.run))
            if now is not None and await self._is_to_end(workspace, now):
                cancel.append(token)
        return {"lost": lost, "cancel": cancel}

    async def take_over(self, workspace: str, agent: str, tokens: Sequence[str]) -> dict[str, list[Any]]:
        """Give an agent the claims whose own is gone; tell which nobody holds. Raises LogError, WorkUnavailable.

        Those of living agents, and of runs that are not of this workspace, are in neither list.
        """
        taken: list[Any] = []
        lost: list[Any] = []
        for token in tokens:
            try:
                lease = await self._held(workspace, token)
            except ClaimLost:
                run = presents.resource_id(token.partition(".")[0])
                if await presents.read(self._log, workspace, run) is not None:
                    lost.append(token)
                continue
            since = self._gone_since(workspace, lease.agent)
            if since is not None and await self._leases.hand(lease, agent):
                await self._work.settle(lease.ack, b"+WPI")
                taken.append({"claim": token, "since": since or None})
        return {"taken": taken, "lost": lost}

    async def finish(self, workspace: str, token: str, outcome: str, told: Mapping[str, Any]) -> None:
        """Take a claim back: the process has ended (`done`), died (`crashed`) or never began (`returned`).

        Raises ClaimLost, LogError, WorkUnavailable.
        """
        lease = await self._held(workspace, token)
        now = await presents.read(self._log, workspace, presents.resource_id(lease.run))
        if now is not None and now.state not in run_states.TERMINAL | {State.SUSPENDED} and not presents.waits(now):
            if outcome == "returned" and now.state is State.PENDING:
                await self.back_to_queue(now, f"the agent gave it back: {told.get('message') or 'it says not why'}")
            elif outcome != "done" or now.state is State.PENDING:
                state = State.CANCELLED if now.state is State.CANCELLING else State.CRASHED
                await self._change(now, state, dict(told))
        await self.release(lease)

    async def back_to_queue(self, now: Present, text: str) -> bool:
        """Schedule a pending run again; False when it has changed meanwhile."""
        payload = now.payload()
        losses = int(payload.get("losses") or 0) + 1
        return await self._change(now, State.SCHEDULED, {"message": text, "losses": losses}) is not None

    async def release(self, lease: Lease) -> None:
        """End a lease, and let the run wait anew where the log says that it waits."""
        await asyncio.gather(
            self._work.settle(lease.ack, b"+ACK"),
            self._leases.delete(lease),  # before the run waits anew: then the next claim's lease is not ours to end
            self.turns.leave(lease.workspace, lease.deployment, lease.run, lease.claim),
        )
        now = await presents.read(self._log, lease.workspace, presents.resource_id(lease.run))
        if now is not None and presents.waits(now):
            priority = (await presents.scheduled(self._log, now)).get("priority", 5)
            await self._work.put(lease.workspace, lease.queue, int(priority), lease.run)
        self.wake()

    async def _of_queue(self, queue: Queue, agent: str, limit: int) -> list[dict[str, Any]]:
        """Claim up to `limit` runs of one queue."""
        claims: list[dict[str, Any]] = []
        until = time.monotonic() + _BUSY_SECONDS
        if limit and not queue.paused:
            await self.turns.call_for(queue, lambda kind: self._can_start(queue.workspace, agent, kind), limit)
        while len(claims) < limit and not queue.paused and time.monotonic() < until:
            messages = await self.line.take(queue, min(limit - len(claims), _AT_ONCE))
            if not messages:
                break
            looked = await asyncio.gather(*(self._candidate(queue, agent, message) for message in messages))
            # Begun in the order of the line: of a deployment with a limit, who came first has the place.
            found = await asyncio.gather(*(self._take(queue, one) for one in looked if one is not None))
            claims += [claim for claim in found if claim is not None]
        return claims

    async def _candidate(self, queue: Queue, agent: str, message: Msg) -> _Candidate | None:
        """Look up whose turn a message is, or settle it when there is nothing to claim."""
        run, ack = message.data.decode(), message.reply
        now = await presents.read(self._log, queue.workspace, presents.resource_id(run))
        if now is not None and now.state is State.PENDING:
            now = await self._after_lost_claim(now, run, ack)
            if now is None:
                return None
        if now is None or not presents.waits(now):
            lease = await self._leases.get(run)
            await self._work.settle(ack, b"+ACK" if lease is None else b"+WPI")
            return None
        payload = await presents.scheduled(self._log, now)
        held = await self._store.read(queue.workspace, str(payload.get("deployment")))
        if held is None or deployed.is_void(payload, held):
            await self._change(now, State.CANCELLED, {"message": "the deployment was paused, changed or deleted"})
            await self._work.settle(ack, b"+ACK")
            return None
        kind = abilities.kind_of(held, payload.get("infrastructure"))
        if not self._can_start(queue.workspace, agent, kind):
            await self.turns.lack(queue, kind, message)
            return None
        lease = Lease(
            workspace=queue.workspace,
            run=run,
            claim=token_hex(16),
            agent=agent,
            queue=queue.name,
            ack=ack,
            deployment=held.name,
        )
        return _Candidate(now, payload, held, lease, message)

    async def _take(self, queue: Queue, one: _Candidate) -> dict[str, Any] | None:
        """Claim a run, unless its deployment has no place for it."""
        async with self._in_order(one.held):
            began = time.monotonic()
            if not await self.turns.may_go(one.now, one.held, queue, one.message, one.lease.claim):
                return None
            return await self._made(one, began)

    def _in_order(self, held: Held) -> AbstractAsyncContextManager[None]:
        """Claim runs of a deployment that has a limit one after the other."""
        if held.document.concurrency is None:
            return nullcontext()
        return self._turn.setdefault((held.workspace, held.name), asyncio.Lock())

    async def _made(self, one: _Candidate, began: float) -> dict[str, Any] | None:
        now, payload, held, lease = one.now, one.payload, one.held, one.lease
        told = deployed.carried(payload) | {"agent": lease.agent, "claim": lease.claim[:8]}
        accepted = await self._change(now, State.PENDING, told)
        if accepted is None:
            await self.turns.leave(lease.workspace, lease.deployment, lease.run, lease.claim)
            await self._work.settle(lease.ack, b"-NAK")  # looked at again: it may be scheduled still
            return None
        await self._leases.put(lease)
        if time.monotonic() - began > _STALL_SECONDS and not await self.turns.holds(held, lease.run, lease.claim):
            pending = await presents.read(self._log, lease.workspace, presents.resource_id(lease.run))
            if pending is not None and pending.seq == accepted.seq:
                await self.back_to_queue(pending, "its claim took too long")
            await self.release(lease)
            return None
        return {
            "claim": f"{lease.run}.{lease.claim}",
            "run": lease.run,
            "seq": accepted.seq,
            "name": now.record.event.resource.name,
            "deployment": held.document.model_dump(mode="json", exclude_none=True),
            "parameters": payload.get("parameters") or {},
            "infrastructure": payload.get("infrastructure") or {},
            "lease_seconds": self._work.lease_seconds,
            **({"input": payload["input"]} if payload.get("input") is not None else {}),
        }

    async def _after_lost_claim(self, now: Present, run: str, ack: str) -> Present | None:
        """Take up a run whose claim was made and never told of: the coordinator died in between."""
        if await self._leases.get(run) is not None:
            await self._work.settle(ack, b"+WPI")  # its lease decides, see the sweeper
            return None
        told, workspace = now.payload(), now.record.event.workspace
        await self.back_to_queue(now, "its claim was lost")
        await self.turns.leave(workspace, str(told.get("deployment")), run, str(told.get("claim")))
        return await presents.read(self._log, workspace, presents.resource_id(run))

    async def _held(self, workspace: str, token: str) -> Lease:
        run, _, claim = token.partition(".")
        lease = await self._leases.get(run) if run else None
        if lease is None or lease.workspace != workspace or not hmac.compare_digest(lease.claim, claim):
            raise ClaimLost(f"{ClaimLost.__doc__}")
        return lease

    async def _is_to_end(self, workspace: str, now: Present) -> bool:
        return now.state is State.CANCELLED or await presents.is_to_be_cancelled(self._log, workspace, now)

    async def _change(self, now: Present, state: State, more: Mapping[str, Any]) -> Accepted | None:
        before = now.payload()
        kept = deployed.carried(before)
        if state is not State.CANCELLED and "input" in before:  # an answer waits with its run
            kept["input"] = before["input"]
        event = commands.following(now, state, kept | dict(more))
        try:
            return await self._proposals.propose(event, state, now.seq)
        except RunChanged:
            return None
